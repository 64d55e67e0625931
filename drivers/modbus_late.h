/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_late - keeps late answers on a line without transaction ids from being taken for other answers.
 *
 * Threads    One thread (the bus's).
 * Ownership  A plain struct, embedded; zero is the initial state.
 * Errors     None. Pure: time is an argument (microseconds, monotonic).
 *
 * An RTU answer names unit, function and byte count (its shape), but no address. So while a request is
 * unanswered, another one to the same unit of the same shape must not go out: the late answer to the first
 * would be taken for it. (Measured on a slave that answers 100 ms after the timeout: three of three common
 * pollers publish the wrong register from then on.) The rules here:
 * - What was given up is kept as open, each request by itself, until its answer came, is proven lost, or has
 *   had twelve timeouts (three seconds at least, and a quarter more than this unit was ever seen late).
 * - A slave answers in the order of the questions. A sound answer of a shape that is not open proves that
 *   nothing older is still to come. An answer of an open shape closes the oldest of that shape and whatever
 *   is older.
 * - The very same request may be repeated: whichever answer comes, it is the right register. But it stays
 *   open as often as answers are still missing. If the answer was the late one, the next follows at once, and
 *   a question sent then would collide with it: the caller listens first, once for each that was given up.
 * - A request of another shape may go out: a late answer is recognised, counted and skipped. An exception
 *   carries no byte count, so one that may be late is skipped too.
 * - A request of an open shape at another address waits for the answer as long as this unit was seen late
 *   before (two timeouts at most), or is refused. The caller may then ask for something of another shape: a
 *   prompt answer to that clears the account at once. Where it cannot, the shape rests until it is clear,
 *   because repeating the open request in every poll would keep it open for ever.
 * - An answer that comes while another unit talks spoils both, and nobody can tell what it was. So a unit of
 *   which nothing came is suspect when a question to another, within three of its timeouts, brings damaged
 *   bytes: the next time it is listened for so long, and nobody else is asked meanwhile. (Without that a busy
 *   line hides a unit for ever that answers right behind its timeout: others are asked just then, each time.
 *   An adapter that does not hear while it sends hides an answer that ends within our question.)
 * - On a line where frames take their time, an answer that is complete sooner than it could be sent is late.
 *
 * Certain for answers up to twelve timeouts behind their request, whatever is lost between, from slaves that
 * answer in order. It prefers a missing value to a wrong one.
 */
#ifndef FG_MODBUS_LATE_H
#define FG_MODBUS_LATE_H

#include "modbus_frame.h"

#define MODBUS_LATE_OPEN_MAX 128
/* What a timeout may be raised to, in timeouts, and so how long it is worth listening for who is suspect. */
#define MODBUS_LATE_TIMEOUTS_MAX 3

/* A request that was given up. */
struct modbus_late_open {
    struct modbus_request request;
    bool listened;        /* for its answer, right after the one that was taken for it */
    uint16_t transaction; /* TCP */
    int64_t sent_us;
    int64_t until_us; /* then its answer is not believed to come any more */
};

struct modbus_late_unit {
    int64_t worst_us; /* the furthest that an answer was certainly behind its request; 0: never late */
    int64_t rest_until_us;
    uint8_t rest_function;
    size_t rest_len;
    int64_t blind_until_us;  /* the account is full: nothing may be asked */
    int64_t hidden_until_us; /* nothing came to its last question: until then an answer may hide in what
                              * others say; 0: something came */
    bool suspect;            /* of having done that */
};

struct modbus_late {
    struct modbus_late_open open[MODBUS_LATE_OPEN_MAX]; /* in the order they were sent */
    size_t count;
    struct modbus_late_unit units[256];
    int physics; /* answers of punctual units that took their time on the wire; -1: one did not */
};

enum modbus_late_verdict { MODBUS_LATE_GO, MODBUS_LATE_WAIT, MODBUS_LATE_REFUSE };

/* May this request be sent now? WAIT: listen until *ret_until_us, then ask again. patient: wait also for the
 * mere passing of time, two timeouts at most. */
enum modbus_late_verdict modbus_late_check(struct modbus_late *l, const struct modbus_request *r,
                                           int64_t timeout_us, bool patient, int64_t now_us,
                                           int64_t *ret_until_us);
/* Whether a late answer could be taken for the answer to r. */
bool modbus_late_clashes(const struct modbus_late *l, const struct modbus_request *r);
/* A request was given up. transaction: TCP. */
void modbus_late_unanswered(struct modbus_late *l, const struct modbus_request *r, uint16_t transaction,
                            int64_t timeout_us, int64_t sent_us);
/* A sound answer was taken for this request's. True when the request had been given up before and nobody
 * has listened for the other answer yet, which a slave that is late has ready now. */
bool modbus_late_answered(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                          int64_t sent_us);
/* Whether an answer of this unit may still come. */
bool modbus_late_is_open(const struct modbus_late *l, uint8_t unit);
/* Nothing at all came to a question to this unit, within its timeout. */
void modbus_late_silent(struct modbus_late *l, uint8_t unit, int64_t timeout_us, int64_t sent_us);
/* Damaged bytes came to a question to this unit: whoever else's answer may hide in them is suspect. */
void modbus_late_spoiled(struct modbus_late *l, uint8_t unit, int64_t sent_us);
/* How long to listen for the next answer of this unit: its timeout, three times that if it is suspect, which
 * it is not any more from then on. */
int64_t modbus_late_patience_us(struct modbus_late *l, uint8_t unit, int64_t timeout_us);
/* An awaited answer came so long behind its question, which was more than the timeout. */
void modbus_late_overdue(struct modbus_late *l, uint8_t unit, int64_t behind_us);
/* An answer of the right shape came damaged: nobody can tell whose it was. */
void modbus_late_damaged(struct modbus_late *l, const struct modbus_request *r, int64_t timeout_us,
                         int64_t sent_us);
/* A frame came that nobody waits for now, not before at_us: true when it is a late answer, which is then
 * counted off. */
bool modbus_late_seen(struct modbus_late *l, const struct modbus_frame *f, int64_t at_us);
/* The same on TCP, where the transaction tells. */
bool modbus_late_seen_tcp(struct modbus_late *l, const struct modbus_frame *f, int64_t at_us);
/* Whether an exception to this request may really belong to an older one. */
bool modbus_late_doubts(const struct modbus_late *l, const struct modbus_request *r);
/* Whether an answer to this request, complete so long after it, cannot have been sent in that time, which is
 * at least least_us on the wire. Also learns whether the line obeys the clock at all (a pseudo terminal, or a
 * sensor that is a USB device itself, does not). */
bool modbus_late_too_soon(struct modbus_late *l, const struct modbus_request *r, int64_t took_us,
                          int64_t least_us);
/* The furthest that an answer of this unit was certainly behind its request; 0: never late. */
int64_t modbus_late_worst_us(const struct modbus_late *l, uint8_t unit);

#endif
