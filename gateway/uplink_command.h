/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_command - commands that come over an uplink's connection, and the replies to them.
 *
 * Threads    The uplink's thread; commands are carried out on it.
 * Ownership  uplink_command_init()/uplink_command_fini(), also after a failed init; options and mqtt are
 *            lent.
 * Errors     FG_ENOMEM from init. A refused command is an answer and a count; a broker that does not let us
 *            hear commands is a log line.
 *
 * Nothing here costs anything while the uplink may be given no commands. At most BURST commands at once and
 * RATE a second are read and answered; the rest is counted. A reply goes to the response topic when that is
 * <topic>/reply or below it, so that nobody can make us write elsewhere with our rights; else to
 * <topic>/reply.
 */
#ifndef FG_UPLINK_COMMAND_H
#define FG_UPLINK_COMMAND_H

#include "uplink.h"

enum {
    UPLINK_COMMAND_BURST = 20,
    UPLINK_COMMAND_RATE = 2, /* a second */
    UPLINK_REPLIES_MAX = 8,  /* waiting or in flight */
    /* What an MQTT 5 broker may send us in one packet: enough to hear that a command is too long. */
    UPLINK_COMMAND_PACKET_MAX = 128 * 1024,
};

struct uplink_reply {
    struct buf payload;
    char topic[MQTT_RESPONSE_TOPIC_MAX + 1];
    struct buf correlation;
    bool waiting, in_flight;
    uint32_t token;
    int64_t deadline_mono_ms;
    uint64_t number; /* they leave in this order */
};

struct uplink_command {
    const struct uplink_options *options;
    struct mqtt *mqtt;                 /* of the present connection */
    char *command_topic, *reply_topic; /* NULL: no commands */
    struct command_memory memory;
    struct uplink_reply replies[UPLINK_REPLIES_MAX];
    uint64_t number;
    bool closing;      /* this connection is about to end */
    size_t max_packet; /* the broker's; 0: not said */
    int64_t credit_ms; /* for reading commands */
    int64_t credit_mono_ms;
    int64_t refusal_mono_ms;       /* when refusals were logged last; 0: never */
    uint64_t refusals;             /* not logged since */
    int deaf_reason, mute_reason;  /* logged: no subscription, no replies; 0: neither */
    struct uplink_commands counts; /* without those that the client threw away: mqtt_dropped() */
};

int uplink_command_init(struct uplink_command *c, const struct uplink_options *options);
void uplink_command_fini(struct uplink_command *c);

/* A connection stands: subscribes on it. Replies that are not out on an older one are given up. */
void uplink_command_open(struct uplink_command *c, struct mqtt *mqtt, size_t max_packet);
/* MQTT_MESSAGE: carries it out, or refuses; the reply waits for uplink_command_send(). */
void uplink_command_take(struct uplink_command *c, const struct mqtt_incoming *message);
/* This connection is about to end: what still comes is not carried out, and answered so. */
void uplink_command_close(struct uplink_command *c);
/* Publishes replies, at most `room`. */
void uplink_command_send(struct uplink_command *c, size_t room);
size_t uplink_command_in_flight(const struct uplink_command *c);
/* No reply waits or is in flight. */
bool uplink_command_idle(const struct uplink_command *c);
/* By when the broker must have acknowledged something; INT64_MAX: nothing is in flight. */
int64_t uplink_command_deadline(const struct uplink_command *c);
/* MQTT_ACKED (reason 0) and MQTT_REFUSED; false: the token is not ours. */
bool uplink_command_answered(struct uplink_command *c, uint32_t token, int reason);
/* The connection is gone. */
void uplink_command_lost(struct uplink_command *c);

#endif
