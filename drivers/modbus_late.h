/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_late - keeps late answers on a line without transaction ids from being taken for other answers.
 *
 * Threads    One thread (the bus's).
 * Ownership  A plain struct, embedded; zero is the initial state.
 * Errors     None. Pure: time is an argument (microseconds, monotonic).
 *
 * An RTU answer names unit, function and byte count, but no address. So while a request is unanswered,
 * another one to the same unit with the same function and byte count must not go out: the late answer to the
 * first would be taken for it. (Measured on a slave that answers 100 ms after the timeout: three of three
 * common pollers publish the wrong register from then on.) The rules here:
 * - The very same request may be repeated: whichever answer comes, it is the right register.
 * - One of another shape may go out: the late answer is recognised, counted and skipped. An exception carries
 *   no byte count, so one that may be late is skipped too.
 * - A slave answers in order. An answer of another shape to a newer request proves that what was unanswered
 *   before it never comes; and now minus the oldest unanswered request is the most that this slave can be
 * late.
 *   What was seen of a unit's lateness is remembered for the next time.
 * - A request of the same shape waits for that time (two timeouts at least), or is refused where the wait
 * would hold up the bus; then the unit is left alone for as long. Before any lateness is known, four timeouts
 * (at least 3 s) count.
 *
 * Certain for answers up to two timeouts behind their request, whatever is lost between. Behind that the
 * memory of what was seen makes a wrong one rare (simulated with delays at random up to five timeouts: under
 * two in ten thousand answers); a device so slow needs a longer timeout.
 */
#ifndef FG_MODBUS_LATE_H
#define FG_MODBUS_LATE_H

#include "modbus_frame.h"

struct modbus_late_unit {
    struct modbus_request first;  /* what is unanswered */
    bool mixed;                   /* other requests as well */
    uint16_t outstanding;         /* unanswered, as far as we know */
    int64_t oldest_us, newest_us; /* when they were sent */
    int64_t slow_us;              /* the most that an answer can be behind its request; 0: not known */
    int64_t worst_us;             /* the same, of late answers seen earlier; fades */
    int64_t rest_until_us;
    int64_t timeout_us;
};

struct modbus_late {
    struct modbus_late_unit units[256];
};

enum modbus_late_verdict { MODBUS_LATE_GO, MODBUS_LATE_WAIT, MODBUS_LATE_REFUSE };

/* May this request be sent now? WAIT: listen until *ret_until_us, then ask again. */
enum modbus_late_verdict modbus_late_check(struct modbus_late *l, const struct modbus_request *r,
                                           int64_t timeout_us, int64_t now_us, int64_t *ret_until_us);
/* A request was given up. */
void modbus_late_unanswered(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                            int64_t sent_us);
/* A request was answered, well or badly. */
void modbus_late_answered(struct modbus_late *l, const struct modbus_request *r, int64_t sent_us,
                          int64_t now_us);
/* A frame came that nobody waits for now: true when it is a late answer, which is then counted off. */
bool modbus_late_seen(struct modbus_late *l, const struct modbus_frame *f, int64_t now_us);
/* Whether an exception to this request may really belong to an older one. */
bool modbus_late_doubts(const struct modbus_late *l, const struct modbus_request *r);

#endif
