/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_device.h"

#include <stdlib.h>

#include "../gateway/text.h"
#include "modbus_late.h"
#include "modbus_line.h"

#define ANSWER_OVERHEAD 5 /* unit, function, byte count, check sum */
#define TIMEOUT_STEP_MS 10
#define SECOND_TRIES_MAX 4
#define MEAN_OVER 16 /* answers that the running mean looks back on, about */

static int check_point(const struct modbus_device_options *o, const struct point *p, uint16_t max_registers,
                       struct err_note *note)
{
    bool bit_table = p->table == POINT_COIL || p->table == POINT_DISCRETE_INPUT;
    uint16_t width = point_width(p);
    const char *wrong = NULL;
    if (p->address + width > 65536)
        wrong = _("reaches beyond address 65535");
    else if (bit_table && p->type != POINT_BOOL)
        wrong = _("is a single bit: its type can only be bool");
    else if (!bit_table && width > max_registers)
        wrong = _("is wider than the registers that may be read at once");
    else if (p->has_bits && (width != 1 || p->bit_first > p->bit_last || p->bit_last > 15))
        wrong = _("has bits that do not lie in one register");
    else if (p->type != POINT_BOOL && p->scale.magnitude == 0)
        wrong = _("has scale 0");
    if (!wrong)
        return 0;
    return err_note(note, FG_EINVALID, "device %s: point %s %s", o->name, p->name, wrong);
}

int modbus_device_check(const struct modbus_options *o, const struct modbus_device_options *d,
                        struct err_note *note)
{
    bool is_tcp = o->protocol == MODBUS_TCP;
    if (d->unit < (is_tcp ? 0 : 1) || d->unit > (is_tcp ? 255 : 247))
        return err_note(note, FG_EINVALID, "device %s: unit %d is not in %s", d->name, d->unit,
                        is_tcp ? "0..255" : "1..247");
    if (d->max_registers > MODBUS_REGISTERS_MAX)
        return err_note(note, FG_EINVALID, "device %s: max_registers %d is above %d", d->name,
                        d->max_registers, MODBUS_REGISTERS_MAX);
    uint16_t max_registers = d->max_registers ? d->max_registers : MODBUS_REGISTERS_MAX;
    for (size_t i = 0; i < d->point_count; i++) {
        int rc = check_point(d, &d->points[i], max_registers, note);
        if (rc < 0)
            return rc;
    }
    return o->protocol == MODBUS_RTU ? modbus_line_check(&d->line, note) : 0;
}

int modbus_device_init(struct modbus_device *d, enum modbus_protocol protocol,
                       const struct modbus_device_options *o)
{
    d->protocol = protocol;
    d->latency_us = -1;
    d->points = o->points;
    d->count = o->point_count;
    d->unit = (uint8_t)o->unit;
    d->line = o->line;
    d->timeout_ms = d->given_timeout_ms = d->told_timeout_ms = d->stats.timeout_ms = o->timeout_ms;
    d->gap_ms = o->gap_ms;
    d->max_registers = d->given_registers = o->max_registers ? o->max_registers : MODBUS_REGISTERS_MAX;
    d->max_hole = d->given_hole = o->max_hole;
    size_t n = d->count ? d->count : 1;
    d->order = calloc(n, sizeof *d->order);
    d->selected = calloc(n, sizeof *d->selected);
    d->apart = calloc(n, sizeof *d->apart);
    d->single = calloc(n, sizeof *d->single);
    d->states = calloc(n, sizeof *d->states);
    d->blocks = calloc(n, sizeof *d->blocks);
    d->singles = calloc(n, sizeof *d->singles);
    if (!d->order || !d->selected || !d->apart || !d->single || !d->states || !d->blocks || !d->singles)
        return FG_ENOMEM;
    modbus_plan_sort(d->points, d->count, d->order);
    return 0;
}

void modbus_device_fini(struct modbus_device *d)
{
    free(d->order);
    free(d->selected);
    free(d->apart);
    free(d->single);
    free(d->states);
    free(d->blocks);
    free(d->singles);
}

size_t modbus_device_plan(struct modbus_device *d)
{
    struct modbus_plan_input in = {d->points, d->order, d->count, d->selected, d->apart};
    struct modbus_plan_rules rules = {
        .max_registers = d->max_registers, .max_hole = d->max_hole, .cost = modbus_device_cost(d)};
    return modbus_plan(&in, &rules, d->blocks);
}

int64_t modbus_device_poll_us(struct modbus_device *d, const bool *due)
{
    for (size_t i = 0; i < d->count; i++)
        d->selected[i] = due[i] && !d->apart[i];
    size_t blocks = modbus_device_plan(d);
    return blocks > 0 ? d->blocks[blocks - 1].total_us : 0;
}

bool modbus_device_fit_timeout(struct modbus_device *d, uint32_t late, int64_t worst_us)
{
    if (late == d->late_known && d->second_tries < SECOND_TRIES_MAX)
        return false;
    d->late_known = late;
    d->second_tries = 0;
    int64_t needed_ms = (worst_us + worst_us / 4) / 1000;
    /* What came while nobody listened may be further behind than can be told. */
    if (needed_ms <= d->timeout_ms)
        needed_ms = d->timeout_ms + d->given_timeout_ms / 2;
    needed_ms += TIMEOUT_STEP_MS - 1;
    needed_ms -= needed_ms % TIMEOUT_STEP_MS;
    if (needed_ms > d->given_timeout_ms * MODBUS_LATE_TIMEOUTS_MAX)
        needed_ms = d->given_timeout_ms * MODBUS_LATE_TIMEOUTS_MAX;
    if (needed_ms <= d->timeout_ms)
        return false;
    d->timeout_ms = needed_ms;
    return true;
}

struct modbus_cost modbus_device_cost(const struct modbus_device *d)
{
    return modbus_cost_of(d->protocol, &d->line, d->gap_ms * 1000, d->latency_us);
}

void modbus_device_measured(struct modbus_device *d, int64_t reply_us, size_t data_len)
{
    int64_t latency_us = reply_us;
    if (d->protocol == MODBUS_RTU)
        latency_us -= modbus_line_chars_us(&d->line, ANSWER_OVERHEAD + data_len);
    if (latency_us < 0)
        latency_us = 0;
    d->latency_us += d->latency_us < 0 ? latency_us + 1 : (latency_us - d->latency_us) / MEAN_OVER;
}
