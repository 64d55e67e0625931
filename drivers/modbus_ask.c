/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for one block: see modbus_driver.h. */
#include "../gateway/clock.h"
#include "modbus_driver.h"

/* Exception 11: a TCP gateway's word for no answer from the device behind it. */
#define TARGET_SILENT 11

static void ask_link(struct modbus_driver *m, struct modbus_device *d, const struct modbus_ask *ask)
{
    const struct modbus_answer *a = &m->answer;
    int64_t from_us = clock_mono_us();
    modbus_link_ask(m->link, ask, &m->answer);
    int64_t to_us = clock_mono_us();
    if (a->quality == QUALITY_GOOD)
        modbus_device_measured(d, a->reply_us, a->data_len);
    bool raised = modbus_device_fit_timeout(d, modbus_link_late(m->link, d->unit),
                                            modbus_link_worst_us(m->link, d->unit));
    pthread_mutex_lock(&m->lock);
    modbus_count_answer(&d->stats, a);
    if (raised)
        d->stats.timeout_ms = d->timeout_ms;
    if (a->quality != QUALITY_NOT_CONNECTED) { /* a missing port is not a busy one */
        modbus_busy_note(&m->busy, from_us, to_us);
        d->stats.busy_us += to_us - from_us;
    }
    pthread_mutex_unlock(&m->lock);
}

static uint8_t function_of(enum point_register table)
{
    switch (table) {
    case POINT_COIL:
        return 1;
    case POINT_DISCRETE_INPUT:
        return 2;
    case POINT_HOLDING:
        return 3;
    case POINT_INPUT:
        return 4;
    }
    return 3;
}

static struct modbus_ask ask_for(const struct modbus_device *d, const struct modbus_block *b)
{
    return (struct modbus_ask){.request = {.unit = d->unit,
                                           .function = function_of(b->table),
                                           .address = b->address,
                                           .count = b->count},
                               .line = d->line,
                               .timeout_ms = d->timeout_ms,
                               .gap_ms = d->gap_ms};
}

/* The box on the other side is there, but the device behind it is not. */
static void note_gateway(struct modbus_driver *m, const struct modbus_device *d)
{
    struct modbus_answer *a = &m->answer;
    if (m->protocol == MODBUS_RTU || a->quality != QUALITY_EXCEPTION || a->exception != TARGET_SILENT)
        return;
    a->quality = QUALITY_NO_REPLY;
    a->trouble = DRIVER_SILENCE;
    (void)err_note(&a->note, FG_ETIMEOUT, "unit %d: the gateway says that it does not answer", d->unit);
}

static bool is_held_back(const struct modbus_answer *a)
{
    return !a->sent && a->trouble == DRIVER_LATE;
}

/* Reads these registers only for the sake of an answer, when that is of another shape than what is wanted and
 * nothing late can be taken for it. True when it was asked. */
static bool ask_aside(struct modbus_driver *m, struct modbus_device *d, const struct modbus_request *wanted,
                      const struct modbus_block *b)
{
    struct modbus_ask ask = ask_for(d, b);
    if (ask.request.function == wanted->function &&
        modbus_frame_data_len(&ask.request) == modbus_frame_data_len(wanted))
        return false;
    if (modbus_link_would_clash(m->link, &ask))
        return false;
    ask_link(m, d, &ask);
    return m->answer.sent;
}

/* Something late could be taken for the answer to this block. A prompt answer of another shape proves that it
 * is not to come any more: reads a known point of another width or table, or two that lie side by side. */
static bool clear_account(struct modbus_driver *m, struct modbus_device *d, const struct modbus_block *b)
{
    struct modbus_ask wanted = ask_for(d, b);
    for (size_t k = 0; k < d->count; k++) {
        const struct point *p = &d->points[d->order[k]], *next = NULL;
        struct modbus_block other = {.table = p->table, .address = p->address, .count = point_width(p)};
        if (!d->states[d->order[k]].good)
            continue;
        bool asked = ask_aside(m, d, &wanted.request, &other);
        if (!asked && k + 1 < d->count && d->states[d->order[k + 1]].good)
            next = &d->points[d->order[k + 1]];
        if (next && next->table == p->table && next->address == p->address + other.count &&
            other.count + point_width(next) <= d->max_registers) {
            other.count = (uint16_t)(other.count + point_width(next));
            asked = ask_aside(m, d, &wanted.request, &other);
        }
        if (asked)
            return m->answer.quality == QUALITY_GOOD;
    }
    return false;
}

void modbus_ask_block(struct modbus_driver *m, struct modbus_device *d, const struct modbus_block *b,
                      int tries)
{
    for (int i = 0; i < tries; i++) {
        struct modbus_ask ask = ask_for(d, b);
        ask_link(m, d, &ask);
        if (is_held_back(&m->answer)) {
            ask.patient = !clear_account(m, d, b);
            ask_link(m, d, &ask);
        }
        enum quality q = m->answer.quality;
        if (q == QUALITY_GOOD)
            d->second_tries = i > 0 ? d->second_tries + 1 : 0;
        bool again = q == QUALITY_NO_REPLY || q == QUALITY_BAD_CRC || q == QUALITY_BAD_FRAME;
        if (!again || !m->answer.sent)
            break;
    }
    note_gateway(m, d);
}
