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

static int64_t clear_at(const struct modbus_late_unit *u)
{
    if (u->slow_us > 0)
        return u->newest_us + u->slow_us + u->slow_us / 4 + MARGIN_US;
    int64_t watch = u->timeout_us * WATCH_TIMEOUTS;
    return u->newest_us + (watch > WATCH_FLOOR_US ? watch : WATCH_FLOOR_US);
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
        *u = (struct modbus_late_unit){0};
    if (u->rest_until_us > now_us)
        return MODBUS_LATE_REFUSE;
    if (u->outstanding == 0 || !clashes(u, r))
        return MODBUS_LATE_GO;
    int64_t until = clear_at(u);
    if (until - now_us <= timeout_us * WAIT_TIMEOUTS) {
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
        *u = (struct modbus_late_unit){.first = *r, .oldest_us = sent_us};
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
        *u = (struct modbus_late_unit){0};
        return;
    }
    /* This may have been the answer to any of them: one is gone, the one just sent may be open. */
    if (now_us - u->oldest_us > u->slow_us)
        u->slow_us = now_us - u->oldest_us;
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
    if (now_us - u->oldest_us > u->slow_us)
        u->slow_us = now_us - u->oldest_us;
    if (--u->outstanding == 0)
        *u = (struct modbus_late_unit){0};
    return true;
}

bool modbus_late_doubts(const struct modbus_late *l, const struct modbus_request *r)
{
    const struct modbus_late_unit *u = &l->units[r->unit];
    return u->outstanding > 0 && u->first.function == r->function && !same_request(&u->first, r);
}
