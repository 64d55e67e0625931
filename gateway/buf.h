/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growing byte buffer with JSON-aware appending and a sticky failure.
 *
 * Threads    A buffer belongs to one thread at a time.
 * Ownership  buf_fini() frees the bytes; buf_reset() keeps them, so that a reused buffer stops allocating.
 * Errors     Appending never fails visibly: after a failed allocation `failed` is set, further appends do
 *            nothing, and buf_ok() tells once at the end. data is always terminated by a zero byte
 *            (not counted in len) after the first append or buf_reserve().
 */
#ifndef FG_BUF_H
#define FG_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len; /* bytes used */
    size_t cap; /* bytes allocated */
    bool failed;
};

#define BUF_INIT                                                                                             \
    {                                                                                                        \
        0                                                                                                    \
    }

void buf_init(struct buf *b);
void buf_fini(struct buf *b);
/* Empties the buffer, clears a failure, keeps the allocation. */
void buf_reset(struct buf *b);
/* True while no append has failed. */
bool buf_ok(const struct buf *b);
/* Makes room for at least n more bytes now. */
void buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_add_int(struct buf *b, int64_t value);
void buf_add_uint(struct buf *b, uint64_t value);
/* A JSON string with its quotes; invalid UTF-8 bytes become U+FFFD, so the result is always valid JSON. */
void buf_add_json(struct buf *b, const char *text);
/* `"key":` with a comma before it unless the last byte is `{` or `[` or the buffer is empty. */
void buf_add_key(struct buf *b, const char *key);
/* A whole member: key and value. */
void buf_member_int(struct buf *b, const char *key, int64_t value);
void buf_member_uint(struct buf *b, const char *key, uint64_t value);
void buf_member_text(struct buf *b, const char *key, const char *text);

#endif
