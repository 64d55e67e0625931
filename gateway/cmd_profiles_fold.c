/* SPDX-License-Identifier: Apache-2.0 */
/* Words as they are typed without a Vietnamese keyboard: see cmd_profiles.h. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "cmd_profiles.h"

/* The letters under the accents, from the first code point on; '?' stands for what is no letter. */
struct range {
    uint32_t first;
    const char *letters;
};
static const struct range ranges[] = {
    {0xC0, "aaaaaa?ceeeeiiiidnooooo?ouuuuy??aaaaaa?ceeeeiiiidnooooo?ouuuuy?y"},
    {0x102, "aa"},
    {0x110, "dd"},
    {0x128, "ii"},
    {0x168, "uu"},
    {0x1A0, "oo"},
    {0x1AF, "uu"},
    {0x1EA0, "aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy"},
};
enum { RANGE_COUNT = sizeof ranges / sizeof ranges[0] };

/* 0: not a letter with an accent. */
static char base_letter(uint32_t code)
{
    for (size_t i = 0; i < RANGE_COUNT; i++) {
        const struct range *r = &ranges[i];
        if (code < r->first || code - r->first >= strlen(r->letters))
            continue;
        char letter = r->letters[code - r->first];
        return letter == '?' ? '\0' : letter;
    }
    return '\0';
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The code point of a sequence of two or three bytes, all that accents need; its length, or 0. */
static size_t decode(const char *text, uint32_t *ret)
{
    const unsigned char *t = (const unsigned char *)text;
    if ((t[0] & 0xE0) == 0xC0 && is_continuation(text[1])) {
        *ret = (uint32_t)(t[0] & 0x1F) << 6 | (t[1] & 0x3F);
        return 2;
    }
    if ((t[0] & 0xF0) == 0xE0 && is_continuation(text[1]) && is_continuation(text[2])) {
        *ret = (uint32_t)(t[0] & 0x0F) << 12 | (uint32_t)(t[1] & 0x3F) << 6 | (t[2] & 0x3F);
        return 3;
    }
    return 0;
}

void cmd_profiles_fold(const char *text, struct buf *out)
{
    buf_reserve(out, strlen(text) + 1);
    while (*text) {
        uint32_t code;
        size_t len = decode(text, &code);
        char letter = len > 0 ? base_letter(code) : '\0';
        bool accent = len > 0 && code >= 0x300 && code <= 0x36F; /* written apart from its letter */
        if (letter)
            buf_addc(out, letter);
        else if (len == 0)
            buf_addc(out, (char)tolower((unsigned char)*text));
        else if (!accent)
            buf_add(out, text, len);
        text += len > 0 ? len : 1;
    }
}

int cmd_profiles_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += !is_continuation(*text);
    return width;
}
