/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar - writes a tar archive (POSIX ustar) into a buffer: plain files of mode 0600 only.
 *
 * Threads    Whoever owns the buffer.
 * Ownership  The buffer is the caller's.
 * Errors     Only through the buffer (buf_ok); a name of more than 99 bytes is cut.
 */
#ifndef FG_TAR_H
#define FG_TAR_H

#include "buf.h"

void tar_add(struct buf *out, const char *name, int64_t mtime_s, const void *bytes, size_t len);
/* After the last file. */
void tar_end(struct buf *out);

#endif
