/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_refusal - what is to be done with messages that the broker refuses: waited for, split, given up.
 *
 * Threads    Pure; a refusal belongs to one thread.
 * Ownership  A plain struct, nothing is allocated.
 * Errors     None.
 *
 * Some reasons are about the account or the topic (not authorised, quota, topic name, ...): the lane then
 * pauses, longer each time, and nothing is ever given up. Only a message that was sent after the refusal was
 * heard ends the pause; the late yes to an older one says nothing about it.
 *
 * The others (unspecified, implementation specific, payload format, unknown ones) may be about what is in the
 * message. Its records are set apart as a suspect and the lane goes on behind them. A suspect is sent again
 * as a whole, then by halves, down to one record: splitting loses nothing and needs no proof. A single record
 * is given up only against proof that it is this record: UPLINK_REFUSAL_PROOFS times it was refused again,
 * and before each of them the broker had taken another message of the same lane, sent after the refusal
 * before. So a broker that refuses everything gets nothing thrown away: what was never refused takes turns
 * with the suspects, one message at a time, and when it is refused too, with nothing taken in between, the
 * lane as a whole pauses. The other lane says nothing: it is another topic, with rights and rules of its own.
 * A suspect of the backlog that is alone there may become one of the live lane, which is never alone for
 * long.
 *
 * Where a refused record is in every message, messages get shorter, half each time one is refused, twice as
 * long each time one is taken: most are then taken at once.
 *
 * There is room for UPLINK_REFUSAL_SUSPECTS in each lane. What finds none stays where it is, and is tried
 * again after the lane's pause. Suspects are known for one connection only: the next one, perhaps with
 * another broker, begins with whole messages and without proof.
 */
#ifndef FG_UPLINK_REFUSAL_H
#define FG_UPLINK_REFUSAL_H

#include "uplink_window.h"

#define UPLINK_REFUSAL_FIRST_MS 5000 /* the first pause, usually; each is twice the one before, */
#define UPLINK_REFUSAL_LAST_MS 60000 /* up to this */
#define UPLINK_REFUSAL_PROOFS 5      /* over two minutes: a broker that is only overloaded has calmed down */
#define UPLINK_REFUSAL_SUSPECTS 64

/* Records that were refused, maybe for what they are. */
struct uplink_suspect {
    uint64_t first, last;
    bool in_flight;
    bool repeated;        /* it, or the whole it was part of, had its second chance */
    bool other_was_taken; /* on its lane, since it was refused last */
    unsigned proofs;
    int64_t refused_mono_ms, due_mono_ms, step_ms;
};

struct uplink_refusal_lane {
    int64_t hold_mono_ms; /* nothing is sent before */
    int64_t step_ms;
    int64_t refused_mono_ms; /* the latest refusal */
    unsigned in_a_row;       /* refusals since something was taken */
    bool others_turn;        /* what was never refused goes before a suspect that is due */
    size_t most_records;     /* in a message of what was never refused; 0: no limit of ours */
    int said_reason;         /* the reason that was logged; 0: none since all is well */
    size_t count;
    struct uplink_suspect suspects[UPLINK_REFUSAL_SUSPECTS]; /* the first `count` are in use */
};

struct uplink_refusal {
    int64_t first_ms; /* the first pause */
    struct uplink_refusal_lane lanes[UPLINK_LANES];
};

enum uplink_verdict {
    UPLINK_REFUSAL_WAIT,  /* it comes again by itself, from here or from the window */
    UPLINK_REFUSAL_PROVEN /* this one record is what the broker does not take; to be forgotten then */
};

/* first_ms: the first pause; 0: the usual one. */
void uplink_refusal_init(struct uplink_refusal *r, int64_t first_ms);
/* A new connection; what was said is still known. */
void uplink_refusal_open(struct uplink_refusal *r);
/* Whether the reason may be about what is in a message. */
bool uplink_refusal_is_about_content(int reason);
/* A message was refused. *ret_again: from there on the window is to look again; 0: nowhere. */
enum uplink_verdict uplink_refusal_refused(struct uplink_refusal *r, const struct uplink_flight *f,
                                           int reason, int64_t now_mono_ms, uint64_t *ret_again);
/* A message was taken. */
void uplink_refusal_taken(struct uplink_refusal *r, const struct uplink_flight *f, int64_t now_mono_ms);
/* The suspect that waits longest of those that are due; NULL: none. *wake_mono_ms is put forward to when the
 * next one is due. */
struct uplink_suspect *uplink_refusal_due(struct uplink_refusal *r, enum uplink_lane lane,
                                          int64_t now_mono_ms, int64_t *wake_mono_ms);
/* A message of the lane was sent; its suspect, or NULL. */
void uplink_refusal_sent(struct uplink_refusal *r, enum uplink_lane lane, struct uplink_suspect *q);
/* Whether only one message of the lane may be in flight: the broker has taken none since it refused one. */
bool uplink_refusal_is_doubtful(const struct uplink_refusal *r, enum uplink_lane lane);
/* The lane pauses at least until then. */
void uplink_refusal_hold(struct uplink_refusal *r, enum uplink_lane lane, int64_t until_mono_ms);
/* Shortens from..*to to what is before the next suspect. 0; or, when a suspect of any lane has `from`, its
 * last record. */
uint64_t uplink_refusal_clip(const struct uplink_refusal *r, uint64_t from, uint64_t *to);
/* The records from first to last are no suspects any more; they have begun one, or were sent as one. */
void uplink_refusal_forget(struct uplink_refusal *r, uint64_t first, uint64_t last);
/* A suspect of the backlog becomes one of the live lane; false: it has no room, or pauses. */
bool uplink_refusal_to_live(struct uplink_refusal *r, struct uplink_suspect *q, int64_t now_mono_ms);

#endif
