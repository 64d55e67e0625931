/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_session - what happens on one established connection: state and birth first, then the two lanes.
 *
 * Threads    The uplink's thread.
 * Ownership  uplink_session_init()/uplink_session_fini(), also after a failed init; options, voice and mqtt
 *            are lent.
 * Errors     FG_ENOMEM from init. What the broker refuses is logged once per reason and comes again, split
 *            if need be; a single record is given up only as uplink_refusal.h says, or when it is too large.
 *
 * A record is reported to the store as delivered when its message is acknowledged, and in no other case. What
 * was in flight when the connection ended is undecided and is read from the store again.
 */
#ifndef FG_UPLINK_SESSION_H
#define FG_UPLINK_SESSION_H

#include "uplink_command.h"
#include "uplink_notice.h"
#include "uplink_pace.h"
#include "uplink_refusal.h"
#include "uplink_send.h"
#include "uplink_twin.h"
#include "uplink_unheard.h"
#include "uplink_voice.h"
#include "uplink_window.h"

enum {
    UPLINK_STORE_RETRY_MS = 1000,  /* after the store could not be read */
    UPLINK_PACKET_TOO_LARGE = 149, /* the reason of MQTT 5 */
};

struct uplink_session {
    const struct uplink_options *options;
    struct uplink_voice *voice;
    struct mqtt *mqtt;
    struct uplink_send send;
    struct uplink_window window;
    struct uplink_pace pace;
    struct uplink_refusal refusal;
    struct uplink_command command;
    struct uplink_unheard unheard;
    struct uplink_twin twin;
    struct uplink_notice birth, state;
    struct uplink_send_facts facts; /* as published */
    int64_t facts_mono_ms;          /* when they were compared last */
    uint64_t connection;
    size_t most_in_flight;             /* the broker's limit, at most UPLINK_WINDOW_MAX */
    int64_t live_since_mono_ms;        /* since when live records wait for company; 0: none wait */
    int64_t wake_mono_ms;              /* when the next round has something to do */
    bool useful;                       /* the broker has taken a message */
    bool leaving;                      /* nothing new is sent: the uplink moves once all is acknowledged */
    uint64_t messages, bytes, refused; /* since start */
};

int uplink_session_init(struct uplink_session *s, const struct uplink_options *options,
                        struct uplink_voice *voice, struct mqtt *mqtt);
void uplink_session_fini(struct uplink_session *s);

/* The connection stands, to the url of this number. */
void uplink_session_open(struct uplink_session *s, const struct mqtt_event *connected, size_t url,
                         uint64_t connection);
/* Sends what can be sent now and sets wake_mono_ms. */
void uplink_session_round(struct uplink_session *s);
/* MQTT_ACKED and MQTT_REFUSED. */
void uplink_session_acked(struct uplink_session *s, uint32_t token, int reason);
void uplink_session_refused(struct uplink_session *s, uint32_t token, int reason);
/* MQTT_MESSAGE. */
void uplink_session_message(struct uplink_session *s, const struct mqtt_incoming *message);
/* Birth and state are published once more. */
void uplink_session_rebirth(struct uplink_session *s);
/* Whether an acknowledgement is overdue. */
bool uplink_session_overdue(const struct uplink_session *s, int64_t now_mono_ms);
/* Sends nothing new but replies from here to the next open; true when all that was sent is decided. */
bool uplink_session_leave(struct uplink_session *s);
/* The connection is gone; reason as in MQTT_LOST; overdue: we gave it up. */
void uplink_session_lost(struct uplink_session *s, int reason, bool overdue);
/* Publishes the offline state and waits at most wait_ms for its acknowledgement. Commands that still come are
 * answered with `not_now`. */
void uplink_session_goodbye(struct uplink_session *s, int64_t wait_ms);
/* Milliseconds until the backlog is empty; -1: unknown; 0: empty. */
int64_t uplink_session_drain(struct uplink_session *s);

/* For the parts of a session: what is sent and undecided, and that the next round comes by then. */
size_t uplink_session_in_flight(const struct uplink_session *s);
void uplink_session_wake_by(struct uplink_session *s, int64_t mono_ms);

#endif
