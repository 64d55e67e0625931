/* SPDX-License-Identifier: Apache-2.0 */
#include "redact.h"

#include <ctype.h>
#include <string.h>

enum { LEAST = 4 };

static const char PEM_BEGIN[] = "-----BEGIN ", PEM_END[] = "-----END ", PEM_KEY[] = "PRIVATE KEY-----";

void redact_init(struct redact *r)
{
    buf_init(&r->known);
}

void redact_fini(struct redact *r)
{
    if (r->known.data)
        explicit_bzero(r->known.data, r->known.cap);
    buf_fini(&r->known);
}

bool redact_ok(const struct redact *r)
{
    return buf_ok(&r->known);
}

void redact_know(struct redact *r, const char *text, size_t len)
{
    /* Never moved while it holds secrets: what realloc() leaves behind cannot be wiped. One zero byte a line.
     */
    struct buf grown = BUF_INIT;
    buf_reserve(&grown, r->known.len + len + len / LEAST + 2);
    if (r->known.len > 0)
        buf_add(&grown, r->known.data, r->known.len);
    for (const char *end = text + len; text < end;) {
        const char *line = memchr(text, '\n', (size_t)(end - text));
        size_t n = line ? (size_t)(line - text) : (size_t)(end - text);
        const char *next = text + n + (line ? 1 : 0);
        while (n > 0 && isspace((unsigned char)text[n - 1]))
            n--;
        if (n >= LEAST && !memchr(text, '\0', n) && strncmp(text, "-----", 5) != 0) {
            buf_add(&grown, text, n);
            buf_addc(&grown, '\0');
        }
        text = next;
    }
    bool failed = r->known.failed || !buf_ok(&grown);
    redact_fini(r);
    r->known = grown;
    r->known.failed = failed;
}

/* The length of the longest known secret that stands here; 0: none. */
static size_t known_here(const struct redact *r, const char *at, size_t left)
{
    size_t longest = 0;
    for (size_t i = 0; i < r->known.len;) {
        size_t n = strlen(r->known.data + i);
        if (n > longest && n <= left && memcmp(at, r->known.data + i, n) == 0)
            longest = n;
        i += n + 1;
    }
    return longest;
}

/* user:password@ behind a "://" that ends just before `at`. */
static size_t userinfo_here(const char *text, const char *at, size_t left)
{
    size_t last = 0;
    if (at - text < 3 || memcmp(at - 3, "://", 3) != 0)
        return 0;
    for (size_t n = 0; n < left && !isspace((unsigned char)at[n]) && !strchr("/?#\"'<>,[]{}", at[n]); n++)
        if (at[n] == '@')
            last = n;
    return last;
}

static size_t line_length(const char *at, size_t left)
{
    const char *end = memchr(at, '\n', left);
    return end ? (size_t)(end - at) : left;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Where the value of a secret's key begins, when such a key stands here: password: "token"= api_key : */
static size_t key_here(const char *text, const char *at, size_t left)
{
    static const char *const keys[] = {"password", "passwd", "passphrase", "secret",  "token",
                                       "api_key",  "apikey", "psk",        "mat_khau"};
    if (at > text && is_word(at[-1]))
        return 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t n = strlen(keys[i]);
        if (n >= left || strncasecmp(at, keys[i], n) != 0)
            continue;
        while (n < left && (at[n] == '"' || at[n] == '\'' || at[n] == ' '))
            n++;
        if (n < left && (at[n] == ':' || at[n] == '='))
            return n + 1;
    }
    return 0;
}

static size_t indent_of(const char *line, size_t left)
{
    size_t n = 0;
    while (n < left && line[n] == ' ')
        n++;
    return n;
}

/* The value, to the end of its line, and the lines of a block that begins there: those further right than its
 * key. */
static size_t value_length(const char *text, const char *key, const char *at, size_t left)
{
    const char *line = key;
    while (line > text && line[-1] != '\n')
        line--;
    size_t depth = (size_t)(key - line), n = line_length(at, left);
    while (n < left) {
        const char *next = at + n + 1;
        size_t rest = left - n - 1, length = line_length(next, rest);
        if (rest == 0 || (length > 0 && indent_of(next, rest) <= depth))
            break;
        n += 1 + length;
    }
    return n;
}

static size_t pem_here(const char *at, size_t left)
{
    size_t first = line_length(at, left);
    if (left < sizeof PEM_BEGIN || memcmp(at, PEM_BEGIN, sizeof PEM_BEGIN - 1) != 0 ||
        !memmem(at, first, PEM_KEY, sizeof PEM_KEY - 1))
        return 0;
    const char *end = memmem(at, left, PEM_END, sizeof PEM_END - 1);
    return end ? (size_t)(end - at) + line_length(end, left - (size_t)(end - at)) : left;
}

void redact_text(const struct redact *r, const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len;) {
        const char *at = text + i;
        size_t left = len - i, kept = 0, gone = known_here(r, at, left);
        if (gone == 0)
            gone = userinfo_here(text, at, left);
        if (gone == 0)
            gone = pem_here(at, left);
        if (gone == 0 && (kept = key_here(text, at, left)) > 0)
            gone = value_length(text, at, at + kept, left - kept);
        if (kept > 0)
            buf_add(out, at, kept);
        if (gone > 0)
            buf_adds(out, kept > 0 ? " " REDACTED : REDACTED);
        if (gone + kept == 0)
            buf_addc(out, *at);
        i += gone + kept > 0 ? gone + kept : 1;
    }
}
