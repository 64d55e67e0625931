/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_twin - notices another gateway that publishes on our topic under a client_id of its own.
 *
 * Threads    The uplink's thread.
 * Ownership  A plain struct; options and topic are lent.
 * Errors     None: a broker that does not let us hear is not asked again, and nothing is said.
 *
 * Where client_ids are the same the broker ends one connection for the other (uplink_clash.h). Where they are
 * not, both gateways deliver, and overwrite each other's birth and state. So an uplink that hears commands,
 * and with MQTT 5, also hears what others publish on its state topic (No Local). A twin is whoever says there
 * now that it is online, with a stream that is none of ours: our other uplinks have our stream, and our own
 * old will says offline. Over when nothing was heard for three times the five minutes at which a gateway
 * repeats its state.
 *
 * Some brokers end the connection of who subscribes to what they forbid. A connection that ended before the
 * broker had ever consented is therefore taken for a refusal.
 *
 * Log lines: FG-ID-CLASH, FG-ID-CLASH-OVER.
 */
#ifndef FG_UPLINK_TWIN_H
#define FG_UPLINK_TWIN_H

#include "uplink.h"

enum { UPLINK_TWIN_STREAMS = 4, UPLINK_TWIN_WINDOW_MS = 15 * 60 * 1000, UPLINK_TWIN_AGE_MS = 10 * 60 * 1000 };

struct uplink_twin {
    const struct uplink_options *options;
    const char *topic; /* of our state */
    /* Ours, of late: a message of our own may come late, by way of a bridge. */
    char streams[UPLINK_TWIN_STREAMS][STORE_STREAM_TEXT];
    unsigned next_stream;
    bool allowed;          /* the broker has consented, once */
    bool refused;          /* it is not asked any more */
    uint32_t token;        /* of the question; 0: none is open */
    int64_t heard_mono_ms; /* a twin, last; 0: there is none */
};

/* A connection stands. */
void uplink_twin_open(struct uplink_twin *t, struct mqtt *mqtt);
/* MQTT_ACKED (reason 0) and MQTT_REFUSED; false: the token is not ours. */
bool uplink_twin_answered(struct uplink_twin *t, uint32_t token, int reason);
/* The connection is gone. */
void uplink_twin_lost(struct uplink_twin *t);
/* A stream that is ours from here on. */
void uplink_twin_know(struct uplink_twin *t, const char *stream);
/* MQTT_MESSAGE; false: it is not about this. */
bool uplink_twin_take(struct uplink_twin *t, const struct mqtt_incoming *message, int64_t now_mono_ms);
/* To be called now and then. */
void uplink_twin_look(struct uplink_twin *t, int64_t now_mono_ms);

#endif
