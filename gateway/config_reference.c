/* SPDX-License-Identifier: Apache-2.0 */
/* docs/CONFIG.md's reference part, from the tables: see config.h. */
#include <string.h>

#include "config.h"
#include "config_number.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"

static void add_words(const struct config_word *words, struct buf *out)
{
    for (const struct config_word *w = words; w->word; w++)
        buf_addf(out, "%s`%s`", w > words ? ", " : "", w->word);
}

static const char *kind_words(enum config_kind kind)
{
    switch (kind) {
    case CONFIG_TEXT:
        return "text";
    case CONFIG_NAME:
        return "name";
    case CONFIG_PATH:
        return "path";
    case CONFIG_BOOL:
        return "`true`, `false`";
    case CONFIG_INT:
        return "whole number";
    case CONFIG_BAUD:
    case CONFIG_WORD:
    case CONFIG_FRAME:
        return "";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_SIZE:
        return "size";
    case CONFIG_RATE:
        return "rate";
    case CONFIG_DECIMAL:
        return "number";
    case CONFIG_BUS:
        return "name of a bus";
    case CONFIG_REFERENCE:
        return "5 or 6 digits";
    case CONFIG_BITS:
        return "bit or range";
    case CONFIG_RAWS:
        return "list of whole numbers";
    case CONFIG_TEXTS:
        return "text or list";
    case CONFIG_LABELS:
        return "map of texts";
    case CONFIG_MAP:
        return "map";
    case CONFIG_LIST:
        return "list";
    }
    return "";
}

static void add_value(const struct config_key *key, struct buf *out)
{
    if (key->kind == CONFIG_MAP || key->kind == CONFIG_LIST) {
        buf_addf(out, "%s, see [%s](#%s)", kind_words(key->kind), key->section->name, key->section->name);
        return;
    }
    buf_adds(out, kind_words(key->kind));
    if (key->words) {
        buf_adds(out, *kind_words(key->kind) ? ": " : "");
        add_words(key->words, out);
        return;
    }
    bool number = key->kind != CONFIG_TEXT && key->kind != CONFIG_TEXTS;
    if (key->max > 0 && number) {
        buf_adds(out, ", ");
        config_value_show_number(key, key->min, out);
        buf_adds(out, " to ");
        config_value_show_number(key, key->max, out);
    }
}

static void add_otherwise(const struct config_key *key, struct buf *out)
{
    if (key->required && key->protocols != 0)
        buf_adds(out, "**required** there");
    else if (key->required)
        buf_adds(out, "**required**");
    else if (key->otherwise)
        buf_addf(out, "`%s`", key->otherwise);
    else if (key->otherwise_says)
        buf_adds(out, key->otherwise_says);
}

static void add_protocols(const struct config_key *key, struct buf *out)
{
    bool first = true;
    for (const struct config_word *w = config_key_find(&config_bus_keys, "protocol")->words; w->word; w++)
        if (key->protocols & config_protocol_bit((int)w->value)) {
            buf_addf(out, "%s`%s`", first ? " Only with " : ", ", w->word);
            first = false;
        }
    if (!first)
        buf_addc(out, '.');
}

/* Points stand in devices and in profiles, rules in all three: told once, below the devices. */
static bool is_told_elsewhere(const struct config_section *in, const struct config_section *section)
{
    return (section == &config_point_keys && in == &config_profile_keys) ||
           (section == &config_report_keys && in != &config_device_keys);
}

static void add_section(const struct config_section *section, struct buf *out)
{
    buf_addf(out, "\n### %s\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", section->name,
             section->text);
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        buf_addf(out, "| `%s` | ", key->name);
        add_value(key, out);
        buf_adds(out, " | ");
        add_otherwise(key, out);
        buf_addf(out, " | %s", key->text);
        add_protocols(key, out);
        buf_adds(out, " |\n");
    }
    for (size_t i = 0; i < section->key_count; i++) {
        const struct config_key *key = &section->keys[i];
        if (key->section && !is_told_elsewhere(section, key->section))
            add_section(key->section, out);
    }
}

static const char preface[] =
    "# Configuration reference\n"
    "\n"
    "This page is generated from the tables that the program itself reads the configuration with.\n"
    "`fieldgate check` names every mistake with its line; `fieldgate show` prints what is in effect.\n"
    "\n"
    "| kind | how it is written |\n"
    "|---|---|\n"
    "| name | small letters, digits, `-` and `_`, beginning with a letter or digit, at most 63 characters |\n"
    "| duration | a whole number with `ms`, `s`, `min`, `h` or `d`: `500ms`, `10s`, `5min`; never a bare "
    "number |\n"
    "| size | a whole number with `B`, `KiB`, `MiB` or `GiB` (1 KiB is 1024 bytes) |\n"
    "| rate | a size and `/s`: `20KiB/s` |\n"
    "| whole number | decimal, or hexadecimal after `0x` |\n"
    "| number | kept exactly as written: `0.1`, `-40`, `1e-3` |\n"
    "\n"
    "The file is UTF-8 and at most 1 MiB; indentation is made of spaces. YAML's anchors, aliases and tags "
    "are\n"
    "refused. A key that is not in these tables is an error. A list or map may be left empty.\n"
    "\n";

void config_write_reference(struct buf *out)
{
    buf_adds(out, preface);
    buf_adds(out, "## fieldgate.yaml\n");
    add_section(&config_root, out);
    buf_adds(out, "\n## Profiles\n\n"
                  "A profile is a file `<name>.yaml` in the folder `profiles` beside fieldgate.yaml, or in\n"
                  "/usr/share/fieldgate/profiles; the first one found is taken.\n");
    add_section(&config_profile_keys, out);
}
