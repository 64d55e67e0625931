/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_profiles - the parts of `fieldgate profiles`: the sheet about one profile, and comparing words.
 *
 * Threads    Main thread only.
 * Ownership  Nothing is kept.
 * Errors     Through the buffer (buf_ok).
 */
#ifndef FG_CMD_PROFILES_H
#define FG_CMD_PROFILES_H

#include "config_profile.h"

/* All that a technician needs about one model; path: the profile's file. */
void cmd_profiles_sheet(const struct config_profile *p, const char *path, struct buf *out);

/* Small letters without accents, so that "dau do dat" finds "Đầu đo đất". */
void cmd_profiles_fold(const char *text, struct buf *out);
/* Columns that a text takes on a terminal. */
int cmd_profiles_width(const char *text);

#endif
