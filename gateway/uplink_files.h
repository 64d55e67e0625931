/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_files - the two small files of an uplink: the password it reads and the connection number it keeps.
 *
 * Threads    The uplink's thread.
 * Ownership  Output goes to the caller's buffers.
 * Errors     FG_ENOTFOUND, FG_EIO, FG_EINVALID, FG_ENOMEM, with a note where there is one.
 */
#ifndef FG_UPLINK_FILES_H
#define FG_UPLINK_FILES_H

#include "buf.h"
#include "err.h"

#define UPLINK_PASSWORD_MAX 4096

/* Replaces out by the content of the file without its last newline. The note never shows the content. A file
 * that everybody can read is refused, as it is in the configuration: it may have become so since. */
int uplink_password_read(const char *path, struct buf *out, struct err_note *note);

/* state_dir/uplink-NAME.connection: the highest number that may have been used, in decimal, replaced
 * atomically. A missing or damaged file reads as 0. */
uint64_t uplink_connection_read(const char *state_dir, const char *name);
int uplink_connection_write(const char *state_dir, const char *name, uint64_t number);

#endif
