/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *quality_word(enum quality q)
{
    switch (q) {
    case QUALITY_GOOD:
        return "good";
    case QUALITY_NOT_DUE:
        return "not_due";
    case QUALITY_NO_REPLY:
        return "no_reply";
    case QUALITY_BAD_CRC:
        return "bad_crc";
    case QUALITY_BAD_FRAME:
        return "bad_frame";
    case QUALITY_EXCEPTION:
        return "exception";
    case QUALITY_NOT_CONNECTED:
        return "not_connected";
    case QUALITY_SENSOR_FAULT:
        return "sensor_fault";
    case QUALITY_OUT_OF_RANGE:
        return "out_of_range";
    case QUALITY_CONFIG_ERROR:
        return "config_error";
    }
    return "unknown"; /* receivers take an unknown word for "not good" */
}

static void add_quoted(struct buf *out, const char *word)
{
    buf_addc(out, '"');
    buf_adds(out, word);
    buf_addc(out, '"');
}

static void add_number(struct buf *out, struct decimal number)
{
    char text[DECIMAL_TEXT_MAX];
    size_t len = decimal_format(number, text);
    buf_add(out, text, len);
}

static void add_stats(struct buf *out, const struct sample_stats *s)
{
    buf_addc(out, '{');
    if (s->n > 0) {
        buf_add_key(out, "min");
        add_number(out, s->min);
        buf_add_key(out, "mean");
        add_number(out, s->mean);
        buf_add_key(out, "max");
        add_number(out, s->max);
    }
    buf_member_uint(out, "n", s->n);
    if (s->bad > 0)
        buf_member_uint(out, "bad", s->bad);
    buf_addc(out, '}');
}

static void add_value(struct buf *out, const struct value *value)
{
    switch (value->kind) {
    case VALUE_BOOL:
        buf_adds(out, value->boolean ? "true" : "false");
        return;
    case VALUE_NUMBER:
        add_number(out, value->number);
        return;
    case VALUE_STATS:
        add_stats(out, value->stats);
        return;
    case VALUE_NONE:
        break;
    }
    /* "good" without a value is a driver's bug; a receiver must not take it for a point that was not due. */
    add_quoted(out, quality_word(QUALITY_SENSOR_FAULT));
}

static void add_reading(struct buf *out, const struct reading *r)
{
    switch (r->quality) {
    case QUALITY_GOOD:
        add_value(out, &r->value);
        return;
    case QUALITY_NOT_DUE:
        buf_adds(out, "null");
        return;
    case QUALITY_OUT_OF_RANGE:
        if (r->value.kind == VALUE_NONE)
            break;
        buf_adds(out, "[\"out_of_range\",");
        add_value(out, &r->value);
        buf_addc(out, ']');
        return;
    case QUALITY_NO_REPLY:
    case QUALITY_BAD_CRC:
    case QUALITY_BAD_FRAME:
    case QUALITY_EXCEPTION:
    case QUALITY_NOT_CONNECTED:
    case QUALITY_SENSOR_FAULT:
    case QUALITY_CONFIG_ERROR:
        break;
    }
    add_quoted(out, quality_word(r->quality));
}

void sample_encode_body(const struct sample *s, struct buf *body)
{
    if (s->failed != QUALITY_GOOD) {
        add_quoted(body, quality_word(s->failed));
        return;
    }
    buf_addc(body, '[');
    for (size_t i = 0; i < s->count; i++) {
        if (i > 0)
            buf_addc(body, ',');
        add_reading(body, &s->readings[i]);
    }
    buf_addc(body, ']');
}

void sample_encode_extra(const struct sample *s, const char *boot_id, struct buf *extra)
{
    if (s->missed == 0 && s->suppressed == 0 && s->span_ms == 0 && s->clock_trusted)
        return;
    buf_addc(extra, '{');
    if (s->span_ms > 0)
        buf_member_int(extra, "span_ms", s->span_ms);
    if (s->partial)
        buf_member_text(extra, "partial", s->partial);
    if (s->missed > 0)
        buf_member_uint(extra, "missed", s->missed);
    if (s->suppressed > 0)
        buf_member_uint(extra, "suppressed", s->suppressed);
    if (!s->clock_trusted)
        sample_encode_untrusted(boot_id, s->mono_ms, extra);
    buf_addc(extra, '}');
}

void sample_encode_untrusted(const char *boot_id, int64_t mono_ms, struct buf *extra)
{
    buf_member_text(extra, "clock", "untrusted");
    buf_member_text(extra, "boot", boot_id);
    buf_member_int(extra, "up_ms", mono_ms);
}

bool sample_correct_extra(const char *extra, size_t len, const char *boot_id, int64_t *ret_mono_ms,
                          struct buf *out)
{
    char mark[128];
    int n = snprintf(mark, sizeof mark, "\"clock\":\"untrusted\",\"boot\":\"%s\",\"up_ms\":", boot_id);
    const char *at = n > 0 && (size_t)n < sizeof mark ? memmem(extra, len, mark, (size_t)n) : NULL;
    if (!at)
        return false;
    const char *p = at + n, *end = extra + len;
    int64_t ms = 0;
    while (p < end && *p >= '0' && *p <= '9' && ms < INT64_MAX / 10 - 9)
        ms = ms * 10 + (*p++ - '0');
    if (p == at + n || p == end || (*p != ',' && *p != '}'))
        return false;
    buf_add(out, extra, (size_t)(at - extra));
    buf_adds(out, "\"clock\":\"corrected\"");
    buf_add(out, p, (size_t)(end - p));
    *ret_mono_ms = ms;
    return true;
}

/*
 * The tokenizer. Each skip_ function takes the first byte of a thing and returns the byte behind it, or NULL
 * when the text is not such a thing. Bodies come from a database that may be damaged or edited by hand, so
 * every byte is checked against `end` before it is looked at, and nesting is bounded by construction.
 */
static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && is_digit(*at))
        at++;
    return at > from ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++; /* JSON has no leading zeros */
    else
        at = skip_digits(at, end);
    if (at && at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);
    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

/*
 * Four hex digits that every receiver takes. JSON's grammar also allows a NUL and half a surrogate pair, at
 * which parsers and databases stumble (RFC 8259, section 8.2); no word of ours is beyond ASCII, so that a
 * whole pair is not looked for either.
 */
static const char *skip_code_unit(const char *at, const char *end)
{
    char digits[5] = "";
    if (end - at < 4)
        return NULL;
    for (int i = 0; i < 4; i++) {
        if (!is_hex(at[i]))
            return NULL;
        digits[i] = at[i];
    }
    const unsigned long unit = strtoul(digits, NULL, 16);
    return unit == 0 || (unit >= 0xD800 && unit <= 0xDFFF) ? NULL : at + 4;
}

static const char *skip_escape(const char *at, const char *end)
{
    if (at >= end)
        return NULL;
    if (*at == 'u')
        return skip_code_unit(at + 1, end);
    return *at != '\0' && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
}

/* ASCII only: our words are, and so a damaged body can never put invalid UTF-8 into a message. */
static const char *skip_string(const char *at, const char *end)
{
    at++;
    while (at && at < end && *at != '"') {
        if (*at < 0x20 || *at > 0x7e)
            return NULL;
        at = *at == '\\' ? skip_escape(at + 1, end) : at + 1;
    }
    return at && at < end ? at + 1 : NULL;
}

static const char *skip_scalar(const char *at, const char *end)
{
    if (at >= end)
        return NULL;
    switch (*at) {
    case '"':
        return skip_string(at, end);
    case 't':
        return skip_word(at, end, "true");
    case 'f':
        return skip_word(at, end, "false");
    case 'n':
        return skip_word(at, end, "null");
    default:
        return skip_number(at, end);
    }
}

/* `"key":` */
static const char *skip_key(const char *at, const char *end)
{
    if (at >= end || *at != '"')
        return NULL;
    at = skip_string(at, end);
    if (!at)
        return NULL;
    at = skip_space(at, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* An array or object of scalars. */
static const char *skip_group(const char *at, const char *end)
{
    const bool object = *at == '{';
    const char close = object ? '}' : ']';

    at = skip_space(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        if (object)
            at = skip_key(at, end);
        if (at)
            at = skip_scalar(at, end);
        if (!at)
            return NULL;
        at = skip_space(at, end);
        if (at >= end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at != ',')
            return NULL;
        at = skip_space(at + 1, end);
    }
}

static const char *skip_element(const char *at, const char *end)
{
    if (at < end && (*at == '[' || *at == '{'))
        return skip_group(at, end);
    return skip_scalar(at, end);
}

/*
 * Between calls the cursor rests on the byte that tells what comes: '[' before the first element, ',' before
 * another, ']' at the end. No element begins there, so no other state is needed.
 */
bool sample_next_element(const char **cursor, const char *end, struct sample_element *ret)
{
    const char *at = *cursor;
    if (at >= end || (*at != '[' && *at != ',' && *at != ']'))
        return false;
    const char mark = *at;
    at = skip_space(at + 1, end);
    if (mark == ']' || (mark == '[' && at < end && *at == ']')) {
        if (mark == '[')
            at = skip_space(at + 1, end);
        if (at == end)
            *cursor = end; /* the only way to get here is a whole, well-formed array */
        return false;
    }
    const char *behind = skip_element(at, end);
    if (!behind)
        return false;
    const char *next = skip_space(behind, end);
    if (next >= end || (*next != ',' && *next != ']'))
        return false;
    ret->text = at;
    ret->len = (size_t)(behind - at);
    *cursor = next;
    return true;
}

bool sample_element_pair(struct sample_element element, struct sample_element *ret_quality,
                         struct sample_element *ret_doubtful)
{
    const char *cursor = element.text, *end = element.text + element.len;
    struct sample_element quality, doubtful, third;
    if (!sample_next_element(&cursor, end, &quality) || quality.text[0] != '"' ||
        !sample_next_element(&cursor, end, &doubtful) || sample_next_element(&cursor, end, &third) ||
        cursor != end)
        return false;
    *ret_quality = quality;
    *ret_doubtful = doubtful;
    return true;
}

bool sample_is_word(const char *body, size_t len)
{
    if (len < 3 || body[0] != '"' || body[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++)
        if (!(body[i] >= 'a' && body[i] <= 'z') && body[i] != '_')
            return false;
    return true;
}
