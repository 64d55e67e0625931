/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b)
{
    memset(b, 0, sizeof *b);
}

void buf_fini(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

static void grow(struct buf *b, size_t n)
{
    if (b->failed)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len <= n) {
        if (cap > SIZE_MAX / 2) {
            b->failed = true;
            return;
        }
        cap *= 2;
    }
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return;
    }
    if (!b->data)
        data[0] = '\0';
    b->data = data;
    b->cap = cap;
}

/* Inlined where bytes are added: a message of an uplink is made of thousands of short pieces. A buffer that
 * has failed has room for nothing. */
static inline bool room(struct buf *b, size_t n)
{
    if (b->failed || b->cap - b->len <= n)
        grow(b, n);
    return !b->failed;
}

void buf_reserve(struct buf *b, size_t n)
{
    room(b, n);
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (!room(b, n))
        return;
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
    if (!room(b, 1))
        return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    /* Mostly there is room already. */
    size_t free_bytes = b->failed ? 0 : b->cap - b->len;
    int n = vsnprintf(free_bytes > 0 ? b->data + b->len : NULL, free_bytes, format, args);
    va_end(args);
    b->failed |= n < 0;
    if (room(b, n < 0 ? 0 : (size_t)n)) {
        if ((size_t)n >= free_bytes)
            vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    } else if (free_bytes > 0) {
        b->data[b->len] = '\0'; /* where its beginning stood */
    }
    va_end(again);
}

void buf_add_uint(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_add_int(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_addc(b, '-');
    buf_add_uint(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Length of the valid UTF-8 sequence at s (at most n bytes), or 0: overlong forms, surrogates and code points
 * beyond U+10FFFF are not valid. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t want = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || n < want)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF0 && s[1] < 0x90) ||
        (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return want;
}

static void add_json_ascii(struct buf *b, unsigned char c)
{
    switch (c) {
    case '"':
        buf_adds(b, "\\\"");
        return;
    case '\\':
        buf_adds(b, "\\\\");
        return;
    case '\n':
        buf_adds(b, "\\n");
        return;
    case '\r':
        buf_adds(b, "\\r");
        return;
    case '\t':
        buf_adds(b, "\\t");
        return;
    default:
        if (c < 0x20 || c == 0x7F)
            buf_addf(b, "\\u%04x", c);
        else
            buf_addc(b, (char)c);
    }
}

/* How many bytes at s stand for themselves in a JSON string. */
static size_t plain_length(const unsigned char *s)
{
    const unsigned char *at = s;
    while (*at >= 0x20 && *at < 0x7F && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - s);
}

/* Mostly the whole text stands for itself. `wrap`: so many bytes more are needed around it. */
static inline bool room_if_plain(struct buf *b, const char *text, size_t wrap, size_t *ret_len)
{
    *ret_len = plain_length((const unsigned char *)text);
    return text[*ret_len] == '\0' && room(b, *ret_len + wrap);
}

/* A JSON string where there is room for it and its quotes. */
static inline char *put_plain(char *at, const char *text, size_t len)
{
    *at++ = '"';
    memcpy(at, text, len);
    at += len;
    *at++ = '"';
    return at;
}

static inline void end_at(struct buf *b, char *at)
{
    *at = '\0';
    b->len = (size_t)(at - b->data);
}

static void add_json_escaped(struct buf *b, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = strlen(text);
    buf_addc(b, '"');
    while (n) {
        size_t len = utf8_length(s, n);
        if (len == 0)
            buf_adds(b, "\xEF\xBF\xBD");
        else if (len == 1)
            add_json_ascii(b, *s);
        else
            buf_add(b, s, len);
        size_t step = len ? len : 1;
        s += step;
        n -= step;
    }
    buf_addc(b, '"');
}

void buf_add_json(struct buf *b, const char *text)
{
    size_t len;
    if (room_if_plain(b, text, 2, &len))
        end_at(b, put_plain(b->data + b->len, text, len));
    else
        add_json_escaped(b, text);
}

void buf_add_key(struct buf *b, const char *key)
{
    bool first = b->len == 0 || b->data[b->len - 1] == '{' || b->data[b->len - 1] == '[';
    size_t len;
    if (room_if_plain(b, key, 4, &len)) {
        char *at = b->data + b->len;
        if (!first)
            *at++ = ',';
        at = put_plain(at, key, len);
        *at++ = ':';
        end_at(b, at);
        return;
    }
    if (!first)
        buf_addc(b, ',');
    add_json_escaped(b, key);
    buf_addc(b, ':');
}

void buf_member_int(struct buf *b, const char *key, int64_t value)
{
    buf_add_key(b, key);
    buf_add_int(b, value);
}

void buf_member_uint(struct buf *b, const char *key, uint64_t value)
{
    buf_add_key(b, key);
    buf_add_uint(b, value);
}

void buf_member_text(struct buf *b, const char *key, const char *text)
{
    buf_add_key(b, key);
    buf_add_json(b, text);
}
