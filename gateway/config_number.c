/* SPDX-License-Identifier: Apache-2.0 */
#include "config_number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct unit {
    const char *name; /* NULL: the end */
    int64_t factor;
};

/* What people write instead of a unit. */
struct slip {
    const char *written; /* NULL: the end */
    const char *meant;
};

struct measure {
    const struct unit *units; /* rising */
    const struct slip *slips;
    const char *suffix;        /* "/s" for a rate */
    const char *small, *large; /* units for the example */
    const char *all;
};

static const struct unit times[] = {{"ms", 1},      {"s", 1000},     {"min", 60000},
                                    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct slip time_slips[] = {
    {"m", "min"},       {"M", "min"},  {"mn", "min"}, {"mins", "min"}, {"minute", "min"},
    {"minutes", "min"}, {"sec", "s"},  {"secs", "s"}, {"second", "s"}, {"seconds", "s"},
    {"S", "s"},         {"hr", "h"},   {"hour", "h"}, {"hours", "h"},  {"H", "h"},
    {"day", "d"},       {"days", "d"}, {"D", "d"},    {"msec", "ms"},  {"millis", "ms"},
    {"MS", "ms"},       {NULL, NULL}};
static const struct unit sizes[] = {
    {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct slip size_slips[] = {
    {"KB", "KiB"}, {"kB", "KiB"},  {"kb", "KiB"}, {"K", "KiB"},   {"k", "KiB"},  {"kib", "KiB"},
    {"MB", "MiB"}, {"mb", "MiB"},  {"M", "MiB"},  {"mib", "MiB"}, {"GB", "GiB"}, {"gb", "GiB"},
    {"G", "GiB"},  {"gib", "GiB"}, {"b", "B"},    {"bytes", "B"}, {NULL, NULL}};

static const struct measure short_duration = {times, time_slips, "", "ms", "s", N_("ms, s, min, h or d")};
static const struct measure duration = {times, time_slips, "", "s", "min", N_("ms, s, min, h or d")};
static const struct measure size = {sizes, size_slips, "", "KiB", "MiB", N_("B, KiB, MiB or GiB")};
static const struct measure rate = {sizes, size_slips, "/s", "KiB", "MiB", N_("B/s, KiB/s, MiB/s or GiB/s")};

/* What stands behind the digits is no unit: says what to write. */
static int refuse_unit(const struct measure *m, const char *digits, int n, const char *rest,
                       struct err_note *note)
{
    if (*rest == '\0')
        return err_note(note, FG_EINVALID, _("has no unit; write %.*s%s%s or %.*s%s%s"), n, digits, m->small,
                        m->suffix, n, digits, m->large, m->suffix);
    if (*rest == ' ')
        return err_note(note, FG_EINVALID, _("has a space before the unit; write %.*s%s"), n, digits,
                        rest + strspn(rest, " "));
    if (*rest == '.' || *rest == ',')
        return err_note(note, FG_EINVALID, _("is no whole number; use a smaller unit (1500ms for 1.5s)"));
    size_t word = strlen(rest), suffix = strlen(m->suffix);
    if (word > suffix && strcmp(rest + word - suffix, m->suffix) == 0)
        word -= suffix;
    for (const struct slip *s = m->slips; s->written; s++)
        if (strlen(s->written) == word && memcmp(s->written, rest, word) == 0)
            return err_note(note, FG_EINVALID, _("has the unit \"%s\"; write %.*s%s%s"), s->written, n,
                            digits, s->meant, m->suffix);
    return err_note(note, FG_EINVALID, _("has an unknown unit; use %s"), _(m->all));
}

static const struct unit *find_unit(const struct measure *m, const char *rest)
{
    size_t suffix = strlen(m->suffix), len = strlen(rest);
    if (len <= suffix || strcmp(rest + len - suffix, m->suffix) != 0)
        return NULL;
    for (const struct unit *u = m->units; u->name; u++)
        if (strlen(u->name) == len - suffix && memcmp(u->name, rest, len - suffix) == 0)
            return u;
    return NULL;
}

static int parse_measure(const struct measure *m, const char *text, int64_t *ret, struct err_note *note)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0)
        return err_note(note, FG_EINVALID, _("must be a number with its unit, like 10%s%s"), m->small,
                        m->suffix);
    if (digits > 18)
        return err_note(note, FG_EINVALID, _("is too large"));
    const char *rest = text + digits;
    const struct unit *u = find_unit(m, rest);
    if (!u)
        return refuse_unit(m, text, (int)digits, rest, note);
    int64_t value = strtoll(text, NULL, 10);
    if (__builtin_mul_overflow(value, u->factor, ret))
        return err_note(note, FG_EINVALID, _("is too large"));
    return 0;
}

int config_duration_parse(const char *text, int64_t usual_max_ms, int64_t *ret_ms, struct err_note *note)
{
    bool brief = usual_max_ms > 0 && usual_max_ms <= 60000;
    return parse_measure(brief ? &short_duration : &duration, text, ret_ms, note);
}

int config_size_parse(const char *text, int64_t *ret_bytes, struct err_note *note)
{
    return parse_measure(&size, text, ret_bytes, note);
}

int config_rate_parse(const char *text, int64_t *ret_bytes_per_second, struct err_note *note)
{
    return parse_measure(&rate, text, ret_bytes_per_second, note);
}

int config_int_parse(const char *text, int64_t *ret, bool *ret_hex, struct err_note *note)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    /* 0x8000000000000000 and above are bit patterns of 64-bit values. */
    char *end = NULL;
    errno = 0;
    int64_t value;
    if (hex && *text != '-')
        value = (int64_t)strtoull(digits + 2, &end, 16);
    else
        value = strtoll(text, &end, 10);
    if (!isxdigit((unsigned char)digits[hex ? 2 : 0]) || *end != '\0')
        return err_note(note, FG_EINVALID, _("must be a whole number, like 12 or 0x0C"));
    if (errno == ERANGE)
        return err_note(note, FG_EINVALID, _("is too large"));
    *ret = value;
    if (ret_hex)
        *ret_hex = hex;
    return 0;
}

static int parse_bit(const char **text, uint8_t *ret)
{
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 2)
        return FG_EINVALID;
    int value = atoi(*text);
    *text += digits;
    *ret = (uint8_t)value;
    return value <= 15 ? 0 : FG_ERANGE;
}

int config_bits_parse(const char *text, uint8_t *ret_first, uint8_t *ret_last, struct err_note *note)
{
    uint8_t first, last;
    int err = parse_bit(&text, &first);
    last = first;
    if (err == 0 && *text == '-') {
        text++;
        err = parse_bit(&text, &last);
    }
    if (err == FG_ERANGE)
        return err_note(note, FG_EINVALID, _("goes beyond bit 15; a register has the bits 0 to 15"));
    if (err < 0 || *text != '\0')
        return err_note(note, FG_EINVALID, _("must be one bit or a range, like 3 or 0-7"));
    if (first > last)
        return err_note(note, FG_EINVALID, _("runs backwards; write the lower bit first: %u-%u"), last,
                        first);
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int config_reference_parse(const char *text, enum point_register *ret_table, uint16_t *ret_address,
                           struct err_note *note)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 6 || text[digits] != '\0')
        return err_note(note, FG_EINVALID, _("must be the manual's number, like 30001 or 400001"));
    /* Short numbers are coils, whose leading zeros got lost. */
    long number = atol(text);
    long base = digits == 6 ? 100000 : 10000;
    long table = digits >= 5 ? number / base : 0;
    number -= table * base;
    if (table == 2 || table > 4)
        return err_note(
            note, FG_EINVALID,
            _("begins with %ld; coils begin with 0, discrete inputs with 1, input registers with 3, "
              "holding registers with 4"),
            table);
    if (number < 1 || number > 65536)
        return err_note(
            note, FG_EINVALID,
            _("is no place in a manual's table, which counts from 1 to 65536; for a number counted from "
              "0 write address"));
    static const enum point_register tables[] = {POINT_COIL, POINT_DISCRETE_INPUT, POINT_COIL, POINT_INPUT,
                                                 POINT_HOLDING};
    *ret_table = tables[table];
    *ret_address = (uint16_t)(number - 1);
    return 0;
}

static void show(const struct unit *units, int64_t value, struct buf *out)
{
    const struct unit *best = units;
    for (const struct unit *u = units; u->name && value != 0; u++)
        if (value % u->factor == 0)
            best = u;
    buf_add_int(out, value / best->factor);
    buf_adds(out, best->name);
}

void config_duration_show(int64_t ms, struct buf *out)
{
    show(times, ms, out);
}

void config_size_show(int64_t bytes, struct buf *out)
{
    show(sizes, bytes, out);
}
