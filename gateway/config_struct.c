/* SPDX-License-Identifier: Apache-2.0 */
/* The way back from structs to text, and the end of them: see config_value.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_number.h"
#include "config_value.h"

/* Plain where no YAML reader could take it for something else, else in double quotes as in JSON. */
static void show_text(const char *text, struct buf *out)
{
    if (config_name_check(text, NULL) == 0 && !isdigit((unsigned char)text[0]) && strcmp(text, "null") != 0 &&
        strcmp(text, "true") != 0 && strcmp(text, "false") != 0 && strcmp(text, "yes") != 0 &&
        strcmp(text, "no") != 0 && strcmp(text, "on") != 0 && strcmp(text, "off") != 0 &&
        strcmp(text, "y") != 0 && strcmp(text, "n") != 0)
        buf_adds(out, text);
    else
        buf_add_json(out, text);
}

static void show_texts(const struct config_key *key, const void *base, struct buf *out)
{
    char *const *items = *(char *const *const *)config_field_const(key, base);
    size_t count = config_count_get(key, base);
    buf_addc(out, '[');
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, i > 0 ? ", " : "");
        show_text(items[i], out);
    }
    buf_addc(out, ']');
}

static void show_labels(const struct config_labels *labels, struct buf *out)
{
    buf_addc(out, '{');
    for (size_t i = 0; i < labels->count; i++) {
        buf_adds(out, i > 0 ? ", " : "");
        show_text(labels->items[i].name, out);
        buf_adds(out, ": ");
        buf_add_json(out, labels->items[i].value);
    }
    buf_addc(out, '}');
}

static void show_bits(const struct point *p, struct buf *out)
{
    buf_addf(out, p->bit_first == p->bit_last ? "%u" : "%u-%u", p->bit_first, p->bit_last);
}

static void show_raws(const struct point *p, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < p->invalid_count; i++) {
        buf_adds(out, i > 0 ? ", " : "");
        /* A 64-bit pattern above the signed numbers is kept as a negative one. */
        if (p->type == POINT_UINT64 && p->invalid[i] < 0)
            buf_addf(out, "0x%016llX", (unsigned long long)p->invalid[i]);
        else
            buf_add_int(out, p->invalid[i]);
    }
    buf_addc(out, ']');
}

static void show_decimal(const void *field, struct buf *out)
{
    struct decimal value;
    char text[DECIMAL_TEXT_MAX];
    memcpy(&value, field, sizeof(value));
    decimal_format(value, text);
    buf_adds(out, text);
}

void config_value_show(const struct config_key *key, const void *base, struct buf *out)
{
    const void *field = config_field_const(key, base);
    switch (key->kind) {
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
        show_text(*(char *const *)field, out);
        break;
    case CONFIG_BOOL:
        buf_adds(out, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_INT:
    case CONFIG_BAUD:
        buf_add_int(out, config_int_get(key, base));
        break;
    case CONFIG_DURATION:
        config_duration_show(config_int_get(key, base), out);
        break;
    case CONFIG_SIZE:
        config_size_show(config_int_get(key, base), out);
        break;
    case CONFIG_RATE:
        config_size_show(config_int_get(key, base), out);
        buf_adds(out, "/s");
        break;
    case CONFIG_DECIMAL:
        show_decimal(field, out);
        break;
    case CONFIG_WORD:
        buf_adds(out, config_word_of(key->words, config_int_get(key, base)));
        break;
    case CONFIG_FRAME:
        buf_adds(out, field);
        break;
    case CONFIG_BITS:
        show_bits(field, out);
        break;
    case CONFIG_RAWS:
        show_raws(field, out);
        break;
    case CONFIG_TEXTS:
        show_texts(key, base, out);
        break;
    case CONFIG_LABELS:
        show_labels(field, out);
        break;
    case CONFIG_BUS: /* its name stands in another struct */
    case CONFIG_REFERENCE:
    case CONFIG_MAP:
    case CONFIG_LIST:
        break;
    }
}

bool config_value_absent(const struct config_key *key, const void *base)
{
    const void *field = config_field_const(key, base);
    switch (key->kind) {
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
        return !*(char *const *)field;
    case CONFIG_TEXTS:
    case CONFIG_LIST:
        return config_count_get(key, base) == 0;
    case CONFIG_LABELS:
        return ((const struct config_labels *)field)->count == 0;
    case CONFIG_BITS:
        return !((const struct point *)field)->has_bits;
    case CONFIG_RAWS:
        return ((const struct point *)field)->invalid_count == 0;
    case CONFIG_FRAME:
        return *(const char *)field == '\0';
    case CONFIG_DECIMAL:
        return key->has > 0 && !*((const bool *)base + key->has);
    case CONFIG_REFERENCE:
        return true;
    case CONFIG_INT:
    case CONFIG_BAUD:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_WORD:
        return !key->shown && !key->otherwise && !key->required && config_int_get(key, base) == 0;
    case CONFIG_BOOL:
        return !key->shown && !*(const bool *)field;
    case CONFIG_BUS:
    case CONFIG_MAP:
        return false;
    }
    return false;
}

static void free_texts(const struct config_key *key, void *base)
{
    char ***field = config_field(key, base);
    for (size_t i = 0; i < config_count_get(key, base); i++)
        free((*field)[i]);
    free(*field);
}

static void free_labels(struct config_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        free(labels->items[i].name);
        free(labels->items[i].value);
    }
    free(labels->items);
}

static void free_list(const struct config_key *key, void *base)
{
    char *items = *(char **)config_field(key, base);
    for (size_t i = 0; i < config_count_get(key, base); i++)
        config_struct_free(key->section, items + i * key->section->size);
    free(items);
}

void config_struct_free(const struct config_section *section, void *base)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        void *field = config_field(key, base);
        if (key->kind == CONFIG_TEXT || key->kind == CONFIG_NAME || key->kind == CONFIG_PATH)
            free(*(char **)field);
        else if (key->kind == CONFIG_TEXTS)
            free_texts(key, base);
        else if (key->kind == CONFIG_LABELS)
            free_labels(field);
        else if (key->kind == CONFIG_MAP)
            config_struct_free(key->section, field);
        else if (key->kind == CONFIG_LIST)
            free_list(key, base);
    }
}
