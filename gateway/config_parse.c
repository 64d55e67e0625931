/* SPDX-License-Identifier: Apache-2.0 */
#include "config_parse.h"

#include <stdlib.h>
#include <string.h>

#include "config_value.h"
#include "text.h"

#define LABELS_MAX 64
#define KEYS_MAX 200

static bool is_empty(const struct yaml_node *node)
{
    return !node || yaml_doc_is_null(node);
}

/* A text that can be passed on as one: present, single, without control characters (escapes can write them).
 */
static bool check_scalar(const struct config_file *f, const struct config_at *at,
                         const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR) {
        config_error(f, node, at,
                     node->kind == YAML_MAP ? _("must be a single value, not a map of keys")
                                            : _("must be a single value, not a list"));
        return false;
    }
    if (yaml_doc_is_null(node) || node->len == 0) {
        config_error(f, node, at, _("has no value; write one or delete the line"));
        return false;
    }
    for (size_t i = 0; i < node->len; i++)
        if ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7F) {
            config_error(f, node, at,
                         _("holds a line break or another control character; write it on one line"));
            return false;
        }
    return true;
}

static int put_default(const struct config_key *key, void *base)
{
    return key->otherwise ? config_value_parse(key, key->otherwise, base, NULL) : 0;
}

static int parse_scalar(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                        const struct yaml_node *node, void *base)
{
    if (!check_scalar(f, at, node))
        return put_default(key, base);
    struct err_note note = {0};
    int err = config_value_parse(key, node->text, base, &note);
    if (err == FG_ENOMEM || err == 0)
        return err;
    struct config_shown shown;
    config_error(f, node, at, "\"%s\" %s", config_shown(node->text, &shown), note.text);
    return put_default(key, base);
}

static int add_text(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                    const struct yaml_node *node, char **items, size_t *count)
{
    if (!check_scalar(f, at, node))
        return 0;
    struct config_shown shown;
    struct err_note note = {0};
    int64_t ignored;
    if (key->max > 0 && node->len > (size_t)key->max) {
        config_error(f, node, at, _("is too long; at most %lld bytes"), (long long)key->max);
        return 0;
    }
    int err = key->words ? config_word_parse(key->words, node->text, &ignored, &note) : 0;
    if (err == FG_ENOMEM)
        return err;
    if (err < 0) {
        config_error(f, node, at, "\"%s\" %s", config_shown(node->text, &shown), note.text);
        return 0;
    }
    items[*count] = strdup(node->text);
    return items[*count] ? (int)(++*count, 0) : FG_ENOMEM;
}

static int parse_texts(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                       const struct yaml_node *node, void *base)
{
    if (node->kind == YAML_MAP) {
        config_error(f, node, at, _("must be one text or a list of texts, not a map of keys"));
        return 0;
    }
    if (is_empty(node))
        return 0;
    size_t written = node->kind == YAML_LIST ? node->count : 1, count = 0;
    char **items = calloc(written + 1, sizeof(*items));
    if (!items)
        return FG_ENOMEM;
    int err = 0;
    for (size_t i = 0; i < written && err == 0; i++) {
        struct config_at entry = {.up = at, .index = i};
        bool list = node->kind == YAML_LIST;
        err = add_text(f, list ? &entry : at, key, list ? node->entries[i].value : node, items, &count);
    }
    *(char ***)config_field(key, base) = items;
    config_count_set(key, base, count);
    return err;
}

static int add_label(const struct config_file *f, const struct config_at *at, const struct yaml_entry *entry,
                     struct config_labels *labels)
{
    struct config_at here = {.up = at, .key = entry->key->text};
    struct config_shown shown;
    struct err_note note = {0};
    if (config_name_check(entry->key->text, &note) < 0) {
        config_error(f, entry->key, at, "\"%s\" %s", config_shown(entry->key->text, &shown), note.text);
        return 0;
    }
    if (!check_scalar(f, &here, entry->value))
        return 0;
    struct config_label label = {.name = strdup(entry->key->text), .value = strdup(entry->value->text)};
    if (!label.name || !label.value) {
        free(label.name);
        free(label.value);
        return FG_ENOMEM;
    }
    labels->items[labels->count++] = label;
    return 0;
}

/* 0: the key stands here for the first time; else the line of the first. */
static int first_line(const struct yaml_node *map, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(map->entries[k].key->text, map->entries[i].key->text) == 0)
            return map->entries[k].key->line;
    return 0;
}

static bool check_first(const struct config_file *f, const struct config_at *at, const struct yaml_node *map,
                        size_t i)
{
    int line = first_line(map, i);
    if (line == 0)
        return true;
    struct config_at here = {.up = at, .key = map->entries[i].key->text};
    config_error(f, map->entries[i].key, &here,
                 _("stands here for the second time; the first is in line %d: delete one"), line);
    return false;
}

static int parse_labels(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                        const struct yaml_node *node, void *base)
{
    if (is_empty(node))
        return 0;
    if (node->kind != YAML_MAP || node->count > LABELS_MAX) {
        config_error(f, node, at,
                     node->kind != YAML_MAP ? _("must be a map: {plot: A1, crop: pepper}")
                                            : _("has more than 64 entries"));
        return 0;
    }
    struct config_labels *labels = config_field(key, base);
    labels->items = calloc(node->count + 1, sizeof(*labels->items));
    if (!labels->items)
        return FG_ENOMEM;
    int err = 0;
    for (size_t i = 0; i < node->count && err == 0; i++)
        if (check_first(f, at, node, i))
            err = add_label(f, at, &node->entries[i], labels);
    return err;
}

static int parse_list(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                      const struct yaml_node *node, void *base)
{
    if (is_empty(node))
        return 0;
    if (node->kind != YAML_LIST) {
        config_error(f, node, at, _("must be a list; begin each entry with \"- \""));
        return 0;
    }
    char *items = calloc(node->count + 1, key->section->size);
    if (!items)
        return FG_ENOMEM;
    *(char **)config_field(key, base) = items;
    config_count_set(key, base, node->count);
    int err = 0;
    for (size_t i = 0; i < node->count && err == 0; i++) {
        struct config_at entry = {.up = at, .index = i};
        err =
            config_parse_map(f, &entry, key->section, node->entries[i].value, items + i * key->section->size);
    }
    return err;
}

static int parse_key(const struct config_file *f, const struct config_at *at, const struct config_key *key,
                     const struct yaml_node *node, void *base)
{
    switch (key->kind) {
    case CONFIG_MAP:
        return config_parse_map(f, at, key->section, node, config_field(key, base));
    case CONFIG_LIST:
        return parse_list(f, at, key, node, base);
    case CONFIG_LABELS:
        return parse_labels(f, at, key, node, base);
    case CONFIG_TEXTS:
        return parse_texts(f, at, key, node, base);
    case CONFIG_RAWS: /* needs the type first: config_point.c */
        return 0;
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_BAUD:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_RATE:
    case CONFIG_DECIMAL:
    case CONFIG_WORD:
    case CONFIG_FRAME:
    case CONFIG_BUS:
    case CONFIG_REFERENCE:
    case CONFIG_BITS:
        return parse_scalar(f, at, key, node, base);
    }
    return 0;
}

static void unknown_key(const struct config_file *f, const struct config_at *at,
                        const struct config_section *section, const struct yaml_node *key)
{
    struct config_at here = {.up = at, .key = key->text};
    for (const struct config_foreign *w = section->foreign; w && w->key; w++)
        if (strcmp(w->key, key->text) == 0) {
            config_error(f, key, &here, _("unknown key; %s"), _(w->advice));
            return;
        }
    struct config_near near;
    config_near_begin(&near, key->text);
    for (size_t i = 0; i < section->key_count; i++)
        config_near_try(&near, section->keys[i].name);
    if (key->text[0] == '-') {
        config_error(f, key, &here, _("unknown key; if a list entry begins here, put a space after the -"));
        return;
    }
    if (near.best) {
        config_error(f, key, &here, _("unknown key; did you mean \"%s\"?"), near.best);
        return;
    }
    struct buf known = BUF_INIT;
    for (size_t i = 0; i < section->key_count; i++)
        buf_addf(&known, "%s%s", i > 0 ? ", " : "", section->keys[i].name);
    config_error(f, key, &here, _("unknown key; possible here: %s"), buf_ok(&known) ? known.data : "?");
    buf_fini(&known);
}

/* A list without entries is as good as none. */
static bool is_missing(const struct config_key *key, const struct yaml_node *value)
{
    const bool list = key->kind == CONFIG_LIST || key->kind == CONFIG_TEXTS;
    return !value || (list && (is_empty(value) || (value->kind == YAML_LIST && value->count == 0)));
}

static void check_required(const struct config_file *f, const struct config_at *at,
                           const struct config_section *section, const struct yaml_node *node)
{
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        if (key->required && key->protocols == 0 && is_missing(key, yaml_doc_find(node, key->name)))
            config_error(f, node, at, _("\"%s\" is missing: %s"), key->name, _(key->text));
    }
}

static int fill_defaults(const struct config_section *section, const struct yaml_node *node, void *base)
{
    int err = 0;
    for (size_t i = 0; i < section->key_count && err == 0; i++) {
        const struct config_key *key = &section->keys[i];
        if (yaml_doc_find(node, key->name))
            continue;
        if (key->kind == CONFIG_MAP)
            err = fill_defaults(key->section, NULL, config_field(key, base));
        else
            err = put_default(key, base);
    }
    return err;
}

static int parse_entries(const struct config_file *f, const struct config_at *at,
                         const struct config_section *section, const struct yaml_node *node, void *base)
{
    int err = 0;
    for (size_t i = 0; i < node->count && err == 0; i++) {
        const struct yaml_entry *entry = &node->entries[i];
        struct config_at here = {.up = at, .key = entry->key->text};
        const struct config_key *key = config_key_find(section, entry->key->text);
        if (!check_first(f, at, node, i))
            continue;
        if (key)
            err = parse_key(f, &here, key, entry->value, base);
        else
            unknown_key(f, at, section, entry->key);
    }
    return err;
}

int config_parse_map(const struct config_file *f, const struct config_at *at,
                     const struct config_section *section, const struct yaml_node *node, void *base)
{
    bool empty = is_empty(node);
    if (!empty && (node->kind != YAML_MAP || node->count > KEYS_MAX)) {
        config_error(f, node, at,
                     node->kind != YAML_MAP
                         ? _("must be a map of keys: `key: value`, with a space after the colon")
                         : _("has far too many keys; is this the right file?"));
        return fill_defaults(section, NULL, base);
    }
    int err = 0;
    if (node && !empty)
        err = parse_entries(f, at, section, node, base);
    if (node)
        check_required(f, at, section, node);
    return err < 0 ? err : fill_defaults(section, node, base);
}

const struct yaml_node *config_item(const struct yaml_node *map, const char *key, size_t i)
{
    const struct yaml_node *list = yaml_doc_find(map, key);
    return list && list->kind == YAML_LIST && i < list->count ? list->entries[i].value : NULL;
}

const struct yaml_node *config_place(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *value = yaml_doc_find(map, key);
    return value ? value : map;
}

int config_given_word(const struct config_section *section, const struct yaml_node *map, const char *key,
                      int64_t *ret)
{
    const struct yaml_node *value = yaml_doc_find(map, key);
    if (!value)
        return 0;
    if (value->kind != YAML_SCALAR)
        return FG_EINVALID;
    return config_word_parse(config_key_find(section, key)->words, value->text, ret, NULL) < 0 ? FG_EINVALID
                                                                                               : 1;
}
