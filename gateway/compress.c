/* SPDX-License-Identifier: Apache-2.0 */
#include "compress.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "err.h"

struct compress {
    z_stream stream;
};

/* zlib's defaults; 16 added to the window's bits asks for a gzip wrapper instead of a zlib one. */
enum { LEVEL = 6, WINDOW_GZIP = 15 + 16, MEMORY_LEVEL = 8 };

struct compress *compress_new(void)
{
    struct compress *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    if (deflateInit2(&c->stream, LEVEL, Z_DEFLATED, WINDOW_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(c);
        return NULL;
    }
    return c;
}

void compress_free(struct compress *c)
{
    if (c == NULL)
        return;
    deflateEnd(&c->stream);
    free(c);
}

int compress_gzip(struct compress *c, const void *bytes, size_t len, struct buf *out)
{
    buf_reset(out);
    if (len > UINT_MAX / 2)
        return FG_ENOMEM;
    if (deflateReset(&c->stream) != Z_OK)
        return FG_ENOMEM;
    /* With room for the bound, deflate ends in one call. */
    uLong bound = deflateBound(&c->stream, (uLong)len);
    buf_reserve(out, bound);
    if (!buf_ok(out))
        return FG_ENOMEM;
    c->stream.next_in = (Bytef *)(uintptr_t)bytes;
    c->stream.avail_in = (uInt)len;
    c->stream.next_out = (Bytef *)out->data;
    c->stream.avail_out = (uInt)bound;
    if (deflate(&c->stream, Z_FINISH) != Z_STREAM_END)
        return FG_ENOMEM;
    out->len = bound - c->stream.avail_out;
    out->data[out->len] = '\0';
    return 0;
}
