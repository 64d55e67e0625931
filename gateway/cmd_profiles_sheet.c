/* SPDX-License-Identifier: Apache-2.0 */
/* The sheet about one profile: see cmd_profiles.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd_profiles.h"
#include "config_tables.h"
#include "config_value.h"
#include "text.h"

#define LABEL_WIDTH 14
#define PAGE_WIDTH 100

/* One line of the table of points. */
enum { COLUMN_NAME, COLUMN_REGISTER, COLUMN_TYPE, COLUMN_VALUE, COLUMN_UNIT, COLUMN_RANGE, COLUMN_COUNT };
struct row {
    char cells[COLUMN_COUNT][80];
};

static void add_spaces(struct buf *out, int count)
{
    buf_addf(out, "%*s", count > 0 ? count : 0, "");
}

/* Breaks lines between words; every further line begins at the same column. */
static void add_wrapped(struct buf *out, int column, const char *text)
{
    int at = column;
    while (*text) {
        char word[128];
        size_t len = strcspn(text, " ");
        snprintf(word, sizeof(word), "%.*s", (int)len, text);
        int width = cmd_profiles_width(word);
        if (at > column && at + 1 + width > PAGE_WIDTH) {
            buf_addc(out, '\n');
            add_spaces(out, column);
            at = column;
        } else if (at > column) {
            buf_addc(out, ' ');
            at++;
        }
        buf_add(out, text, len);
        at += width;
        text += len;
        text += strspn(text, " ");
    }
    buf_addc(out, '\n');
}

static void add_fact(struct buf *out, const char *label, const char *text)
{
    int width = cmd_profiles_width(label);
    buf_adds(out, label);
    add_spaces(out, LABEL_WIDTH - width);
    add_wrapped(out, width < LABEL_WIDTH ? LABEL_WIDTH : width, text);
}

/* Goes on in a comma-separated list. */
static void add_comma(struct buf *out)
{
    if (out->len > 0)
        buf_adds(out, ", ");
}

static void add_duration(struct buf *out, int64_t ms)
{
    config_value_show(&(struct config_key){.kind = CONFIG_DURATION, .width = sizeof(ms)}, &ms, out);
}

static const char *point_word(const char *key, int64_t value)
{
    return config_word_of(config_key_find(&config_point_keys, key)->words, value);
}

static void add_line(const struct config_profile *p, struct buf *out)
{
    struct buf text = BUF_INIT;
    buf_reserve(&text, 1);
    if (p->line.baud > 0)
        buf_addf(&text, _("%d bit/s"), p->line.baud);
    if (p->line.format[0]) {
        add_comma(&text);
        buf_adds(&text, p->line.format);
    }
    if (p->unit > 0) {
        add_comma(&text);
        buf_addf(&text, _("unit %d"), p->unit);
    }
    if (text.len == 0)
        buf_adds(&text, _("not known; look on the label and in the papers"));
    if (buf_ok(&text))
        add_fact(out, _("factory line"), text.data);
    buf_fini(&text);
}

static void add_limits(const struct config_profile *p, struct buf *out)
{
    struct buf text = BUF_INIT;
    buf_reserve(&text, 1);
    if (p->min_every_ms > 0) {
        buf_adds(&text, _("nothing new sooner than every "));
        add_duration(&text, p->min_every_ms);
    }
    if (p->pause_ms > 0) {
        add_comma(&text);
        buf_adds(&text, _("silence before each request "));
        add_duration(&text, p->pause_ms);
    }
    if (p->max_registers > 0) {
        add_comma(&text);
        buf_addf(&text, _("at most %d registers per request"), p->max_registers);
    }
    if (p->max_hole > 0) {
        add_comma(&text);
        buf_addf(&text, _("reads across %d undescribed registers"), p->max_hole);
    }
    if (text.len > 0 && buf_ok(&text))
        add_fact(out, _("limits"), text.data);
    buf_fini(&text);
}

static void add_probes(const struct config_profile *p, struct buf *out)
{
    for (size_t i = 0; i < p->probe_count; i++) {
        const struct config_probe *probe = &p->probes[i];
        struct buf text = BUF_INIT;
        buf_addf(&text, "%s 0x%04X", point_word("register", (int64_t)probe->table), probe->address);
        if (probe->count > 1)
            buf_addf(&text, "..0x%04X", probe->address + probe->count - 1);
        if (probe->note)
            buf_addf(&text, ": %s", probe->note);
        if (buf_ok(&text))
            add_fact(out, i == 0 ? _("identify") : "", text.data);
        buf_fini(&text);
    }
}

/* The number that a manual would print for a register, 1-based with its table in front. */
static unsigned manual_number(const struct point *p)
{
    static const unsigned tables[] = {
        [POINT_COIL] = 0, [POINT_DISCRETE_INPUT] = 1, [POINT_INPUT] = 3, [POINT_HOLDING] = 4};
    unsigned place = p->address < 9999 ? 10000 : 100000;
    return tables[p->table] * place + p->address + 1;
}

static void decimal_cell(struct decimal value, const char *before, char *ret, size_t cap)
{
    char number[DECIMAL_TEXT_MAX];
    size_t len = strlen(ret);
    decimal_format(value, number);
    snprintf(ret + len, cap - len, "%s%s", before, number);
}

static void fill_value(const struct point *p, char *ret, size_t cap)
{
    struct decimal offset = p->offset;
    ret[0] = '\0';
    if (p->type == POINT_BOOL)
        return;
    decimal_cell(p->scale, "x ", ret, cap);
    if (offset.magnitude == 0)
        return;
    offset.negative = false;
    decimal_cell(offset, p->offset.negative ? " - " : " + ", ret, cap);
}

static void fill_range(const struct point *p, char *ret, size_t cap)
{
    ret[0] = '\0';
    if (p->has_min && p->has_max) {
        decimal_cell(p->min, "", ret, cap);
        decimal_cell(p->max, "..", ret, cap);
    } else if (p->has_min) {
        decimal_cell(p->min, _("from "), ret, cap);
    } else if (p->has_max) {
        decimal_cell(p->max, _("to "), ret, cap);
    }
    for (size_t i = 0; i < p->invalid_count; i++) {
        size_t len = strlen(ret);
        snprintf(ret + len, cap - len, "%s%" PRId64,
                 i > 0     ? " "
                 : len > 0 ? _("; no measurement: ")
                           : _("no measurement: "),
                 p->invalid[i]);
    }
}

static void fill_row(const struct point *p, struct row *ret)
{
    enum { CAP = sizeof(ret->cells[0]) };
    const char *type = point_word("type", (int64_t)p->type);
    snprintf(ret->cells[COLUMN_NAME], CAP, "%s", p->name);
    snprintf(ret->cells[COLUMN_REGISTER], CAP, "%s 0x%04X (%05u)", point_word("register", (int64_t)p->table),
             p->address, manual_number(p));
    if (p->has_bits)
        snprintf(ret->cells[COLUMN_TYPE], CAP, _("%s bits %d-%d"), type, p->bit_first, p->bit_last);
    else if (point_width(p) > 1)
        snprintf(ret->cells[COLUMN_TYPE], CAP, "%s %s", type, point_word("order", (int64_t)p->order));
    else
        snprintf(ret->cells[COLUMN_TYPE], CAP, "%s", type);
    fill_value(p, ret->cells[COLUMN_VALUE], CAP);
    snprintf(ret->cells[COLUMN_UNIT], CAP, "%s", p->unit ? p->unit : "");
    fill_range(p, ret->cells[COLUMN_RANGE], CAP);
}

static void widen(int widths[COLUMN_COUNT], const struct row *row)
{
    for (int c = 0; c < COLUMN_COUNT; c++) {
        int width = cmd_profiles_width(row->cells[c]);
        if (width > widths[c])
            widths[c] = width;
    }
}

static void add_row(struct buf *out, const int widths[COLUMN_COUNT], const struct row *row)
{
    int last = COLUMN_COUNT - 1;
    while (last > 0 && !row->cells[last][0])
        last--;
    buf_adds(out, "  ");
    for (int c = 0; c <= last; c++) {
        buf_adds(out, row->cells[c]);
        if (c < last)
            add_spaces(out, widths[c] + 2 - cmd_profiles_width(row->cells[c]));
    }
    buf_addc(out, '\n');
}

static void add_points(const struct config_profile *p, struct buf *out)
{
    int widths[COLUMN_COUNT] = {0};
    struct row head, row;
    const char *const titles[COLUMN_COUNT] = {_("POINT"), _("REGISTER"), _("TYPE"),
                                              _("VALUE"), _("UNIT"),     _("RANGE")};
    for (int c = 0; c < COLUMN_COUNT; c++)
        snprintf(head.cells[c], sizeof(head.cells[c]), "%s", titles[c]);
    widen(widths, &head);
    for (size_t i = 0; i < p->point_count; i++) {
        fill_row(&p->points[i], &row);
        widen(widths, &row);
    }
    buf_addc(out, '\n');
    add_row(out, widths, &head);
    for (size_t i = 0; i < p->point_count; i++) {
        fill_row(&p->points[i], &row);
        add_row(out, widths, &row);
    }
}

/* A line that can be copied. A minute suits most of a farm's sensors; faster is the technician's choice. */
static void add_example(const struct config_profile *p, struct buf *out)
{
    int64_t minute = 60000;
    buf_addf(out,
             _("\nTo use it, write under devices: in fieldgate.yaml\n"
               "  - {name: my-sensor, bus: field, unit: %d, profile: %s, every: "),
             p->unit > 0 ? p->unit : 1, p->name);
    add_duration(out, p->min_every_ms > minute ? p->min_every_ms : minute);
    buf_adds(out, "}\n");
}

void cmd_profiles_sheet(const struct config_profile *p, const char *path, struct buf *out)
{
    buf_addf(out, "%s: %s\n\n", p->name, p->title);
    if (p->manufacturer)
        add_fact(out, _("manufacturer"), p->manufacturer);
    add_fact(out, _("maturity"),
             p->tested ? _("tested: tried with a real device")
                       : _("manual: taken from papers, not yet tried with a real device here"));
    if (p->source)
        add_fact(out, _("source"), p->source);
    add_fact(out, _("file"), path);
    add_line(p, out);
    add_limits(p, out);
    if (p->wires)
        add_fact(out, _("wires"), p->wires);
    for (size_t i = 0; i < p->note_count; i++)
        add_fact(out, i == 0 ? _("notes") : "", p->notes[i]);
    add_probes(p, out);
    add_points(p, out);
    add_example(p, out);
}
