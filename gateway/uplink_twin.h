/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_twin - notices another gateway that publishes on our topic under a client_id of its own.
 *
 * Threads    The uplink's thread.
 * Ownership  uplink_twin_init()/uplink_twin_fini(); options and topic are lent.
 * Errors     FG_ENOMEM from init. A broker that does not let us hear is not asked again, and nothing is said.
 *
 * Where client_ids are the same the broker ends one connection for the other (uplink_clash.h). Where they are
 * not, both gateways deliver, and overwrite each other's birth and state. So an uplink that hears commands,
 * and with MQTT 5, also hears what others publish on its state topic (No Local). A twin is whoever says there
 * now that it is online, with a stream that is none of ours: our other uplinks have our stream, and our own
 * old will says offline. Over when nothing was heard for three times the five minutes at which a gateway
 * repeats its state, on one connection on which the broker lets us hear: while we are away nothing is known.
 * What changes all the time is told four times, then every six hours.
 *
 * Some brokers end the connection of who subscribes to what they forbid; an access list may come to forbid it
 * at any time, and each url may be another broker. Two connections in a row that the other side ended before
 * it had answered are therefore taken for a refusal by the broker behind that url; one may be the link.
 *
 * Log lines: FG-ID-CLASH, FG-ID-CLASH-OVER.
 */
#ifndef FG_UPLINK_TWIN_H
#define FG_UPLINK_TWIN_H

#include "damp.h"
#include "uplink.h"

enum { UPLINK_TWIN_STREAMS = 4, UPLINK_TWIN_WINDOW_MS = 15 * 60 * 1000, UPLINK_TWIN_AGE_MS = 10 * 60 * 1000 };

struct uplink_twin {
    const struct uplink_options *options;
    const char *topic; /* of our state */
    /* Ours, of late: a message of our own may come late, by way of a bridge. */
    char streams[UPLINK_TWIN_STREAMS][STORE_STREAM_TEXT];
    unsigned next_stream;
    unsigned char *unanswered; /* for each url: connections in a row that ended with the question open */
    size_t url;                /* connected to */
    uint32_t token;            /* of the question; 0: none is open */
    bool listens;              /* on this connection the broker lets us hear */
    int64_t quiet_mono_ms;     /* while a twin is on: heard last, or listening since */
    bool on;
    char gateway[64], stream[STORE_STREAM_TEXT]; /* the twin's */
    struct damp_switch told;
};

int uplink_twin_init(struct uplink_twin *t, const struct uplink_options *options, const char *topic);
void uplink_twin_fini(struct uplink_twin *t);
/* A connection stands, to the url of this number. */
void uplink_twin_open(struct uplink_twin *t, struct mqtt *mqtt, size_t url);
/* MQTT_ACKED (reason 0) and MQTT_REFUSED; false: the token is not ours. */
bool uplink_twin_answered(struct uplink_twin *t, uint32_t token, int reason, int64_t now_mono_ms);
/* The connection is gone; by_them: we did not end it ourselves. */
void uplink_twin_lost(struct uplink_twin *t, bool by_them);
/* A stream that is ours from here on. */
void uplink_twin_know(struct uplink_twin *t, const char *stream);
/* MQTT_MESSAGE; false: it is not about this. */
bool uplink_twin_take(struct uplink_twin *t, const struct mqtt_incoming *message, int64_t now_mono_ms);
/* While connected, now and then. */
void uplink_twin_look(struct uplink_twin *t, int64_t now_mono_ms);
/* Whether there is a twin, for all we know. */
bool uplink_twin_is_on(const struct uplink_twin *t);

#endif
