/* SPDX-License-Identifier: Apache-2.0 */
#include "tar.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512 };

/* As POSIX lays it down (pax, "ustar Interchange Format"): numbers are octal text. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6],
        version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static void pad(struct buf *out, size_t len)
{
    static const char zeros[BLOCK];
    if (len % BLOCK > 0)
        buf_add(out, zeros, BLOCK - len % BLOCK);
}

void tar_add(struct buf *out, const char *name, int64_t mtime_s, const void *bytes, size_t len)
{
    struct header h;
    unsigned sum = 0;
    memset(&h, 0, sizeof h);
    snprintf(h.name, sizeof h.name, "%s", name);
    memcpy(h.mode, "0000600", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)len);
    snprintf(h.mtime, sizeof h.mtime, "%011llo", (unsigned long long)(mtime_s > 0 ? mtime_s : 0));
    h.type = '0';
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    memset(h.sum, ' ', sizeof h.sum); /* counts as blanks in its own sum */
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    snprintf(h.sum, sizeof h.sum, "%06o", sum); /* then a zero byte and a blank */
    buf_add(out, &h, sizeof h);
    if (len > 0)
        buf_add(out, bytes, len);
    pad(out, len);
}

void tar_end(struct buf *out)
{
    static const char zeros[2 * BLOCK];
    buf_add(out, zeros, sizeof zeros);
}
