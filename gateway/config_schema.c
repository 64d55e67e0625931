/* SPDX-License-Identifier: Apache-2.0 */
/* config/schema/fieldgate.json (JSON Schema 2020-12), from the tables: see config.h. */
#include <ctype.h>
#include <string.h>

#include "config.h"
#include "config_tables.h"

/* Sections already written, so that points are defined once. */
#define SECTIONS_MAX 32

struct writer {
    struct buf *out;
    const struct config_section *done[SECTIONS_MAX];
    size_t done_count;
};

static void add_pattern(struct buf *out, const char *type, const char *pattern)
{
    buf_addf(out, "\"type\":%s,\"pattern\":\"%s\"", type, pattern);
}

/* YAML readers see 5 and 9600 as numbers: both spellings are listed. */
static void add_words(const struct config_word *words, struct buf *out)
{
    buf_adds(out, "\"enum\":[");
    for (const struct config_word *w = words; w->word; w++) {
        buf_adds(out, w > words ? "," : "");
        buf_add_json(out, w->word);
        if (w->word[strspn(w->word, "0123456789")] == '\0')
            buf_addf(out, ",%s", w->word);
    }
    buf_addc(out, ']');
}

static void add_bounds(const struct config_key *key, struct buf *out)
{
    if (key->max > 0)
        buf_addf(out, ",\"minimum\":%lld,\"maximum\":%lld", (long long)key->min, (long long)key->max);
}

static void add_texts(const struct config_key *key, struct buf *out)
{
    struct buf one = BUF_INIT;
    if (key->words)
        add_words(key->words, &one);
    else
        buf_adds(&one, "\"type\":\"string\"");
    if (buf_ok(&one))
        buf_addf(out, "\"anyOf\":[{%s},{\"type\":\"array\",\"items\":{%s}},{\"type\":\"null\"}]", one.data,
                 one.data);
    else
        out->failed = true;
    buf_fini(&one);
}

static void add_text(const struct config_key *key, struct buf *out)
{
    if (key->words)
        add_words(key->words, out);
    else
        buf_adds(out, "\"type\":[\"string\",\"number\"],\"minLength\":1");
}

static void add_kind(const struct config_key *key, struct buf *out)
{
    switch (key->kind) {
    case CONFIG_TEXT:
        add_text(key, out);
        break;
    case CONFIG_PATH:
        buf_adds(out, "\"type\":\"string\",\"minLength\":1");
        break;
    case CONFIG_NAME:
    case CONFIG_BUS:
        add_pattern(out, "[\"string\",\"integer\"]", "^[a-z0-9][a-z0-9_-]{0,62}$");
        break;
    case CONFIG_BOOL:
        buf_adds(out, "\"type\":\"boolean\"");
        break;
    case CONFIG_INT:
        buf_adds(out, "\"type\":\"integer\"");
        add_bounds(key, out);
        break;
    case CONFIG_DURATION:
        add_pattern(out, "\"string\"", "^[0-9]+(ms|s|min|h|d)$");
        break;
    case CONFIG_SIZE:
        add_pattern(out, "\"string\"", "^[0-9]+(B|KiB|MiB|GiB)$");
        break;
    case CONFIG_RATE:
        add_pattern(out, "\"string\"", "^[0-9]+(B|KiB|MiB|GiB)/s$");
        break;
    case CONFIG_DECIMAL:
        /* YAML 1.1 readers see 1e-3 (without a point) as a text. */
        add_pattern(out, "[\"number\",\"string\"]", "^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$");
        add_bounds(key, out);
        break;
    case CONFIG_BAUD:
    case CONFIG_WORD:
    case CONFIG_FRAME:
        add_words(key->words, out);
        break;
    case CONFIG_REFERENCE:
        add_pattern(out, "[\"integer\",\"string\"]", "^[0-9]{1,6}$");
        break;
    case CONFIG_BITS:
        add_pattern(out, "[\"integer\",\"string\"]", "^[0-9]{1,2}(-[0-9]{1,2})?$");
        break;
    case CONFIG_RAWS:
        buf_addf(out,
                 "\"type\":[\"array\",\"integer\",\"null\"],\"items\":{\"type\":\"integer\"},\"maxItems\":%d",
                 POINT_INVALID_MAX);
        break;
    case CONFIG_TEXTS:
        add_texts(key, out);
        break;
    case CONFIG_LABELS:
        buf_adds(
            out,
            "\"type\":[\"object\",\"null\"],\"propertyNames\":{\"pattern\":\"^[a-z0-9][a-z0-9_-]{0,62}$\"},"
            "\"additionalProperties\":{\"type\":[\"string\",\"number\",\"boolean\"]}");
        break;
    case CONFIG_MAP:
        buf_addf(out, "\"anyOf\":[{\"$ref\":\"#/$defs/%s\"},{\"type\":\"null\"}]", key->section->name);
        break;
    case CONFIG_LIST:
        buf_addf(out, "\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/$defs/%s\"}",
                 key->section->name);
        break;
    }
}

static void add_default(const struct config_key *key, struct buf *out)
{
    if (!key->otherwise)
        return;
    buf_adds(out, ",\"default\":");
    bool plain = key->kind == CONFIG_BOOL || key->kind == CONFIG_INT || key->kind == CONFIG_BAUD ||
                 key->kind == CONFIG_DECIMAL;
    if (plain)
        buf_adds(out, key->otherwise);
    else
        buf_add_json(out, key->otherwise);
}

static void add_required(const struct config_section *section, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < section->key_count; i++) {
        if (!section->keys[i].required || section->keys[i].protocols != 0)
            continue;
        buf_adds(out, first ? ",\n\"required\":[" : ",");
        buf_add_json(out, section->keys[i].name);
        first = false;
    }
    if (!first)
        buf_addc(out, ']');
}

static void add_body(const struct config_section *section, struct buf *out)
{
    buf_adds(out, "\"description\":");
    buf_add_json(out, section->text);
    buf_adds(out, ",\n\"type\":\"object\",\"additionalProperties\":false,\n\"properties\":{");
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        buf_adds(out, i > 0 ? ",\n  " : "\n  ");
        buf_add_json(out, key->name);
        buf_adds(out, ":{");
        add_kind(key, out);
        add_default(key, out);
        buf_adds(out, ",\"description\":");
        buf_add_json(out, key->text);
        buf_addc(out, '}');
    }
    buf_addc(out, '}');
    add_required(section, out);
    if (section->schema)
        buf_addf(out, ",\n%s", section->schema);
}

static bool is_done(const struct writer *w, const struct config_section *section)
{
    for (size_t i = 0; i < w->done_count; i++)
        if (w->done[i] == section)
            return true;
    return false;
}

static void add_definitions(struct writer *w, const struct config_section *section)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_section *inner = section->keys[i].section;
        if (!inner || is_done(w, inner) || w->done_count == SECTIONS_MAX)
            continue;
        buf_addf(w->out, "%s\n\"%s\":{", w->done_count > 0 ? "," : "", inner->name);
        w->done[w->done_count++] = inner;
        add_body(inner, w->out);
        buf_addc(w->out, '}');
        add_definitions(w, inner);
    }
}

void config_write_schema(struct buf *out)
{
    struct writer w = {.out = out};
    buf_adds(
        out,
        "{\n\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n\"title\":\"fieldgate.yaml\",\n"
        "\"$comment\":\"generated from gateway/config_tables*.c; a profile file is #/$defs/profile\",\n");
    add_body(&config_root, out);
    buf_adds(out, ",\n\"$defs\":{");
    add_definitions(&w, &config_root);
    add_definitions(&w, &config_profile_keys);
    buf_adds(out, ",\n\"profile\":{");
    add_body(&config_profile_keys, out);
    buf_adds(out, "}}\n}\n");
}
