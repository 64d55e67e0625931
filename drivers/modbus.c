/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus.h"

#include <stdlib.h>
#include <string.h>

#include "../gateway/clock.h"
#include "modbus_decode.h"
#include "modbus_driver.h"

/* Modbus exception codes that call for something else than telling them. */
#define ILLEGAL_ADDRESS 2
#define ILLEGAL_VALUE 3
/* How often a register that the device refused is asked again. */
#define APART_RETRY_MS 600000
/* A register that was read before is believed missing only after so many refusals in a row: a device that
 * starts up, or a disturbed answer, must not silence it. */
#define STRIKES 3

/* One poll under way. */
struct poll_run {
    struct modbus_driver *m;
    struct modbus_device *d;
    struct reading *readings;
    struct driver_result *result;
    bool answered; /* anything at all came from the device */
    bool asked;
};

/* ---- opening ---- */

static void driver_free(struct modbus_driver *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->device_count; i++)
        modbus_device_fini(&m->devices[i]);
    free(m->devices);
    modbus_link_free(m->link);
    if (m->has_lock)
        pthread_mutex_destroy(&m->lock);
    free(m);
}

static bool is_refusal(const struct modbus_answer *a)
{
    return a->quality == QUALITY_EXCEPTION &&
           (a->exception == ILLEGAL_ADDRESS || a->exception == ILLEGAL_VALUE);
}

/* ---- a poll ---- */

/* What the result says when nothing was read: any answer says more than silence, and the last failure the
 * most. */
static void note_failure(struct poll_run *run)
{
    const struct modbus_answer *a = &run->m->answer;
    struct driver_result *r = run->result;
    if (r->failed == QUALITY_GOOD)
        return;
    r->wall_ms = a->wall_ms;
    r->mono_ms = a->mono_ms;
    if (r->failed == QUALITY_EXCEPTION && a->quality != QUALITY_EXCEPTION)
        return;
    if (r->failed != QUALITY_NO_REPLY && a->quality == QUALITY_NO_REPLY)
        return;
    r->failed = a->quality;
    r->exception = a->exception;
    r->trouble = a->trouble;
    r->note = a->note;
}

static void note_data(struct poll_run *run)
{
    const struct modbus_answer *a = &run->m->answer;
    struct driver_result *r = run->result;
    r->failed = QUALITY_GOOD;
    r->exception = 0;
    r->trouble = DRIVER_NO_TROUBLE;
    r->note.text[0] = '\0';
    r->wall_ms = a->wall_ms;
    r->mono_ms = a->mono_ms;
}

static void decode_point(const struct modbus_device *d, size_t i, const struct modbus_block *b,
                         const uint8_t *data, struct reading *ret)
{
    const struct point *p = &d->points[i];
    size_t at = (size_t)(p->address - b->address);
    if (b->table == POINT_COIL || b->table == POINT_DISCRETE_INPUT)
        modbus_decode_bit((data[at / 8] >> at % 8 & 1) != 0, ret);
    else
        modbus_decode_registers(p, data + 2 * at, ret);
}

/* Tells every selected point of a block what became of it. */
static void settle_block(struct poll_run *run, const struct modbus_block *b, const bool *selected)
{
    const struct modbus_answer *a = &run->m->answer;
    struct modbus_device *d = run->d;
    for (size_t k = b->first; k <= b->last; k++) {
        uint32_t i = d->order[k];
        if (!selected[i])
            continue;
        struct modbus_point_state *s = &d->states[i];
        s->good = a->quality == QUALITY_GOOD;
        if (s->good) {
            decode_point(d, i, b, a->data, &run->readings[i]);
            s->known = true;
            s->strikes = 0;
            d->apart[i] = false;
        } else {
            run->readings[i].quality = a->quality;
        }
    }
}

/* The device refused these registers by themselves: keep them apart from now on. */
static void strike_block(struct poll_run *run, const struct modbus_block *b, const bool *selected)
{
    struct modbus_device *d = run->d;
    for (size_t k = b->first; k <= b->last; k++) {
        uint32_t i = d->order[k];
        struct modbus_point_state *s = &d->states[i];
        if (!selected[i])
            continue;
        if (s->strikes < STRIKES)
            s->strikes++;
        if (s->known && s->strikes < STRIKES)
            continue;
        d->apart[i] = true;
        s->retry_mono_ms = clock_mono_ms() + APART_RETRY_MS;
        run->readings[i].quality = QUALITY_CONFIG_ERROR;
    }
}

/* Asks one block and books the outcome. */
static void ask_block(struct poll_run *run, const struct modbus_block *b, const bool *selected)
{
    struct modbus_driver *m = run->m;
    /* A second try is for disturbed answers. Where nobody answered last time it only costs the others. */
    modbus_ask_block(m, run->d, b, run->d->silent && !run->answered ? 1 : m->tries);
    run->asked = true;
    settle_block(run, b, selected);
    if (m->answer.quality == QUALITY_GOOD)
        note_data(run);
    else
        note_failure(run);
    run->answered |= m->answer.quality == QUALITY_GOOD || m->answer.quality == QUALITY_EXCEPTION ||
                     m->answer.quality == QUALITY_BAD_CRC || m->answer.quality == QUALITY_BAD_FRAME;
}

/* Every register of the block is there by itself, yet not together: read less at once from now on. */
static void learn_limit(struct modbus_device *d, const struct modbus_block *b)
{
    if (b->crosses_hole) {
        d->max_hole = 0;
        return;
    }
    bool bits = b->table == POINT_COIL || b->table == POINT_DISCRETE_INPUT;
    uint16_t half = (uint16_t)((bits ? (b->count + 15) / 16 : b->count) / 2);
    d->max_registers = half < 4 ? 4 : half; /* never below the widest point */
    if (d->max_registers > d->given_registers)
        d->max_registers = d->given_registers;
}

/* The device refused a block of several points: ask them one by one to find which it was. */
static void ask_singly(struct poll_run *run, const struct modbus_block *b)
{
    struct modbus_device *d = run->d;
    memset(d->single, 0, d->count * sizeof *d->single);
    for (size_t k = b->first; k <= b->last; k++)
        d->single[d->order[k]] = d->selected[d->order[k]];
    struct modbus_plan_input in = {d->points, d->order, d->count, d->single, d->apart};
    struct modbus_plan_rules rules = {.max_registers = d->max_registers, .singly = true};
    size_t n = modbus_plan(&in, &rules, d->singles);
    if (n == 1) { /* they were all on the same registers: the answer is known already */
        strike_block(run, b, d->single);
        return;
    }
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        ask_block(run, &d->singles[i], d->single);
        if (is_refusal(&run->m->answer))
            strike_block(run, &d->singles[i], d->single);
        good += run->m->answer.quality == QUALITY_GOOD;
        if (run->m->answer.quality == QUALITY_NOT_CONNECTED)
            return;
    }
    if (good == n)
        learn_limit(d, b);
}

/* Selects the points to ask now; the others that are due get the verdict that stands. */
static void select_points(struct poll_run *run, const bool *due)
{
    struct modbus_device *d = run->d;
    uint32_t returns = modbus_link_returns(run->m->link);
    bool same = returns == d->returns;
    int64_t now = clock_mono_ms();
    bool any = false;
    size_t spare = d->count;
    for (size_t i = 0; i < d->count; i++) {
        run->readings[i] = (struct reading){.quality = due[i] ? QUALITY_NO_REPLY : QUALITY_NOT_DUE};
        bool rests = d->apart[i] && same && now < d->states[i].retry_mono_ms;
        d->selected[i] = due[i] && !rests;
        any |= d->selected[i];
        if (!due[i] || !rests)
            continue;
        run->readings[i].quality = QUALITY_CONFIG_ERROR;
        if (spare == d->count)
            spare = i;
    }
    if (!any && spare < d->count) /* something has to be asked, to know whether the device is there at all */
        d->selected[spare] = true;
    if (!same) { /* perhaps it is another device now */
        d->max_registers = d->given_registers;
        d->max_hole = d->given_hole;
    }
    d->returns = returns;
}

/* Which block to begin with: one that was answered last time, because a device is taken for dead when the
 * first block gets no answer, and some devices keep silent about registers that they do not have. */
static size_t first_block(const struct modbus_device *d, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++)
        for (size_t k = d->blocks[b].first; k <= d->blocks[b].last; k++)
            if (d->selected[d->order[k]] && d->states[d->order[k]].good)
                return b;
    return d->turn % blocks;
}

static void run_blocks(struct poll_run *run, size_t blocks)
{
    struct modbus_device *d = run->d;
    const struct modbus_answer *a = &run->m->answer;
    size_t first = first_block(d, blocks);
    for (size_t n = 0; n < blocks; n++) {
        const struct modbus_block *b = &d->blocks[(first + n) % blocks];
        ask_block(run, b, d->selected);
        if (is_refusal(a))
            ask_singly(run, b);
        if (a->quality == QUALITY_NOT_CONNECTED)
            break;
        /* A dead device costs its tries once, not once for every block. A request that was not sent
         * costs nothing and proves nothing. */
        if (a->quality == QUALITY_NO_REPLY && a->sent && !run->answered)
            break;
    }
    if (!run->answered)
        d->turn++;
}

static void mark_unasked(struct poll_run *run)
{
    struct modbus_device *d = run->d;
    if (run->result->failed != QUALITY_NOT_CONNECTED)
        return;
    for (size_t i = 0; i < d->count; i++)
        if (d->selected[i] && run->readings[i].quality == QUALITY_NO_REPLY)
            run->readings[i].quality = QUALITY_NOT_CONNECTED;
}

static void driver_poll(struct driver *driver, size_t device, const bool *due, struct reading *readings,
                        struct driver_result *ret)
{
    struct modbus_driver *m = (struct modbus_driver *)driver;
    struct modbus_device *d = &m->devices[device];
    *ret = (struct driver_result){
        .failed = QUALITY_NO_REPLY, .wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms()};
    struct poll_run run = {.m = m, .d = d, .readings = readings, .result = ret};
    select_points(&run, due);
    size_t blocks = modbus_device_plan(d);
    if (blocks == 0) { /* nothing was due: nothing failed */
        ret->failed = QUALITY_GOOD;
        return;
    }
    run_blocks(&run, blocks);
    mark_unasked(&run);
    d->silent = ret->failed == QUALITY_NO_REPLY;
    if (d->timeout_ms > d->told_timeout_ms)
        ret->raised_timeout_ms = d->told_timeout_ms = d->timeout_ms;
}

static void driver_probe(struct driver *driver, size_t device, struct driver_result *ret)
{
    struct modbus_driver *m = (struct modbus_driver *)driver;
    struct modbus_device *d = &m->devices[device];
    struct modbus_block b = {.table = POINT_HOLDING, .count = 1};
    size_t chosen = d->count ? d->turn % d->count : 0;
    for (size_t i = d->count; i-- > 0;)
        if (d->states[i].known)
            chosen = i;
    if (d->count) {
        b.table = d->points[chosen].table;
        b.address = d->points[chosen].address;
        b.count = point_width(&d->points[chosen]);
    }
    modbus_ask_block(m, d, &b, 1);
    *ret = (struct driver_result){.failed = m->answer.quality,
                                  .wall_ms = m->answer.wall_ms,
                                  .mono_ms = m->answer.mono_ms,
                                  .exception = m->answer.exception,
                                  .trouble = m->answer.trouble,
                                  .note = m->answer.note};
    d->silent = ret->failed == QUALITY_NO_REPLY;
    if (ret->failed != QUALITY_GOOD && ret->failed != QUALITY_EXCEPTION && m->answer.sent)
        d->turn++;
}

static void driver_read_raw(struct driver *driver, size_t device, enum point_register table, uint16_t address,
                            uint16_t count, uint16_t *words, struct driver_result *ret)
{
    struct modbus_driver *m = (struct modbus_driver *)driver;
    const struct modbus_answer *a = &m->answer;
    struct modbus_block b = {.table = table, .address = address, .count = count};
    modbus_ask_block(m, &m->devices[device], &b, m->tries);
    *ret = (struct driver_result){.failed = a->quality,
                                  .wall_ms = a->wall_ms,
                                  .mono_ms = a->mono_ms,
                                  .exception = a->exception,
                                  .trouble = a->trouble,
                                  .note = a->note};
    if (a->quality != QUALITY_GOOD)
        return;
    bool bits = table == POINT_COIL || table == POINT_DISCRETE_INPUT;
    for (size_t i = 0; i < count; i++)
        words[i] = (uint16_t)(bits ? a->data[i / 8] >> i % 8 & 1 : a->data[2 * i] << 8 | a->data[2 * i + 1]);
}

static void driver_release(struct driver *driver)
{
    modbus_link_release(((struct modbus_driver *)driver)->link);
}

static void driver_cancel(struct driver *driver)
{
    modbus_link_cancel(((struct modbus_driver *)driver)->link);
}

static void driver_stats(struct driver *driver, size_t device, struct driver_stats *ret)
{
    struct modbus_driver *m = (struct modbus_driver *)driver;
    pthread_mutex_lock(&m->lock);
    *ret = m->devices[device].stats;
    pthread_mutex_unlock(&m->lock);
    ret->late = modbus_link_late(m->link, m->devices[device].unit);
}

static void driver_bus_stats(struct driver *driver, struct driver_bus_stats *ret)
{
    struct modbus_driver *m = (struct modbus_driver *)driver;
    pthread_mutex_lock(&m->lock);
    ret->busy_permille = modbus_busy_permille(&m->busy, clock_mono_us());
    pthread_mutex_unlock(&m->lock);
    modbus_link_strays(m->link, &ret->foreign_frames, &ret->foreign_bytes);
}

static int64_t driver_cost_us(struct driver *driver, size_t device, const bool *due)
{
    return modbus_device_poll_us(&((struct modbus_driver *)driver)->devices[device], due);
}

static void driver_close(struct driver *driver)
{
    driver_free((struct modbus_driver *)driver);
}

static const struct driver_ops ops = {
    .poll = driver_poll,
    .probe = driver_probe,
    .read_raw = driver_read_raw,
    .release = driver_release,
    .cancel = driver_cancel,
    .stats = driver_stats,
    .bus_stats = driver_bus_stats,
    .cost_us = driver_cost_us,
    .close = driver_close,
};

int modbus_driver_open(const struct modbus_options *options, struct driver **ret, struct err_note *note)
{
    for (size_t i = 0; i < options->device_count; i++) {
        int rc = modbus_device_check(options, &options->devices[i], note);
        if (rc < 0)
            return rc;
    }
    struct modbus_driver *m = calloc(1, sizeof *m);
    if (!m)
        return FG_ENOMEM;
    m->driver.ops = &ops;
    m->protocol = options->protocol;
    m->tries = options->tries > 0 ? options->tries : 1;
    modbus_busy_begin(&m->busy, clock_mono_us());
    m->has_lock = pthread_mutex_init(&m->lock, NULL) == 0;
    m->devices = calloc(options->device_count ? options->device_count : 1, sizeof *m->devices);
    int rc = m->has_lock && m->devices ? 0 : FG_ENOMEM;
    for (size_t i = 0; rc == 0 && i < options->device_count; i++) {
        m->device_count = i + 1;
        rc = modbus_device_init(&m->devices[i], options->protocol, &options->devices[i]);
    }
    struct modbus_link_options link = {.protocol = options->protocol,
                                       .port = options->port,
                                       .rs485 = options->rs485,
                                       .host = options->host,
                                       .tcp_port = options->tcp_port,
                                       .shared = options->device_count > 1};
    link.line = options->device_count ? options->devices[0].line : (struct modbus_line){9600, "8N1"};
    if (rc == 0)
        rc = modbus_link_new(&link, &m->link, note);
    if (rc < 0) {
        driver_free(m);
        return rc;
    }
    *ret = &m->driver;
    return 0;
}
