/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_late.h"

/* How long an answer may still come: this many timeouts, and no less than the floor. */
#define OPEN_TIMEOUTS 12
#define OPEN_FLOOR_US 3000000
/* The longest wait, in timeouts, that one unit may cost the others on the bus. */
#define WAIT_TIMEOUTS 2
/* Scheduling and adapters: an answer is seen somewhat later than it was sent. */
#define MARGIN_US 20000
/* So many answers that took their time, before one that does not is called impossible. */
#define PHYSICS_PROVEN 4

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Lateness varies: what was seen is stretched by a quarter. */
static int64_t stretched(int64_t worst_us)
{
    return worst_us + worst_us / 4 + MARGIN_US;
}

static bool same_request(const struct modbus_request *a, const struct modbus_request *b)
{
    return a->unit == b->unit && a->function == b->function && a->address == b->address &&
           a->count == b->count;
}

static bool same_shape(const struct modbus_request *a, const struct modbus_request *b)
{
    return a->unit == b->unit && a->function == b->function &&
           modbus_frame_data_len(a) == modbus_frame_data_len(b);
}

static bool may_answer(const struct modbus_frame *f, const struct modbus_request *r)
{
    if (f->unit != r->unit || (f->function & 0x7F) != r->function)
        return false;
    return (f->function & 0x80) != 0 || f->data_len == modbus_frame_data_len(r);
}

/* Keeps the open requests for which `keep` says so. */
static void sieve(struct modbus_late *l, bool (*keep)(const struct modbus_late_open *o, int64_t arg),
                  int64_t arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (keep(&l->open[i], arg))
            l->open[kept++] = l->open[i];
    l->count = kept;
}

static bool is_believed(const struct modbus_late_open *o, int64_t now_us)
{
    return o->until_us > now_us;
}

static bool is_of_another(const struct modbus_late_open *o, int64_t unit)
{
    return o->request.unit != unit;
}

/* Nothing of this unit is to come any more. */
static void clear(struct modbus_late *l, uint8_t unit)
{
    sieve(l, is_of_another, unit);
    l->units[unit].rest_until_us = l->units[unit].blind_until_us = 0;
}

/* Closes an open request, and what the same unit was asked before it. */
static void close_up_to(struct modbus_late *l, size_t index)
{
    uint8_t unit = l->open[index].request.unit;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (i > index || l->open[i].request.unit != unit)
            l->open[kept++] = l->open[i];
    l->count = kept;
}

bool modbus_late_is_open(const struct modbus_late *l, uint8_t unit)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->open[i].request.unit == unit)
            return true;
    return l->units[unit].blind_until_us > 0;
}

/* The newest open request whose answer could be taken for the answer to r; NULL: none. */
static const struct modbus_late_open *rival(const struct modbus_late *l, const struct modbus_request *r)
{
    const struct modbus_late_open *found = NULL;
    for (size_t i = 0; i < l->count; i++)
        if (same_shape(&l->open[i].request, r) && !same_request(&l->open[i].request, r))
            found = &l->open[i];
    return found;
}

static enum modbus_late_verdict refuse(struct modbus_late_unit *u, const struct modbus_request *r,
                                       int64_t until_us)
{
    u->rest_function = r->function;
    u->rest_len = modbus_frame_data_len(r);
    u->rest_until_us = longer(u->rest_until_us, until_us);
    return MODBUS_LATE_REFUSE;
}

enum modbus_late_verdict modbus_late_check(struct modbus_late *l, const struct modbus_request *r,
                                           int64_t timeout_us, bool patient, int64_t now_us,
                                           int64_t *ret_until_us)
{
    struct modbus_late_unit *u = &l->units[r->unit];
    sieve(l, is_believed, now_us);
    if (u->blind_until_us > now_us)
        return MODBUS_LATE_REFUSE;
    u->blind_until_us = 0;
    const struct modbus_late_open *o = rival(l, r);
    if (!o) {
        bool rests = u->rest_until_us > now_us && u->rest_function == r->function &&
                     u->rest_len == modbus_frame_data_len(r);
        return rests ? MODBUS_LATE_REFUSE : MODBUS_LATE_GO;
    }
    int64_t longest_us = now_us + timeout_us * WAIT_TIMEOUTS + MARGIN_US;
    int64_t expected_us = o->sent_us + stretched(u->worst_us);
    if (u->worst_us == 0 || expected_us <= now_us)
        expected_us = o->until_us;
    bool worth = patient || expected_us < o->until_us;
    if (!worth || expected_us > longest_us)
        return refuse(u, r, o->until_us);
    *ret_until_us = expected_us;
    return MODBUS_LATE_WAIT;
}

bool modbus_late_clashes(const struct modbus_late *l, const struct modbus_request *r)
{
    return rival(l, r) || l->units[r->unit].blind_until_us > 0;
}

void modbus_late_unanswered(struct modbus_late *l, const struct modbus_request *r, uint16_t transaction,
                            int64_t timeout_us, int64_t sent_us)
{
    struct modbus_late_unit *u = &l->units[r->unit];
    int64_t open_us = longer(timeout_us * OPEN_TIMEOUTS, OPEN_FLOOR_US);
    int64_t until_us = sent_us + longer(open_us, stretched(u->worst_us));
    sieve(l, is_believed, sent_us);
    if (l->count == MODBUS_LATE_OPEN_MAX) {
        u->blind_until_us = longer(u->blind_until_us, until_us);
        return;
    }
    l->open[l->count++] = (struct modbus_late_open){
        .request = *r, .transaction = transaction, .sent_us = sent_us, .until_us = until_us};
}

bool modbus_late_answered(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                          int64_t sent_us)
{
    l->units[r->unit].hidden_until_us = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (!same_request(&l->open[i].request, r))
            continue;
        /* This may have been the answer to any of them: one is gone, the one just sent may be open. */
        bool listened = l->open[i].listened;
        close_up_to(l, i);
        modbus_late_unanswered(l, r, 0, timeout_us, sent_us);
        l->open[l->count - 1].listened = true;
        return !listened;
    }
    clear(l, r->unit);
    return false;
}

void modbus_late_silent(struct modbus_late *l, uint8_t unit, int64_t timeout_us, int64_t sent_us)
{
    l->units[unit].hidden_until_us = sent_us + timeout_us * MODBUS_LATE_TIMEOUTS_MAX;
}

void modbus_late_spoiled(struct modbus_late *l, uint8_t unit, int64_t sent_us)
{
    l->units[unit].hidden_until_us = 0;
    for (int i = 0; i < 256; i++)
        l->units[i].suspect |= l->units[i].hidden_until_us > sent_us;
}

int64_t modbus_late_patience_us(struct modbus_late *l, uint8_t unit, int64_t timeout_us)
{
    bool suspect = l->units[unit].suspect;
    l->units[unit].suspect = false;
    return suspect ? timeout_us * MODBUS_LATE_TIMEOUTS_MAX : timeout_us;
}

void modbus_late_overdue(struct modbus_late *l, uint8_t unit, int64_t behind_us)
{
    l->units[unit].worst_us = longer(l->units[unit].worst_us, behind_us);
}

void modbus_late_damaged(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                         int64_t sent_us)
{
    if (modbus_late_is_open(l, r->unit))
        modbus_late_unanswered(l, r, 0, timeout_us, sent_us);
}

bool modbus_late_seen(struct modbus_late *l, const struct modbus_frame *f, int64_t at_us)
{
    struct modbus_late_unit *u = &l->units[f->unit];
    size_t first = l->count, last = l->count;
    for (size_t i = 0; i < l->count; i++)
        if (may_answer(f, &l->open[i].request)) {
            first = first == l->count ? i : first;
            last = i;
        }
    if (last == l->count)
        return u->blind_until_us > at_us;
    u->hidden_until_us = 0;
    /* Certain is only how far it is behind the last that it can belong to. */
    u->worst_us = longer(u->worst_us, at_us - l->open[last].sent_us);
    close_up_to(l, first);
    if (!modbus_late_is_open(l, f->unit))
        u->rest_until_us = 0;
    return true;
}

bool modbus_late_seen_tcp(struct modbus_late *l, const struct modbus_frame *f, int64_t at_us)
{
    for (size_t i = 0; i < l->count; i++) {
        struct modbus_late_open *o = &l->open[i];
        if (o->transaction != f->transaction || o->request.unit != f->unit)
            continue;
        struct modbus_late_unit *u = &l->units[f->unit];
        u->worst_us = longer(u->worst_us, at_us - o->sent_us);
        o->until_us = 0;
        sieve(l, is_believed, 0);
        return true;
    }
    return false;
}

bool modbus_late_doubts(const struct modbus_late *l, const struct modbus_request *r)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct modbus_request *o = &l->open[i].request;
        if (o->unit == r->unit && o->function == r->function && !same_request(o, r))
            return true;
    }
    return false;
}

bool modbus_late_too_soon(struct modbus_late *l, const struct modbus_request *r, int64_t took_us,
                          int64_t least_us)
{
    /* Clocks of two ends differ by some per cent. */
    bool possible = took_us >= least_us - least_us / 10;
    bool punctual = l->units[r->unit].worst_us == 0 && !modbus_late_is_open(l, r->unit);
    if (punctual && !possible)
        l->physics = -1;
    else if (punctual && l->physics >= 0 && l->physics < PHYSICS_PROVEN)
        l->physics++;
    return !punctual && !possible && l->physics == PHYSICS_PROVEN;
}

int64_t modbus_late_worst_us(const struct modbus_late *l, uint8_t unit)
{
    return l->units[unit].worst_us;
}
