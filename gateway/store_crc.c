/* SPDX-License-Identifier: Apache-2.0 */
#include "store_crc.h"

#define STEP 8 /* bytes at a time: one table each, none waits for the one before */

/* The sum is linear: a byte's entry is the exclusive or of those of its bits, of bit 0 first. */
#define IF(bit, value) ((bit) ? value##u : 0u)
#define BYTE(b, c0, c1, c2, c3, c4, c5, c6, c7)                                                              \
    (IF((b)&1, c0) ^ IF((b)&2, c1) ^ IF((b)&4, c2) ^ IF((b)&8, c3) ^ IF((b)&16, c4) ^ IF((b)&32, c5) ^       \
     IF((b)&64, c6) ^ IF((b)&128, c7))
#define BYTES_4(b, ...)                                                                                      \
    BYTE(b, __VA_ARGS__), BYTE((b) + 1, __VA_ARGS__), BYTE((b) + 2, __VA_ARGS__), BYTE((b) + 3, __VA_ARGS__)
#define BYTES_16(b, ...)                                                                                     \
    BYTES_4(b, __VA_ARGS__), BYTES_4((b) + 4, __VA_ARGS__), BYTES_4((b) + 8, __VA_ARGS__),                   \
        BYTES_4((b) + 12, __VA_ARGS__)
#define BYTES_64(b, ...)                                                                                     \
    BYTES_16(b, __VA_ARGS__), BYTES_16((b) + 16, __VA_ARGS__), BYTES_16((b) + 32, __VA_ARGS__),              \
        BYTES_16((b) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                           \
    BYTES_64(0, __VA_ARGS__), BYTES_64(64, __VA_ARGS__), BYTES_64(128, __VA_ARGS__),                         \
        BYTES_64(192, __VA_ARGS__)

/* tables[k][b]: what byte b does to the sum when k bytes follow it; of the reflected polynomial 0x82f63b78.
 */
static const uint32_t tables[STEP][256] = {
    {TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78)},
    {TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9)},
    {TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743)},
    {TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f)},
    {TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c)},
    {TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6)},
    {TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4)},
    {TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664)},
};

static uint32_t little_endian(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t store_crc(uint32_t before, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint32_t crc = ~before;
    for (; len >= STEP; p += STEP, len -= STEP) {
        uint32_t low = crc ^ little_endian(p), high = little_endian(p + 4);
        crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^
              tables[4][low >> 24] ^ tables[3][high & 0xff] ^ tables[2][high >> 8 & 0xff] ^
              tables[1][high >> 16 & 0xff] ^ tables[0][high >> 24];
    }
    while (len--)
        crc = tables[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return ~crc;
}
