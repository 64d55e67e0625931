/* SPDX-License-Identifier: Apache-2.0 */
#include "config_value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_number.h"
#include "config_problem.h"
#include "text.h"

#define TEXT_MAX 1024 /* bytes, where a table says nothing */

void *config_field(const struct config_key *key, void *base)
{
    return (char *)base + key->offset;
}

const void *config_field_const(const struct config_key *key, const void *base)
{
    return (const char *)base + key->offset;
}

size_t config_count_get(const struct config_key *key, const void *base)
{
    size_t count;
    memcpy(&count, (const char *)base + key->count, sizeof(count));
    return count;
}

void config_count_set(const struct config_key *key, void *base, size_t count)
{
    memcpy((char *)base + key->count, &count, sizeof(count));
}

static void put_int(const struct config_key *key, void *base, int64_t value)
{
    void *field = config_field(key, base);
    switch (key->width) {
    case 1:
        *(uint8_t *)field = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)field = (uint16_t)value;
        break;
    case 4:
        *(int32_t *)field = (int32_t)value;
        break;
    default:
        *(int64_t *)field = value;
        break;
    }
}

int64_t config_int_get(const struct config_key *key, const void *base)
{
    const void *field = config_field_const(key, base);
    switch (key->width) {
    case 1:
        return *(const uint8_t *)field;
    case 2:
        return *(const uint16_t *)field;
    case 4:
        return *(const int32_t *)field;
    default:
        return *(const int64_t *)field;
    }
}

static int put_text(const struct config_key *key, void *base, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return FG_ENOMEM;
    char **field = config_field(key, base);
    free(*field);
    *field = copy;
    return 0;
}

void config_value_show_number(const struct config_key *key, int64_t value, struct buf *out)
{
    if (key->kind == CONFIG_DURATION)
        config_duration_show(value, out);
    else if (key->kind == CONFIG_SIZE || key->kind == CONFIG_RATE)
        config_size_show(value, out);
    else
        buf_add_int(out, value);
    if (key->kind == CONFIG_RATE)
        buf_adds(out, "/s");
}

static int out_of_bounds(const struct config_key *key, bool small, struct err_note *note)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    config_value_show_number(key, key->min, &from);
    config_value_show_number(key, key->max, &to);
    int err = FG_ENOMEM;
    if (buf_ok(&from) && buf_ok(&to))
        err = err_note(note, FG_EINVALID,
                       small ? _("is too small; %s to %s is possible")
                             : _("is too large; %s to %s is possible"),
                       from.data, to.data);
    buf_fini(&from);
    buf_fini(&to);
    return err;
}

static int put_bounded(const struct config_key *key, void *base, int64_t value, struct err_note *note)
{
    if (key->max > 0 && (value < key->min || value > key->max))
        return out_of_bounds(key, value < key->min, note);
    put_int(key, base, value);
    return 0;
}

int config_word_parse(const struct config_word *words, const char *text, int64_t *ret, struct err_note *note)
{
    struct buf all = BUF_INIT;
    struct config_near near;
    config_near_begin(&near, text);
    for (const struct config_word *w = words; w->word; w++) {
        if (strcmp(w->word, text) == 0) {
            *ret = w->value;
            buf_fini(&all);
            return 0;
        }
        config_near_try(&near, w->word);
        buf_addf(&all, "%s%s", all.len > 0 ? ", " : "", w->word);
    }
    int err = FG_ENOMEM;
    if (buf_ok(&all))
        err = near.best ? err_note(note, FG_EINVALID, _("is unknown; did you mean \"%s\"? Possible: %s"),
                                   near.best, all.data)
                        : err_note(note, FG_EINVALID, _("is unknown; possible: %s"), all.data);
    buf_fini(&all);
    return err;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int config_name_check(const char *text, struct err_note *note)
{
    size_t n = 0;
    while (name_char(text[n]) || (n > 0 && (text[n] == '-' || text[n] == '_')))
        n++;
    if (n > 63)
        return err_note(note, FG_EINVALID, _("is too long; a name has at most 63 characters"));
    if (n > 0 && text[n] == '\0')
        return 0;
    /* The same in small letters often is what was meant. */
    char small[64];
    for (n = 0; n < sizeof(small) - 1 && text[n] != '\0'; n++)
        small[n] = text[n] == ' ' || text[n] == '.' ? '-' : (char)tolower((unsigned char)text[n]);
    small[n] = '\0';
    if (text[n] == '\0' && strcmp(small, text) != 0 && config_name_check(small, NULL) == 0)
        return err_note(note, FG_EINVALID,
                        _("is no name; names have small letters, digits, - and _: write %s"), small);
    return err_note(
        note, FG_EINVALID,
        _("is no name; names have small letters a-z, digits, - and _ and begin with a letter or digit"));
}

static int parse_baud(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    int64_t value;
    int err = config_int_parse(text, &value, NULL, note);
    if (err < 0)
        return err;
    const struct config_word *below = NULL, *above = NULL;
    for (const struct config_word *w = key->words; w->word; w++) {
        if (w->value <= value)
            below = w;
        if (w->value >= value && !above)
            above = w;
    }
    if (below && below == above) {
        put_int(key, base, value);
        return 0;
    }
    if (below && above)
        return err_note(note, FG_EINVALID, _("is no speed of serial ports; near ones are %s and %s"),
                        below->word, above->word);
    return err_note(note, FG_EINVALID, _("is no speed of serial ports; the nearest is %s"),
                    below ? below->word : above->word);
}

static int parse_decimal(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    struct decimal value;
    int err = decimal_parse(text, &value);
    if (err == FG_ERANGE)
        return err_note(note, FG_EINVALID, _("has too many digits; 19 are possible"));
    if (err < 0)
        return strchr(text, ',')
                   ? err_note(note, FG_EINVALID, _("must be a number; write a point, not a comma"))
                   : err_note(note, FG_EINVALID, _("must be a number, like 0.1 or -40"));
    if (key->max > 0 && decimal_compare(value, decimal_from_int(key->min)) < 0)
        return out_of_bounds(key, true, note);
    if (key->max > 0 && decimal_compare(value, decimal_from_int(key->max)) > 0)
        return out_of_bounds(key, false, note);
    memcpy(config_field(key, base), &value, sizeof(value));
    if (key->has > 0)
        *(bool *)((char *)base + key->has) = true;
    return 0;
}

static int parse_text(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    size_t max = key->max > 0 ? (size_t)key->max : TEXT_MAX;
    int64_t ignored;
    int err = 0;
    if (strlen(text) > max)
        return err_note(note, FG_EINVALID, _("is too long; at most %zu bytes"), max);
    if (key->words)
        err = config_word_parse(key->words, text, &ignored, note);
    return err < 0 ? err : put_text(key, base, text);
}

static int parse_bool(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return err_note(note, FG_EINVALID, _("must be true or false"));
    *(bool *)config_field(key, base) = yes;
    return 0;
}

static int parse_number(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    int64_t value = 0;
    int err = 0;
    if (key->kind == CONFIG_INT)
        err = config_int_parse(text, &value, NULL, note);
    else if (key->kind == CONFIG_DURATION)
        err = config_duration_parse(text, key->max, &value, note);
    else if (key->kind == CONFIG_SIZE)
        err = config_size_parse(text, &value, note);
    else
        err = config_rate_parse(text, &value, note);
    return err < 0 ? err : put_bounded(key, base, value, note);
}

static int parse_word(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    int64_t value;
    int err = config_word_parse(key->words, text, &value, note);
    if (err < 0)
        return err;
    if (key->kind == CONFIG_FRAME)
        memcpy(config_field(key, base), text, sizeof(((struct modbus_line *)0)->format));
    else
        put_int(key, base, value);
    return 0;
}

static int parse_bits(const char *text, struct point *p, struct err_note *note)
{
    int err = config_bits_parse(text, &p->bit_first, &p->bit_last, note);
    if (err == 0)
        p->has_bits = true;
    return err;
}

int config_value_parse(const struct config_key *key, const char *text, void *base, struct err_note *note)
{
    enum point_register table;
    uint16_t address;
    int err;
    switch (key->kind) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        return parse_text(key, text, base, note);
    case CONFIG_NAME:
        err = config_name_check(text, note);
        return err < 0 ? err : put_text(key, base, text);
    case CONFIG_BUS:
        return config_name_check(text, note);
    case CONFIG_BOOL:
        return parse_bool(key, text, base, note);
    case CONFIG_INT:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
        return parse_number(key, text, base, note);
    case CONFIG_BAUD:
        return parse_baud(key, text, base, note);
    case CONFIG_DECIMAL:
        return parse_decimal(key, text, base, note);
    case CONFIG_WORD:
    case CONFIG_FRAME:
        return parse_word(key, text, base, note);
    case CONFIG_REFERENCE:
        return config_reference_parse(text, &table, &address, note);
    case CONFIG_BITS:
        return parse_bits(text, config_field(key, base), note);
    case CONFIG_RAWS:
    case CONFIG_TEXTS:
    case CONFIG_LABELS:
    case CONFIG_MAP:
    case CONFIG_LIST:
        break;
    }
    return err_note(note, FG_EINVALID, _("must not be a single value"));
}
