/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_late.h"

/* How long a unit of unknown lateness is watched: this many timeouts, and no less than the floor. */
#define WATCH_TIMEOUTS 4
#define WATCH_FLOOR_US 3000000
/* The longest wait, in timeouts, that one unit may cost the others on the bus. */
#define WAIT_TIMEOUTS 2
/* Scheduling and adapters: an answer is seen somewhat later than it was sent. */
#define MARGIN_US 20000

static bool same_request(const struct modbus_request *a, const struct modbus_request *b)
{
    return a->unit == b->unit && a->function == b->function && a->address == b->address &&
           a->count == b->count;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t clear_at(const struct modbus_late_unit *u)
{
    /* Lateness varies: what was seen is stretched by a quarter, and two timeouts are the least. */
    int64_t seen = longer(u->slow_us, u->worst_us);
    seen += seen / 4;
    if (u->slow_us > 0)
        return u->newest_us + longer(seen, 2 * u->timeout_us) + MARGIN_US;
    return u->newest_us + longer(seen, longer(u->timeout_us * WATCH_TIMEOUTS, WATCH_FLOOR_US));
}

/* Nothing is unanswered any more. */
static void forget(struct modbus_late_unit *u, int64_t worst_us)
{
    *u = (struct modbus_late_unit){.worst_us = worst_us};
}

/* Whether a late answer could be taken for the answer to r. */
static bool clashes(const struct modbus_late_unit *u, const struct modbus_request *r)
{
    if (u->mixed)
        return true;
    if (same_request(&u->first, r))
        return false;
    return u->first.function == r->function && modbus_frame_data_len(&u->first) == modbus_frame_data_len(r);
}

enum modbus_late_verdict modbus_late_check(struct modbus_late *l, const struct modbus_request *r,
                                           int64_t timeout_us, int64_t now_us, int64_t *ret_until_us)
{
    struct modbus_late_unit *u = &l->units[r->unit];
    if (u->outstanding > 0 && now_us >= clear_at(u))
        forget(u, u->worst_us - u->worst_us / 8);
    if (u->rest_until_us > now_us)
        return MODBUS_LATE_REFUSE;
    if (u->outstanding == 0 || !clashes(u, r))
        return MODBUS_LATE_GO;
    int64_t until = clear_at(u);
    if (until - now_us <= timeout_us * WAIT_TIMEOUTS + MARGIN_US) {
        *ret_until_us = until;
        return MODBUS_LATE_WAIT;
    }
    /* Without the rest, repeating the unanswered request in every poll would keep it unanswered for ever. */
    if (u->slow_us > 0)
        u->rest_until_us = until;
    return MODBUS_LATE_REFUSE;
}

void modbus_late_unanswered(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                            int64_t sent_us)
{
    struct modbus_late_unit *u = &l->units[r->unit];
    if (u->outstanding == 0) {
        *u = (struct modbus_late_unit){.first = *r, .oldest_us = sent_us, .worst_us = u->worst_us};
    } else if (!same_request(&u->first, r)) {
        u->mixed = true;
    }
    if (u->outstanding < UINT16_MAX)
        u->outstanding++;
    u->newest_us = sent_us;
    u->timeout_us = timeout_us;
}

void modbus_late_answered(struct modbus_late *l, const struct modbus_request *r, int64_t sent_us,
                          int64_t now_us)
{
    struct modbus_late_unit *u = &l->units[r->unit];
    if (u->outstanding == 0)
        return;
    if (u->mixed || !same_request(&u->first, r)) {
        forget(u, u->worst_us);
        return;
    }
    /* This may have been the answer to any of them: one is gone, the one just sent may be open. */
    u->slow_us = longer(u->slow_us, now_us - u->oldest_us);
    u->newest_us = sent_us;
}

bool modbus_late_seen(struct modbus_late *l, const struct modbus_frame *f, int64_t now_us)
{
    struct modbus_late_unit *u = &l->units[f->unit];
    if (u->outstanding == 0)
        return false;
    bool exception = (f->function & 0x80) != 0;
    bool fits = u->mixed || ((f->function & 0x7F) == u->first.function &&
                             (exception || f->data_len == modbus_frame_data_len(&u->first)));
    if (!fits)
        return false;
    u->slow_us = longer(u->slow_us, now_us - u->oldest_us);
    u->worst_us = longer(u->worst_us, u->slow_us);
    if (--u->outstanding == 0)
        forget(u, u->worst_us);
    return true;
}

bool modbus_late_doubts(const struct modbus_late *l, const struct modbus_request *r)
{
    const struct modbus_late_unit *u = &l->units[r->unit];
    return u->outstanding > 0 && u->first.function == r->function && !same_request(&u->first, r);
}
