/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_template - topics and client ids with {gateway}, {uplink} and {label.NAME}.
 *
 * Threads    Pure functions.
 * Ownership  The text is appended to the caller's buffer.
 * Errors     FG_EINVALID with a note for an unknown or unfinished placeholder; FG_ENOMEM.
 */
#ifndef FG_CONFIG_TEMPLATE_H
#define FG_CONFIG_TEMPLATE_H

#include "config.h"
#include "err.h"

struct config_names {
    const char *gateway; /* NULL: not known yet, {gateway} stays as it is */
    const char *uplink;
    const struct config_labels *labels;
};

int config_template_expand(const char *text, const struct config_names *names, struct buf *out,
                           struct err_note *note);

#endif
