/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_salvage_copy - reads around the damage: row by row, past pages that cannot be read, only what its
 * checksum confirms.
 *
 * Threads    Whoever salvages.
 * Ownership  -
 * Errors     As store_db.h, about the new database only.
 */
#ifndef FG_STORE_SALVAGE_COPY_H
#define FG_STORE_SALVAGE_COPY_H

#include <stdatomic.h>

#include "store_db.h"
#include "store_stream.h"

/* given: a number known to have been given. stop: once it is set, FG_ECLOSED soon. ret_uplinks_unknown: the
 * table of uplinks could not be read whole. */
int store_salvage_copy(struct store_db *to, const char *from, const struct store_side *side, uint64_t given,
                       const atomic_bool *stop, bool *ret_uplinks_unknown);

#endif
