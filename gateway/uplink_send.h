/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_send - puts messages together from the store and hands them to mqtt.
 *
 * Threads    The uplink's thread.
 * Ownership  uplink_send_init()/uplink_send_fini(), also after a failed init; options and mqtt client
 *            are lent.
 * Errors     FG_ERETRY: the client takes nothing now. FG_EFULL: larger than the broker allows. Others
 *            come from the store.
 *
 * Buffers are kept from message to message, so that sending allocates nothing once warm.
 */
#ifndef FG_UPLINK_SEND_H
#define FG_UPLINK_SEND_H

#include "compress.h"
#include "uplink.h"
#include "uplink_window.h"

struct uplink_send {
    const struct uplink_options *options;
    struct mqtt *mqtt;
    struct compress *compress; /* NULL: not wanted */
    char *lane_topic[UPLINK_LANES];
    char *birth_topic, *state_topic;
    size_t max_packet;          /* the broker's; 0: not said */
    size_t max_refused;         /* learnt from refusals, bytes of payload; 0: none */
    double swell[UPLINK_LANES]; /* bytes sent per byte stored, of late */
    struct store_batch batch;
    struct buf payload, packed;
    struct {
        struct layout *layout;
        uint32_t id;
    } layouts[UPLINK_LANES]; /* in use; the lanes differ while a backlog of an older layout is sent */
};

/* What identifies the state that was published; when it changes, birth and state are published again. */
struct uplink_send_facts {
    char stream[STORE_STREAM_TEXT];
    uint32_t layout;
    bool durable, clock_trusted;
};

int uplink_send_init(struct uplink_send *s, const struct uplink_options *options, struct mqtt *mqtt);
void uplink_send_fini(struct uplink_send *s);

/* Publishes what is undelivered in from..to, as far as one message of at most max_records (0: as
 * configured) and max_bytes carries it; a single record may be longer. Returns how many records, with
 * everything but the lane and the deadline filled into ret; 0: there is nothing. FG_EFULL: ret names the one
 * record that the broker cannot take. */
int uplink_send_data(struct uplink_send *s, enum uplink_lane lane, uint64_t from, uint64_t to,
                     size_t max_records, size_t max_bytes, struct uplink_flight *ret);
/* Whether something undelivered is in from..to, or the store cannot tell. */
bool uplink_send_has(struct uplink_send *s, uint64_t from, uint64_t to);
/* Both return the payload's length. */
int uplink_send_birth(struct uplink_send *s, uint32_t *ret_token);
int uplink_send_state(struct uplink_send *s, bool online, uint64_t connection, uint32_t *ret_token);
/* Replaces out by the state that the broker is to publish when we are gone. */
void uplink_send_will(struct uplink_send *s, uint64_t connection, struct buf *out);
void uplink_send_facts(const struct uplink_send *s, struct uplink_send_facts *ret);

#endif
