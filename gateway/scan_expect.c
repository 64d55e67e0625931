/* SPDX-License-Identifier: Apache-2.0 */
#include "scan_expect.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A number at the text's beginning; false when there is none. */
static bool take_number(const char **text, double *ret)
{
    char *end;
    *ret = strtod(*text, &end); /* understands 0x.. too */
    if (end == *text)
        return false;
    *text = end;
    return true;
}

/* "a..b", "a|b|c" or "a": 1, 0 or FG_EINVALID. strtod takes "0." of "0..7": the dots are looked at first. */
static int number_fits(const char *word, double value)
{
    const char *dots = strstr(word, "..");
    double low, high;
    if (dots) {
        char first[32];
        size_t len = (size_t)(dots - word);
        if (len == 0 || len >= sizeof first)
            return FG_EINVALID;
        memcpy(first, word, len);
        first[len] = '\0';
        const char *a = first, *b = dots + 2;
        if (!take_number(&a, &low) || !take_number(&b, &high) || *a || *b)
            return FG_EINVALID;
        return value >= low && value <= high;
    }
    for (int fits = 0;; word++) {
        if (!take_number(&word, &low))
            return FG_EINVALID;
        fits |= value == low;
        if (*word == '\0')
            return fits;
        if (*word != '|')
            return FG_EINVALID;
    }
}

static double float_of(const uint16_t *words)
{
    uint32_t pattern = (uint32_t)words[0] << 16 | words[1];
    float value;
    memcpy(&value, &pattern, sizeof value);
    return (double)value;
}

static int word_fits(const char *word, int unit, uint16_t value)
{
    if (strcmp(word, "-") == 0)
        return 1;
    if (strcmp(word, "unit") == 0)
        return value == unit;
    return number_fits(word, value);
}

int scan_expect_fits(const char *expect, int unit, const uint16_t *words, size_t count)
{
    char text[128], *rest = text;
    size_t at = 0;
    int all = 1;
    if (strlen(expect) >= sizeof text)
        return FG_EINVALID;
    strcpy(text, expect);
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        bool is_float = strcmp(word, "float32") == 0;
        size_t width = is_float ? 2 : 1;
        if (at + width > count)
            return FG_ERANGE;
        if (is_float && !(word = strtok_r(rest, " ", &rest)))
            return FG_EINVALID;
        int fits = is_float ? number_fits(word, float_of(words + at)) : word_fits(word, unit, words[at]);
        if (fits < 0)
            return fits;
        all &= fits;
        at += width;
    }
    return at > 0 ? all : FG_EINVALID;
}
