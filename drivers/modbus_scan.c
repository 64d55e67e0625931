/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_scan.h"

#include <stdlib.h>
#include <string.h>

#include "modbus_line.h"

/* How long to wait for an answer's first byte: most sensors need 20 to 60 ms. The wait can be short, because
 * a unit that answers later is noticed by its late answer and asked again. */
#define WAIT_SERIAL_MS 70
#define WAIT_PATIENT_MS 300
#define WAIT_SOCKET_MS 300
#define WAIT_AGAIN_MS 1000
/* Modbus exceptions of a TCP gateway: nobody is there. */
#define GATEWAY_NO_PATH 10
#define GATEWAY_NO_ANSWER 11
/* What Linux and USB adapters add to each request. */
#define OVERHEAD_MS 25

/* Unit numbers with which farm sensors leave their factories, the usual ones first. */
static const uint8_t factory_units[] = {1,  2,  3,  4,  10, 11, 14, 20, 43,  44,
                                        45, 46, 47, 50, 60, 61, 69, 80, 144, 192};

/* Settings that sensors are delivered with, the usual ones first. */
static const struct modbus_line usual_lines[] = {{9600, "8N1"}, {4800, "8N1"}, {19200, "8E1"},
                                                 {9600, "8E1"}, {2400, "8N1"}, {115200, "8N1"}};

/* At which a device answers that has TCP itself and no line behind it. */
static const uint8_t direct_units[] = {255, 0};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the plan ---- */

struct builder {
    const struct modbus_scan_options *o;
    struct modbus_line lines[MODBUS_SCAN_LINES_MAX];
    size_t line_count;
    struct modbus_scan_plan *plan;
    size_t cap;
    bool failed;
};

static bool same_line(const struct modbus_line *a, const struct modbus_line *b)
{
    return a->baud == b->baud && strcmp(a->format, b->format) == 0;
}

static bool has_line(const struct builder *b, const struct modbus_line *line)
{
    for (size_t i = 0; i < b->line_count; i++)
        if (same_line(&b->lines[i], line))
            return true;
    return false;
}

static void add_line(struct builder *b, const struct modbus_line *line)
{
    if (line->baud > 0 && line->format[0] && b->line_count < MODBUS_SCAN_LINES_MAX && !has_line(b, line))
        b->lines[b->line_count++] = *line;
}

static void choose_lines(struct builder *b)
{
    const struct modbus_scan_options *o = b->o;
    for (size_t i = 0; i < o->line_count; i++)
        add_line(b, &o->lines[i]);
    if (o->line_count > 0)
        return;
    if (!o->serial) {
        b->lines[b->line_count++] = (struct modbus_line){0};
        return;
    }
    for (size_t i = 0; i < COUNT(usual_lines); i++)
        add_line(b, &usual_lines[i]);
    for (size_t i = 0; i < o->known_count; i++)
        if (o->known[i].line.format[2] != '2') /* one stop bit is understood where two are set */
            add_line(b, &o->known[i].line);
}

static bool in_units(const struct modbus_scan_options *o, int unit)
{
    return unit >= o->first_unit && unit <= o->last_unit;
}

static bool is_factory(const struct modbus_scan_options *o, int unit)
{
    for (size_t i = 0; i < COUNT(factory_units); i++)
        if (factory_units[i] == unit)
            return true;
    for (size_t i = 0; i < o->known_count; i++)
        if (o->known[i].unit == unit)
            return true;
    return false;
}

static bool is_direct(const struct modbus_scan_options *o, int unit)
{
    return !o->serial && (unit == direct_units[0] || unit == direct_units[1]);
}

static bool has_try(const struct builder *b, const struct modbus_scan_try *t)
{
    for (size_t i = 0; i < b->plan->count; i++) {
        const struct modbus_scan_try *other = &b->plan->tries[i];
        if (other->unit == t->unit && other->function == t->function && other->address == t->address &&
            same_line(&other->line, &t->line))
            return true;
    }
    return false;
}

static void append(struct builder *b, const struct modbus_scan_try *t)
{
    struct modbus_scan_plan *p = b->plan;
    if (p->count == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 256;
        struct modbus_scan_try *more = realloc(p->tries, cap * sizeof *more);
        b->failed |= !more;
        if (!more)
            return;
        p->tries = more;
        b->cap = cap;
    }
    p->tries[p->count++] = *t;
}

static struct modbus_scan_try make_try(const struct builder *b, size_t line, int unit, uint8_t function,
                                       uint16_t address)
{
    return (struct modbus_scan_try){.line = b->lines[line],
                                    .unit = (uint8_t)unit,
                                    .function = function,
                                    .address = address,
                                    .wait_ms = b->o->wait_ms};
}

/* What makers deliver: setting, unit and a register that is there. */
static void add_known(struct builder *b)
{
    const struct modbus_scan_options *o = b->o;
    for (uint8_t function = 3; function <= 4; function++)
        for (size_t l = 0; l < b->line_count; l++)
            for (size_t i = 0; i < o->known_count; i++) {
                const struct modbus_scan_known *k = &o->known[i];
                if (k->unit == 0 || !in_units(o, k->unit) || k->function != function)
                    continue;
                if (o->serial && !same_line(&k->line, &b->lines[l]))
                    continue;
                struct modbus_scan_try t = make_try(b, l, k->unit, function, k->address);
                t.patient = true;
                if (!has_try(b, &t))
                    append(b, &t);
            }
}

static void add_any_address(struct builder *b)
{
    for (size_t l = 0; l < b->line_count; l++)
        for (uint8_t function = 3; function <= 4; function++)
            for (int unit = 255; unit >= 248; unit--) {
                struct modbus_scan_try t = make_try(b, l, unit, function, 0);
                t.any_address = true;
                append(b, &t);
            }
}

static void add_factory(struct builder *b, size_t line, uint8_t function)
{
    const struct modbus_scan_options *o = b->o;
    for (size_t i = 0; i < COUNT(factory_units) + o->known_count; i++) {
        int unit = i < COUNT(factory_units) ? factory_units[i] : o->known[i - COUNT(factory_units)].unit;
        struct modbus_scan_try t = make_try(b, line, unit, function, 0);
        if (unit > 0 && in_units(o, unit) && !has_try(b, &t))
            append(b, &t);
    }
    for (size_t i = 0; i < COUNT(direct_units); i++) {
        struct modbus_scan_try t = make_try(b, line, direct_units[i], function, 0);
        if (is_direct(o, t.unit) && in_units(o, t.unit))
            append(b, &t);
    }
}

static void add_rest(struct builder *b, size_t line, uint8_t function)
{
    const struct modbus_scan_options *o = b->o;
    for (int unit = o->first_unit; unit <= o->last_unit; unit++) {
        struct modbus_scan_try t = make_try(b, line, unit, function, 0);
        bool reserved = unit == 0 || unit > 247;
        if (!is_factory(o, unit) && !reserved)
            append(b, &t);
    }
}

int modbus_scan_plan(const struct modbus_scan_options *options, struct modbus_scan_plan *ret,
                     struct err_note *note)
{
    int most = options->serial ? 247 : 255;
    struct builder b = {.o = options, .plan = ret};
    *ret = (struct modbus_scan_plan){0};
    int least = options->serial ? 1 : 0;
    if (options->first_unit < least || options->last_unit > most || options->first_unit > options->last_unit)
        return err_note(note, FG_EINVALID, "units are %d to %d", least, most);
    for (size_t i = 0; i < options->line_count; i++)
        if (modbus_line_check(&options->lines[i], note) < 0)
            return FG_EINVALID;
    choose_lines(&b);
    if (options->single && options->serial)
        add_any_address(&b);
    add_known(&b);
    for (size_t l = 0; l < b.line_count; l++)
        for (uint8_t function = 3; function <= 4; function++)
            add_factory(&b, l, function);
    ret->likely = ret->count;
    for (size_t l = 0; l < b.line_count && !options->quick; l++)
        for (uint8_t function = 3; function <= 4; function++)
            add_rest(&b, l, function);
    if (!b.failed)
        return 0;
    modbus_scan_plan_free(ret);
    return err_note(note, FG_ENOMEM, "out of memory");
}

void modbus_scan_plan_free(struct modbus_scan_plan *p)
{
    free(p->tries);
    *p = (struct modbus_scan_plan){0};
}

static int64_t wait_for(const struct modbus_scan_try *t, enum modbus_protocol protocol)
{
    if (t->slow)
        return WAIT_AGAIN_MS;
    if (t->wait_ms > 0)
        return t->wait_ms;
    if (protocol != MODBUS_RTU)
        return WAIT_SOCKET_MS;
    return t->patient || t->any_address ? WAIT_PATIENT_MS : WAIT_SERIAL_MS;
}

bool modbus_scan_fits(const struct modbus_scan_try *t, enum modbus_protocol protocol)
{
    return protocol == MODBUS_TCP || t->any_address || (t->unit >= 1 && t->unit <= 247);
}

int64_t modbus_scan_cost_ms(const struct modbus_scan_try *t, enum modbus_protocol protocol)
{
    int64_t wait = wait_for(t, protocol);
    if (!modbus_scan_fits(t, protocol))
        return 0;
    if (protocol == MODBUS_RTU)
        wait += OVERHEAD_MS + modbus_line_chars_us(&t->line, MODBUS_FRAME_REQUEST_RTU) / 1000;
    return wait;
}

/* ---- the tries ---- */

#define RECENT 8

struct recent {
    struct modbus_scan_try what;
    uint32_t late; /* of the unit, when it was asked */
    bool open;
};

struct modbus_scan {
    struct modbus_link_options options; /* strings are ours */
    char *where;
    struct modbus_link *link;
    struct recent recent[RECENT]; /* tries that nobody answered */
    size_t next;
};

int modbus_scan_open(const struct modbus_link_options *options, struct modbus_scan **ret,
                     struct err_note *note)
{
    bool serial = options->protocol == MODBUS_RTU;
    const char *where = serial ? options->port : options->host;
    struct modbus_scan *s = calloc(1, sizeof *s);
    int err = FG_ENOMEM;
    if (s && (s->where = strdup(where ? where : ""))) {
        s->options = *options;
        s->options.port = serial ? s->where : NULL;
        s->options.host = serial ? NULL : s->where;
        s->options.shared = true;
        err = modbus_link_new(&s->options, &s->link, note);
    }
    if (err < 0) {
        modbus_scan_close(s);
        return err;
    }
    *ret = s;
    return 0;
}

void modbus_scan_close(struct modbus_scan *s)
{
    if (!s)
        return;
    modbus_link_free(s->link);
    free(s->where);
    free(s);
}

/* A link that knows of nothing unanswered. */
static void renew(struct modbus_scan *s)
{
    struct modbus_link *fresh;
    if (modbus_link_new(&s->options, &fresh, NULL) < 0)
        return; /* then the old one will do */
    modbus_link_free(s->link);
    s->link = fresh;
    memset(s->recent, 0, sizeof s->recent);
}

static void ask(struct modbus_scan *s, const struct modbus_ask *a, struct modbus_answer *ret)
{
    modbus_link_ask(s->link, a, ret);
    /* The link leaves a unit alone while a late answer of its could be mistaken for another. Here any answer
     * at all is what is looked for. */
    if (!ret->sent && ret->quality == QUALITY_NO_REPLY) {
        renew(s);
        modbus_link_ask(s->link, a, ret);
    }
}

void modbus_scan_read(struct modbus_scan *s, const struct modbus_ask *a, struct modbus_answer *ret)
{
    for (int i = 0; i < 2; i++) {
        ask(s, a, ret);
        if (ret->quality == QUALITY_GOOD || ret->quality == QUALITY_EXCEPTION ||
            ret->quality == QUALITY_NOT_CONNECTED)
            return;
    }
}

static void remember(struct modbus_scan *s, const struct modbus_scan_try *t)
{
    s->recent[s->next++ % RECENT] =
        (struct recent){.what = *t, .late = modbus_link_late(s->link, t->unit), .open = true};
}

static void find_slow(struct modbus_scan *s, struct modbus_scan_result *ret)
{
    for (size_t i = 0; i < RECENT && !ret->has_slow; i++) {
        struct recent *r = &s->recent[i];
        if (!r->open || modbus_link_late(s->link, r->what.unit) == r->late)
            continue;
        r->open = false;
        ret->has_slow = true;
        ret->slow = r->what;
        ret->slow.slow = true;
    }
}

static enum modbus_scan_outcome judge(const struct modbus_answer *a)
{
    switch (a->quality) {
    case QUALITY_GOOD:
        return MODBUS_SCAN_FOUND;
    case QUALITY_EXCEPTION:
        return a->exception == GATEWAY_NO_PATH || a->exception == GATEWAY_NO_ANSWER ? MODBUS_SCAN_EMPTY
                                                                                    : MODBUS_SCAN_FOUND;
    case QUALITY_NOT_CONNECTED:
        return MODBUS_SCAN_NO_PORT;
    case QUALITY_BAD_CRC:
    case QUALITY_BAD_FRAME:
        return MODBUS_SCAN_GARBLED;
    case QUALITY_NO_REPLY:
    case QUALITY_NOT_DUE:
    case QUALITY_SENSOR_FAULT:
    case QUALITY_OUT_OF_RANGE:
    case QUALITY_CONFIG_ERROR:
        return MODBUS_SCAN_NOBODY;
    }
    return MODBUS_SCAN_NOBODY;
}

void modbus_scan_try(struct modbus_scan *s, const struct modbus_scan_try *t, struct modbus_scan_result *ret)
{
    struct modbus_ask a = {
        .request = {.unit = t->unit, .function = t->function, .address = t->address, .count = 1},
        .line = t->line,
        .timeout_ms = wait_for(t, s->options.protocol)};
    struct modbus_answer answer;
    *ret = (struct modbus_scan_result){0};
    ask(s, &a, &answer);
    ret->outcome = judge(&answer);
    if (ret->outcome == MODBUS_SCAN_GARBLED) { /* once more, with patience: it may have been noise */
        a.timeout_ms = WAIT_AGAIN_MS;
        ask(s, &a, &answer);
        ret->outcome = judge(&answer);
    }
    ret->reply_ms = answer.reply_ms;
    ret->note = answer.note;
    if (ret->outcome == MODBUS_SCAN_NOBODY)
        remember(s, t);
    find_slow(s, ret);
}
