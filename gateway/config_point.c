/* SPDX-License-Identifier: Apache-2.0 */
#include "config_point.h"

#include <string.h>

#include "config_counter.h"
#include "config_number.h"
#include "config_parse.h"
#include "config_rule.h"
#include "config_tables.h"
#include "text.h"

/* The point that is being finished, and where it stands. */
struct job {
    const struct config_file *f;
    const struct config_at *at;
    const struct yaml_node *map;
    struct point *p;
};

static const struct yaml_node *place(const struct job *j, const char *key)
{
    return config_place(j->map, key);
}

static bool given(const struct job *j, const char *key)
{
    return yaml_doc_find(j->map, key) != NULL;
}

static const char *word(const char *key, int64_t value)
{
    return config_word_of(config_key_find(&config_point_keys, key)->words, value);
}

static bool is_bit_table(enum point_register table)
{
    return table == POINT_COIL || table == POINT_DISCRETE_INPUT;
}

static bool is_float(enum point_type type)
{
    return type == POINT_FLOAT32 || type == POINT_FLOAT64;
}

/* How the manual would number the first place of a table. */
static int manual_base(enum point_register table)
{
    switch (table) {
    case POINT_COIL:
        return 1;
    case POINT_DISCRETE_INPUT:
        return 10001;
    case POINT_INPUT:
        return 30001;
    case POINT_HOLDING:
        return 40001;
    }
    return 0;
}

static void check_reference(const struct job *j, const struct yaml_node *reference, bool register_given)
{
    enum point_register table;
    uint16_t address;
    struct config_at at = {.up = j->at, .key = "reference"};
    if (reference->kind != YAML_SCALAR || config_reference_parse(reference->text, &table, &address, NULL) < 0)
        return; /* reported when it was parsed */
    if (given(j, "address")) {
        config_error(j->f, reference, &at,
                     _("stands beside address; keep one of them (%s means register: %s, address: %u)"),
                     reference->text, word("register", table), address);
        return;
    }
    if (register_given && table != j->p->table) {
        config_error(
            j->f, reference, &at,
            _("%s means register: %s, but register says %s, whose numbers begin at %05d; correct one of "
              "them, or write address instead"),
            reference->text, word("register", table), word("register", j->p->table),
            manual_base(j->p->table));
        return;
    }
    j->p->table = table;
    j->p->address = address;
}

/* False when the register table is not known, so that nothing can be said about the type. */
static bool finish_place(const struct job *j)
{
    int64_t ignored;
    int table = config_given_word(&config_point_keys, j->map, "register", &ignored);
    const struct yaml_node *reference = yaml_doc_find(j->map, "reference");
    if (reference && table >= 0)
        check_reference(j, reference, table > 0);
    if (!reference && !given(j, "address"))
        config_error(
            j->f, j->map, j->at,
            _("\"address\" is missing: the register's number on the wire (0-based), or reference: the "
              "manual's number"));
    if (!reference && table == 0)
        config_error(j->f, j->map, j->at,
                     _("\"register\" is missing: coil, discrete_input, input or holding"));
    return table > 0 || (table == 0 && reference);
}

static bool finish_type(const struct job *j)
{
    struct point *p = j->p;
    struct config_at at = {.up = j->at, .key = "type"};
    int64_t ignored;
    int type = config_given_word(&config_point_keys, j->map, "type", &ignored);
    if (type == 0)
        p->type = is_bit_table(p->table) ? POINT_BOOL : POINT_UINT16;
    if (type > 0 && is_bit_table(p->table) && p->type != POINT_BOOL) {
        config_error(j->f, place(j, "type"), &at,
                     _("%s does not fit: a %s is one bit; delete type, or is it register: %s?"),
                     word("type", p->type), word("register", p->table),
                     p->table == POINT_COIL ? "holding" : "input");
        return false;
    }
    return type >= 0;
}

static void check_extent(const struct job *j)
{
    const struct point *p = j->p;
    struct config_at at = {.up = j->at, .key = given(j, "reference") ? "reference" : "address"};
    if ((uint32_t)p->address + point_width(p) > 65536)
        config_error(j->f, place(j, at.key), &at, _("a %s at %u goes beyond the last register, 65535"),
                     word("type", p->type), p->address);
}

static void check_bits(const struct job *j)
{
    struct point *p = j->p;
    struct config_at at = {.up = j->at, .key = "bits"};
    if (!p->has_bits)
        return;
    if (is_bit_table(p->table))
        config_error(j->f, place(j, "bits"), &at,
                     _("has no meaning for a %s, which is one bit already; delete it"),
                     word("register", p->table));
    else if (point_width(p) != 1)
        config_error(j->f, place(j, "bits"), &at,
                     _("does not go with type %s; bits are taken from one 16-bit register"),
                     word("type", p->type));
    else if (p->type == POINT_BOOL && p->bit_first != p->bit_last)
        config_error(j->f, place(j, "bits"), &at, _("a bool is one bit; write bits: %u, or type: uint16"),
                     p->bit_first);
}

static void check_order(const struct job *j)
{
    const struct yaml_node *node = yaml_doc_find(j->map, "order");
    struct config_at at = {.up = j->at, .key = "order"};
    if (!node || node->kind != YAML_SCALAR)
        return;
    size_t bytes = (size_t)point_width(j->p) * 2;
    if (node->len != 4 && node->len != bytes)
        config_error(j->f, node, &at,
                     _("%s names %zu bytes, but a %s has %zu; write ABCD, CDAB, BADC or DCBA"), node->text,
                     node->len, word("type", j->p->type), bytes);
    else if (bytes == 2 && strcmp(node->text, "CDAB") == 0)
        config_warning(j->f, node, &at,
                       _("has no effect on one register; delete it, or is the type 32 bits wide?"));
}

static void check_bool(const struct job *j)
{
    static const char *const numeric[] = {"scale",   "offset", "min",     "max",
                                          "invalid", "order",  "counter", "wrap"};
    for (size_t i = 0; i < sizeof(numeric) / sizeof(numeric[0]); i++) {
        struct config_at at = {.up = j->at, .key = numeric[i]};
        if (given(j, numeric[i]))
            config_error(j->f, place(j, numeric[i]), &at,
                         _("has no meaning for a bool; delete it, or write type: uint16"));
    }
}

/* The raw values a point can have; both zero: no bounds to check. The same bits count as signed and as
 * unsigned, because manuals write 65535 of an int16 and mean -1. */
static void raw_range(const struct point *p, int64_t *ret_min, int64_t *ret_max)
{
    int bits = 16 * point_width(p);
    *ret_min = bits == 64 ? 0 : -(INT64_C(1) << (bits - 1));
    *ret_max = bits == 64 ? 0 : (INT64_C(1) << bits) - 1;
    if (p->has_bits || is_float(p->type)) {
        *ret_min = 0;
        *ret_max = p->has_bits ? (INT64_C(1) << (p->bit_last - p->bit_first + 1)) - 1 : 0;
    }
}

static void add_raw(const struct job *j, const struct config_at *at, const struct yaml_node *node)
{
    struct point *p = j->p;
    struct config_shown shown;
    struct err_note note = {0};
    int64_t value, min, max;
    bool hex = false;
    if (node->kind != YAML_SCALAR) {
        config_error(j->f, node, at, _("must be a whole number, not a list or map"));
        return;
    }
    if (config_int_parse(node->text, &value, &hex, &note) < 0) {
        config_error(j->f, node, at, "\"%s\" %s", config_shown(node->text, &shown), note.text);
        return;
    }
    if (hex && is_float(p->type)) {
        config_error(j->f, node, at,
                     _("0x.. has no meaning for a %s; write the number that the register holds"),
                     word("type", p->type));
        return;
    }
    raw_range(p, &min, &max);
    if (max > 0 && (value < min || value > max)) {
        int bits = p->has_bits ? p->bit_last - p->bit_first + 1 : 16 * point_width(p);
        config_error(j->f, node, at, _("%s does not fit into %d bits; correct it or the type"),
                     config_shown(node->text, &shown), bits);
        return;
    }
    p->invalid[p->invalid_count++] = value;
}

static void finish_invalid(const struct job *j)
{
    const struct yaml_node *node = yaml_doc_find(j->map, "invalid");
    struct config_at at = {.up = j->at, .key = "invalid"};
    if (!node || yaml_doc_is_null(node))
        return;
    if (node->kind == YAML_MAP || (node->kind == YAML_LIST && node->count > POINT_INVALID_MAX)) {
        config_error(j->f, node, &at,
                     node->kind == YAML_MAP ? _("must be a list of raw values: [65535]")
                                            : _("has more than 8 values"));
        return;
    }
    if (node->kind == YAML_SCALAR)
        add_raw(j, &at, node);
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++)
        add_raw(j, &(struct config_at){.up = &at, .index = i}, node->entries[i].value);
}

static void check_numbers(const struct job *j)
{
    const struct point *p = j->p;
    struct config_at min = {.up = j->at, .key = "min"}, scale = {.up = j->at, .key = "scale"};
    if (p->has_min && p->has_max && decimal_compare(p->min, p->max) >= 0)
        config_error(j->f, place(j, "min"), &min, _("must be smaller than max; are they swapped?"));
    if (p->scale.magnitude == 0)
        config_error(j->f, place(j, "scale"), &scale,
                     _("is 0 and would make every value 0; write 1 or delete it"));
}

static void check_name(const struct job *j, const struct yaml_node *list, const struct point *points,
                       size_t i)
{
    struct config_at at = {.up = j->at, .key = "name"};
    for (size_t k = 0; k < i && points[i].name; k++) {
        if (!points[k].name || strcmp(points[k].name, points[i].name) != 0)
            continue;
        config_error(j->f, place(j, "name"), &at,
                     _("\"%s\" is already the point in line %d; give it another name"), points[i].name,
                     config_place(list->entries[k].value, "name")->line);
        return;
    }
}

/* An increment goes by a name that nobody wrote. */
static void check_increment_name(const struct job *j, const struct point *points, size_t count)
{
    struct config_at at = {.up = j->at, .key = "name"};
    const struct point *counter = j->p->name ? config_counter_of(points, count, j->p->name) : NULL;
    if (counter)
        config_error(j->f, place(j, "name"), &at,
                     _("\"%s\" is what the increment of the counter %s is called; give it another name"),
                     j->p->name, counter->name);
}

static void finish(const struct job *j)
{
    if (!finish_place(j) || !finish_type(j))
        return;
    check_extent(j);
    check_bits(j);
    config_rule_finish(j->f, j->at, j->map, j->p, &j->p->report, &j->p->aggregate_ms);
    if (j->p->type == POINT_BOOL) {
        check_bool(j);
        return;
    }
    check_order(j);
    finish_invalid(j);
    check_numbers(j);
    config_counter_finish(j->f, j->at, j->map, j->p);
}

void config_points_finish(const struct config_file *f, const struct config_at *at,
                          const struct yaml_node *map, struct point *points, size_t count)
{
    const struct yaml_node *list = yaml_doc_find(map, "points");
    struct config_at points_at = {.up = at, .key = "points"};
    for (size_t i = 0; i < count; i++) {
        struct config_at here = {.up = &points_at, .index = i};
        struct job j = {.f = f, .at = &here, .map = list->entries[i].value, .p = &points[i]};
        if (j.map->kind != YAML_MAP)
            continue; /* reported when it was parsed */
        check_name(&j, list, points, i);
        check_increment_name(&j, points, count);
        finish(&j);
    }
}
