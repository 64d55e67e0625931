/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compress - gzip for payloads. The door to zlib.
 *
 * Threads    A compressor belongs to one thread.
 * Ownership  compress_new()/compress_free(); output goes to the caller's buffer.
 * Errors     FG_ENOMEM.
 */
#ifndef FG_COMPRESS_H
#define FG_COMPRESS_H

#include "buf.h"

struct compress;

struct compress *compress_new(void);
void compress_free(struct compress *c);
/* Replaces what is in out by the gzip form of the bytes. */
int compress_gzip(struct compress *c, const void *bytes, size_t len, struct buf *out);

#endif
