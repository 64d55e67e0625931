/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_link - the connection of one uplink: which url, when, with which password, and what is said about
 * it.
 *
 * Threads    The uplink's thread.
 * Ownership  uplink_link_init()/uplink_link_fini(); options, mqtt client and pulse are lent for its life.
 * Errors     FG_ENOMEM from init. A connection that fails is a state, a reason and a log line.
 *
 * Urls are tried in order without a pause; when all have failed, the back-off waits. A link that was lost is
 * tried again from the first url; one that was lost before the broker took a single message counts as a
 * failed attempt, so that a broker that accepts and drops us does not keep us from the next one.
 *
 * What is said about a link is damped (uplink_voice.h).
 */
#ifndef FG_UPLINK_LINK_H
#define FG_UPLINK_LINK_H

#include "damp.h"
#include "uplink.h"
#include "uplink_backoff.h"
#include "uplink_clash.h"
#include "uplink_voice.h"

enum uplink_link_state { UPLINK_LINK_DOWN, UPLINK_LINK_CONNECTING, UPLINK_LINK_UP };

#define UPLINK_LINK_TEXT 512

/* What is remembered of one url. */
struct uplink_link_url {
    char said[UPLINK_LINK_TEXT];     /* the failure that was logged in this outage */
    char tls[UPLINK_LINK_TEXT];      /* why TLS fails, as far as is known; "": it does not */
    char tls_said[UPLINK_LINK_TEXT]; /* of that, what was logged */
    int64_t diag_mono_ms;            /* when TLS was looked into; 0: not in this outage */
};

struct uplink_link {
    const struct uplink_options *options;
    struct mqtt *mqtt;
    const char *state_topic; /* where the will is published */
    struct pulse *pulse;
    struct uplink_backoff backoff;
    struct uplink_clash clash;
    enum uplink_link_state state;
    bool useful; /* the broker has taken a message on this connection */
    size_t url;  /* tried now or next, or connected to */
    struct uplink_link_url *urls;
    uint64_t connection; /* number of the newest attempt */
    uint64_t reserved;   /* numbers up to this one are kept as used in the state folder */
    uint64_t connects;
    int64_t since_mono_ms; /* up since, or down since */
    int64_t next_try_mono_ms;
    int64_t attempt_deadline_mono_ms;
    char reason[UPLINK_LINK_TEXT]; /* why it is down */
    bool no_password;              /* why the newest attempt could not begin */
    char credential_said[UPLINK_LINK_TEXT];
    struct uplink_voice voice;
    struct damp_switch clash_told;
    bool up_said;     /* this connection stands in the log */
    int64_t down_ms;  /* before this connection */
    uint64_t waiting; /* when it came up */
    struct buf password;
};

int uplink_link_init(struct uplink_link *l, const struct uplink_options *options, struct mqtt *mqtt,
                     struct pulse *pulse);
void uplink_link_fini(struct uplink_link *l);
/* Whether it is time for the next attempt. */
bool uplink_link_due(const struct uplink_link *l, int64_t now_mono_ms);
/* Takes the number of the next attempt, which no later run will use again. Writes only when a block of
 * numbers is used up: a broker that is dead for a week costs the flash a write in most of a day. */
uint64_t uplink_link_number(struct uplink_link *l);
/* At an orderly end: the next run goes on with the next number. */
void uplink_link_keep_number(struct uplink_link *l);
/* Begins an attempt. will is lent until the connection ends. */
void uplink_link_connect(struct uplink_link *l, const struct mqtt_will *will);
/* Only begins the attempt, with any client, at any url; the password is read anew. */
int uplink_link_dial(struct uplink_link *l, struct mqtt *mqtt, size_t url, const struct mqtt_will *will,
                     struct err_note *note);
/* The connection stands, to l->url. */
void uplink_link_up(struct uplink_link *l, uint64_t waiting);
/* The attempt failed; reason as in MQTT_FAILED. A reason below 0 of TLS is looked into, which asks the
 * resolver once more for the name just found. */
void uplink_link_failed(struct uplink_link *l, int reason, const char *text);
/* To be called now and then: says what could not be said before, if it is still so. */
void uplink_link_tell(struct uplink_link *l, int64_t now_mono_ms);
/* The established connection ended, or was ended by us. */
void uplink_link_lost(struct uplink_link *l, const char *text);
/* After uplink_link_lost(): the other side ended a connection that worked for up_ms; said: because another
 * client took our place. */
void uplink_link_closed(struct uplink_link *l, bool said, int64_t up_ms);
/* While connected, now and then: has a clash of client_ids come to its end? */
void uplink_link_look_for_peace(struct uplink_link *l, int64_t now_mono_ms);

#endif
