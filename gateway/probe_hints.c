/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_hints.h"

#include <math.h>
#include <stdio.h>

#include "../drivers/modbus_decode.h"
#include "text.h"

/* Beyond these a float is not a measurement but another number's bits. */
#define FLOAT_LEAST 1e-9
#define FLOAT_MOST 1e12

const char *probe_verdict_word(enum probe_verdict v)
{
    switch (v) {
    case PROBE_GOOD:
        return "good";
    case PROBE_ABSURD:
        return "absurd";
    case PROBE_OUT_OF_RANGE:
        return "out_of_range";
    case PROBE_NO_NUMBER:
        return "sensor_fault";
    case PROBE_REFUSED:
        return "refused";
    }
    return "?";
}

static bool is_bit_table(enum point_register table)
{
    return table == POINT_COIL || table == POINT_DISCRETE_INPUT;
}

static bool is_floating(enum point_type t)
{
    return t == POINT_FLOAT32 || t == POINT_FLOAT64;
}

static bool is_absurd(const struct point *p, const struct reading *r)
{
    if (!is_floating(p->type) || r->value.kind != VALUE_NUMBER)
        return false;
    double scale = fabs(decimal_to_double(p->scale)), value = fabs(decimal_to_double(r->value.number));
    double raw = scale > 0 ? value / scale : value;
    return value != 0 && (raw < FLOAT_LEAST || raw > FLOAT_MOST);
}

enum probe_verdict probe_judge(const struct point *p, const struct probe_words *w, struct reading *ret)
{
    uint8_t bytes[2 * PROBE_WORDS_MAX];
    *ret = (struct reading){.quality = QUALITY_NO_REPLY};
    if (!w->there)
        return PROBE_REFUSED;
    for (size_t i = 0; i < PROBE_WORDS_MAX; i++) {
        bytes[2 * i] = (uint8_t)(w->words[i] >> 8);
        bytes[2 * i + 1] = (uint8_t)w->words[i];
    }
    if (is_bit_table(p->table))
        modbus_decode_bit(w->words[0] != 0, ret);
    else
        modbus_decode_registers(p, bytes, ret);
    if (ret->quality == QUALITY_SENSOR_FAULT)
        return PROBE_NO_NUMBER;
    if (ret->quality == QUALITY_OUT_OF_RANGE)
        return PROBE_OUT_OF_RANGE;
    return is_absurd(p, ret) ? PROBE_ABSURD : PROBE_GOOD;
}

static bool is_zero(const struct reading *r)
{
    return r->value.kind == VALUE_NUMBER && r->value.number.magnitude == 0;
}

bool probe_all_fit(const struct point *points, const struct probe_around *arounds, size_t count, int shift)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct reading r;
        if (probe_judge(&points[i], shift < 0 ? &arounds[i].before : &arounds[i].after, &r) != PROBE_GOOD)
            return false;
        any |= !is_zero(&r);
    }
    return any;
}

/* Judges one more way; counts it unless there is nothing to read. */
static size_t add_view(struct probe_view *ret, size_t count, enum probe_way way, const struct point *as,
                       const struct probe_words *w)
{
    struct probe_view v = {.way = way, .as = *as};
    enum probe_verdict verdict = probe_judge(as, w, &v.reading);
    if (verdict == PROBE_REFUSED || count == PROBE_VIEWS_MAX)
        return count;
    v.plausible = verdict == PROBE_GOOD && !is_zero(&v.reading);
    /* Without a range any bits make a plausible integer. */
    if (way == PROBE_TYPE && !is_floating(as->type) && !as->has_min && !as->has_max)
        v.plausible = false;
    ret[count] = v;
    return count + 1;
}

static size_t add_orders(const struct point *p, const struct probe_words *w, struct probe_view *ret,
                         size_t count)
{
    static const enum point_order wide[] = {POINT_ABCD, POINT_CDAB, POINT_BADC, POINT_DCBA};
    /* Of one register there are only two. */
    static const enum point_order narrow[] = {POINT_ABCD, POINT_DCBA};
    bool is_wide = point_width(p) > 1;
    bool is_swapped = p->order == POINT_BADC || p->order == POINT_DCBA;
    for (size_t i = 0; i < (is_wide ? 4 : 2); i++) {
        struct point as = *p;
        as.order = is_wide ? wide[i] : narrow[i];
        bool same = is_wide ? as.order == p->order : (as.order == POINT_DCBA) == is_swapped;
        if (!same)
            count = add_view(ret, count, PROBE_ORDER, &as, w);
    }
    return count;
}

/* Other types of the same width: the other sign, float for integer and back. */
static size_t add_types(const struct point *p, const struct probe_words *w, struct probe_view *ret,
                        size_t count)
{
    static const enum point_type types[] = {POINT_INT16,   POINT_UINT16, POINT_INT32,  POINT_UINT32,
                                            POINT_FLOAT32, POINT_INT64,  POINT_UINT64, POINT_FLOAT64};
    if (p->type == POINT_BOOL || p->has_bits)
        return count;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct point as = *p;
        as.type = types[i];
        if (as.type != p->type && point_width(&as) == point_width(p))
            count = add_view(ret, count, PROBE_TYPE, &as, w);
    }
    return count;
}

static size_t add_neighbour(const struct point *p, int shift, const struct probe_words *w, bool taken,
                            struct probe_view *ret, size_t count)
{
    struct point as = *p;
    if (p->address + shift < 0 || p->address + shift + point_width(p) > 65536)
        return count;
    as.address = (uint16_t)(p->address + shift);
    size_t more = add_view(ret, count, PROBE_ADDRESS, &as, w);
    if (more > count && taken)
        ret[count].plausible = false;
    return more;
}

size_t probe_views(const struct point *p, const struct probe_around *around,
                   struct probe_view ret[PROBE_VIEWS_MAX])
{
    size_t count = 0;
    if (!is_bit_table(p->table)) {
        count = add_types(p, &around->here, ret, count);
        if (p->type != POINT_BOOL && !p->has_bits)
            count = add_orders(p, &around->here, ret, count);
    }
    count = add_neighbour(p, -1, &around->before, around->before_taken, ret, count);
    return add_neighbour(p, 1, &around->after, around->after_taken, ret, count);
}

void probe_view_name(const struct probe_view *v, char ret[PROBE_TEXT_MAX])
{
    switch (v->way) {
    case PROBE_ORDER:
        snprintf(ret, PROBE_TEXT_MAX, "order %s", probe_order_word(&v->as));
        return;
    case PROBE_TYPE:
        snprintf(ret, PROBE_TEXT_MAX, "type %s", probe_type_word(v->as.type));
        return;
    case PROBE_ADDRESS:
        snprintf(ret, PROBE_TEXT_MAX, "address %d", v->as.address);
        return;
    }
}

void probe_advice(const struct point *p, const struct probe_view *v, char ret[PROBE_TEXT_MAX])
{
    char name[PROBE_TEXT_MAX], number[DECIMAL_TEXT_MAX], value[DECIMAL_TEXT_MAX + 48];
    probe_view_name(v, name);
    if (v->reading.value.kind == VALUE_NUMBER)
        decimal_format(v->reading.value.number, number);
    else
        snprintf(number, sizeof number, "%s", v->reading.value.boolean ? _("on") : _("off"));
    snprintf(value, sizeof value, "%s%s%.40s", number, p->unit ? " " : "", p->unit ? p->unit : "");
    if (v->way != PROBE_ADDRESS)
        snprintf(ret, PROBE_TEXT_MAX, _("set %.40s: it gives %s"), name, value);
    else if (v->as.address < p->address)
        snprintf(ret, PROBE_TEXT_MAX, _("looks like 1-based numbering: %.40s gives %s"), name, value);
    else
        snprintf(ret, PROBE_TEXT_MAX, _("looks like one too low: %.40s gives %s"), name, value);
    text_mend(ret);
}

const char *probe_order_word(const struct point *p)
{
    bool narrow = point_width(p) == 1;
    switch (p->order) {
    case POINT_ABCD:
        return narrow ? "AB" : "ABCD";
    case POINT_CDAB:
        return narrow ? "AB" : "CDAB";
    case POINT_BADC:
        return narrow ? "BA" : "BADC";
    case POINT_DCBA:
        return narrow ? "BA" : "DCBA";
    }
    return "?";
}

const char *probe_type_word(enum point_type type)
{
    switch (type) {
    case POINT_BOOL:
        return "bool";
    case POINT_INT16:
        return "int16";
    case POINT_UINT16:
        return "uint16";
    case POINT_INT32:
        return "int32";
    case POINT_UINT32:
        return "uint32";
    case POINT_INT64:
        return "int64";
    case POINT_UINT64:
        return "uint64";
    case POINT_FLOAT32:
        return "float32";
    case POINT_FLOAT64:
        return "float64";
    }
    return "?";
}

const char *probe_table_word(enum point_register table)
{
    switch (table) {
    case POINT_COIL:
        return "coil";
    case POINT_DISCRETE_INPUT:
        return "discrete_input";
    case POINT_INPUT:
        return "input";
    case POINT_HOLDING:
        return "holding";
    }
    return "?";
}
