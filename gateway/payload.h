/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload - what is written into MQTT messages; the formats behind one interface. Contract: docs/MQTT.md.
 *
 * Threads    Pure functions.
 * Ownership  Output is appended to the caller's buffer; inputs are lent.
 * Errors     Only through the buffer (buf_ok).
 */
#ifndef FG_PAYLOAD_H
#define FG_PAYLOAD_H

#include "buf.h"
#include "layout.h"
#include "store.h"

struct payload_identity {
    const char *gateway;  /* id */
    const char *name;     /* may be NULL */
    const char *software; /* "fieldgate 0.1.0" */
    const char *uplink;
    const char *position_json; /* {"latitude":..,"longitude":..}; NULL: unknown */
    const char *labels_json;   /* {} at least */
};

struct payload_layout {
    uint32_t id;
    const char *text; /* layout.h */
    size_t len;
};

struct payload_birth {
    const char *stream;
    bool durable;             /* what is new goes to the disk */
    const char *streams_json; /* store_streams_waiting() */
    const struct payload_layout *layouts;
    size_t layout_count;
    uint32_t layout; /* in force */
};

struct payload_state {
    bool online;
    int64_t ts_ms;
    uint64_t connection; /* rises with each connect, also across restarts */
    const char *stream;
    uint64_t accepted, delivered, waiting, dropped; /* accepted = delivered + waiting + dropped */
    const char *config;                             /* "current" or "fallback" */
    bool durable;
    bool clock_trusted;
    bool any_host_name; /* the broker's host name is not verified */
};

struct payload_format {
    const char *content_type;
    /* One message of samples and events. sent_ms: when it was first put together. */
    void (*data)(const struct payload_identity *who, const struct layout *layout,
                 const struct store_batch *batch, int64_t sent_ms, struct buf *out);
    void (*birth)(const struct payload_identity *who, const struct payload_birth *birth, int64_t ts_ms,
                  struct buf *out);
    void (*state)(const struct payload_identity *who, const struct payload_state *state, struct buf *out);
};

/* "json"; NULL for a format this version does not have. */
const struct payload_format *payload_format(const char *name);

extern const struct payload_format payload_json; /* payload_json.c */

#endif
