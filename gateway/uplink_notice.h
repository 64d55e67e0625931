/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_notice - birth and state, the retained messages about ourselves, each when it is due.
 * due.
 *
 * Threads    The uplink's thread.
 * Ownership  A part of the session that it is given; nothing to release.
 * Errors     None. What cannot be sent now is due again later; what the broker never takes is logged once.
 */
#ifndef FG_UPLINK_NOTICE_H
#define FG_UPLINK_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UPLINK_NOTICE_RETRY_MS = 60 * 1000 };

struct uplink_session;

/* A retained message of ours: birth or state. */
struct uplink_notice {
    bool in_flight;
    uint32_t token;
    size_t bytes;
    int64_t due_mono_ms; /* when to publish it next; INT64_MAX: not again */
    int64_t sent_mono_ms, deadline_mono_ms;
    int said_reason; /* refusal that was logged; 0: none since it was taken last */
};

/* Sends birth and state if they are due and the broker allows another message in flight. */
void uplink_notice_send(struct uplink_session *s, int64_t now_mono_ms);
/* Sends the state at once. */
void uplink_notice_send_state(struct uplink_session *s, bool online);
/* The notice that waits for this answer, in flight no longer; NULL: it is for somebody else. */
struct uplink_notice *uplink_notice_take(struct uplink_session *s, uint32_t token);
/* When a message sent now is overdue; a long birth ahead of it is given time. */
int64_t uplink_notice_answer_by(const struct uplink_session *s, int64_t now_mono_ms);

#endif
