/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

enum {
    LAYOUTS_MAX =
        256, /* layouts in one birth message; each is a change of configuration made in one outage */
    PACKET_EXTRA = 128, /* a PUBLISH beside topic and payload; generous */
};

static char *make_topic(const char *prefix, const char *rest)
{
    char *topic = NULL;
    return asprintf(&topic, "%s/%s", prefix, rest) < 0 ? NULL : topic;
}

int uplink_send_init(struct uplink_send *s, const struct uplink_options *options, struct mqtt *mqtt)
{
    *s = (struct uplink_send){.options = options, .mqtt = mqtt};
    store_batch_init(&s->batch);
    buf_init(&s->payload);
    buf_init(&s->packed);
    s->lane_topic[UPLINK_LIVE] = make_topic(options->topic, "data/live");
    s->lane_topic[UPLINK_BACKLOG] = make_topic(options->topic, "data/backlog");
    s->birth_topic = make_topic(options->topic, "birth");
    s->state_topic = make_topic(options->topic, "state");
    s->compress = options->gzip ? compress_new() : NULL;
    for (size_t i = 0; i < UPLINK_LANES; i++)
        s->swell[i] = options->gzip ? 1.0 : 4.0;
    bool whole = s->lane_topic[UPLINK_LIVE] && s->lane_topic[UPLINK_BACKLOG] && s->birth_topic &&
                 s->state_topic && (s->compress || !options->gzip);
    return whole ? 0 : FG_ENOMEM;
}

void uplink_send_fini(struct uplink_send *s)
{
    for (size_t i = 0; i < UPLINK_LANES; i++) {
        free(s->lane_topic[i]);
        layout_free(s->layouts[i].layout);
    }
    free(s->birth_topic);
    free(s->state_topic);
    compress_free(s->compress);
    store_batch_fini(&s->batch);
    buf_fini(&s->payload);
    buf_fini(&s->packed);
}

/* Bytes of payload that the broker takes; SIZE_MAX when it has said nothing. */
static size_t payload_limit(const struct uplink_send *s, const char *topic)
{
    size_t extra = strlen(topic) + PACKET_EXTRA;
    if (s->max_packet == 0)
        return SIZE_MAX;
    return s->max_packet > extra ? s->max_packet - extra : 1;
}

/* The layout of the batch; NULL with 0 when its text is lost: the format then sends what it can. */
static int find_layout(struct uplink_send *s, enum uplink_lane lane, const struct layout **ret)
{
    struct buf text = BUF_INIT;
    struct layout *fresh = NULL;
    *ret = s->layouts[lane].layout;
    if (*ret && s->layouts[lane].id == s->batch.layout)
        return 0;
    int err = store_layout(s->options->store, s->batch.layout, &text);
    if (err == 0)
        err = buf_ok(&text) ? layout_parse(text.data, text.len, &fresh) : FG_ENOMEM;
    buf_fini(&text);
    *ret = NULL;
    if (err < 0)
        return err == FG_ENOTFOUND || err == FG_EINVALID || err == FG_ECORRUPT ? 0 : err;
    layout_free(s->layouts[lane].layout);
    s->layouts[lane].layout = fresh;
    s->layouts[lane].id = s->batch.layout;
    *ret = fresh;
    return 0;
}

/* Encodes the first `count` records; *ret is what goes on the wire. */
static int encode(struct uplink_send *s, const struct layout *layout, size_t count, const struct buf **ret)
{
    size_t whole = s->batch.count;
    buf_reset(&s->payload);
    s->batch.count = count;
    s->options->format->data(&s->options->who, layout, &s->batch, clock_wall_ms(), &s->payload);
    s->batch.count = whole;
    *ret = &s->payload;
    if (!buf_ok(&s->payload))
        return FG_ENOMEM;
    if (!s->compress)
        return 0;
    *ret = &s->packed;
    return compress_gzip(s->compress, s->payload.data, s->payload.len, &s->packed);
}

/* How many of `count` records will fit, after they took `len` bytes; always fewer than before. */
static size_t shrink(size_t count, size_t len, size_t max_bytes)
{
    size_t fits = (size_t)((double)count * (double)max_bytes / (double)len);
    if (fits >= count)
        fits = count - 1;
    return fits > 0 ? fits : 1;
}

static int publish(struct uplink_send *s, const char *topic, bool retained, const struct buf *payload,
                   uint32_t *ret_token)
{
    const struct mqtt_message message = {
        .topic = topic,
        .payload = payload->data,
        .len = payload->len,
        .retained = retained,
        .content_type = s->options->format->content_type,
        .content_encoding = payload == &s->packed ? "gzip" : NULL,
    };
    return mqtt_publish(s->mqtt, &message, ret_token);
}

static void learn_swell(struct uplink_send *s, enum uplink_lane lane, size_t count, size_t len)
{
    size_t stored = 1;
    for (size_t i = 0; i < count; i++)
        stored += s->batch.records[i].body_len + s->batch.records[i].extra_len;
    s->swell[lane] += 0.25 * ((double)len / (double)stored - s->swell[lane]);
}

int uplink_send_data(struct uplink_send *s, enum uplink_lane lane, uint64_t from, uint64_t to,
                     size_t max_records, size_t max_bytes, struct uplink_flight *ret)
{
    const size_t limit = payload_limit(s, s->lane_topic[lane]);
    const size_t most = s->options->batch_samples;
    const struct layout *layout;
    const struct buf *out = &s->payload;

    if (max_bytes > limit)
        max_bytes = limit;
    if (s->max_refused > 0 && max_bytes > s->max_refused)
        max_bytes = s->max_refused;
    const struct store_limits limits = {
        .max_records = max_records > 0 && max_records < most ? max_records : most,
        .max_bytes = (size_t)((double)max_bytes / s->swell[lane]) + 1,
    };
    int n = store_read(s->options->store, s->options->store_index, from, to, &limits, &s->batch);
    if (n <= 0)
        return n;
    int err = find_layout(s, lane, &layout);
    size_t count = (size_t)n;
    while (err == 0) {
        err = encode(s, layout, count, &out);
        if (err < 0 || out->len <= max_bytes || count == 1)
            break;
        count = shrink(count, out->len, max_bytes);
    }
    if (err < 0)
        return err;
    *ret = (struct uplink_flight){
        .first = s->batch.records[0].seq,
        .last = s->batch.records[count - 1].seq,
        .records = count,
        .bytes = out->len,
    };
    learn_swell(s, lane, count, out->len);
    if (out->len > limit)
        return FG_EFULL;
    err = publish(s, s->lane_topic[lane], false, out, &ret->token);
    if (err == FG_ERANGE && count == 1)
        return FG_EFULL;
    return err < 0 ? err : (int)count;
}

bool uplink_send_has(struct uplink_send *s, uint64_t from, uint64_t to)
{
    const struct store_limits one = {.max_records = 1, .max_bytes = 1};
    return store_read(s->options->store, s->options->store_index, from, to, &one, &s->batch) != 0;
}

/* The texts of the layouts, one after the other in one buffer; layouts whose text is lost are left out. */
static size_t collect_layouts(struct uplink_send *s, const uint32_t *ids, size_t count, struct buf *text,
                              struct payload_layout *ret)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = text->len;
        if (store_layout(s->options->store, ids[i], text) < 0)
            continue;
        ret[kept++] = (struct payload_layout){.id = ids[i], .len = text->len - before};
    }
    const char *at = text->data;
    for (size_t i = 0; i < kept; i++) {
        ret[i].text = at;
        at += ret[i].len;
    }
    return kept;
}

/* Encodes the birth with the given layouts into the payload buffer. */
static int encode_birth(struct uplink_send *s, const uint32_t *ids, size_t count)
{
    struct buf text = BUF_INIT, streams = BUF_INIT;
    struct payload_layout layouts[LAYOUTS_MAX];
    struct store_status status;
    store_status(s->options->store, &status);
    size_t kept = collect_layouts(s, ids, count, &text, layouts);
    int err = store_streams_waiting(s->options->store, s->options->store_index, &streams);
    if (err >= 0 && (!buf_ok(&text) || !buf_ok(&streams)))
        err = FG_ENOMEM;
    if (err >= 0) {
        const struct payload_birth birth = {
            .stream = status.stream,
            .durable = status.durable,
            .streams_json = streams.data,
            .layouts = layouts,
            .layout_count = kept,
            .layout = status.layout,
        };
        buf_reset(&s->payload);
        s->options->format->birth(&s->options->who, &birth, clock_wall_ms(), &s->payload);
        err = buf_ok(&s->payload) ? 0 : FG_ENOMEM;
    }
    buf_fini(&text);
    buf_fini(&streams);
    return err < 0 ? err : 0;
}

int uplink_send_birth(struct uplink_send *s, uint32_t *ret_token)
{
    const size_t limit = payload_limit(s, s->birth_topic);
    uint32_t ids[LAYOUTS_MAX];
    int n = store_layouts_waiting(s->options->store, s->options->store_index, ids, LAYOUTS_MAX);
    if (n < 0)
        return n;
    int err = encode_birth(s, ids, (size_t)n);
    /* Too large with all that wait: the layout in force, the newest, is worth more than none. */
    if (err == 0 && s->payload.len > limit && n > 1)
        err = encode_birth(s, &ids[n - 1], 1);
    if (err == 0 && s->payload.len > limit)
        err = FG_EFULL;
    if (err == 0)
        err = publish(s, s->birth_topic, true, &s->payload, ret_token);
    size_t len = s->payload.len;
    buf_fini(&s->payload); /* much longer than a batch and rarely needed */
    return err < 0 ? err : (int)len;
}

static void encode_state(const struct uplink_send *s, bool online, uint64_t connection, struct buf *out)
{
    const struct uplink_options *o = s->options;
    struct store_status status;
    struct store_uplink_status mine;
    store_status(o->store, &status);
    store_uplink_status(o->store, o->store_index, &mine);
    const struct payload_state state = {
        .online = online,
        .ts_ms = clock_wall_ms(),
        .connection = connection,
        .stream = status.stream,
        .accepted = mine.accepted,
        .delivered = mine.delivered,
        .waiting = mine.waiting,
        .dropped = mine.dropped,
        .config = o->config_state,
        .durable = status.durable,
        .clock_trusted = o->clock_trusted(o->context),
        .any_host_name = o->mqtt.any_host_name,
    };
    buf_reset(out);
    o->format->state(&o->who, &state, out);
}

int uplink_send_state(struct uplink_send *s, bool online, uint64_t connection, uint32_t *ret_token)
{
    encode_state(s, online, connection, &s->payload);
    if (!buf_ok(&s->payload))
        return FG_ENOMEM;
    int err = publish(s, s->state_topic, true, &s->payload, ret_token);
    if (err == FG_ERANGE)
        err = FG_EFULL;
    return err < 0 ? err : (int)s->payload.len;
}

void uplink_send_will(struct uplink_send *s, uint64_t connection, struct buf *out)
{
    encode_state(s, false, connection, out);
}

void uplink_send_facts(const struct uplink_send *s, struct uplink_send_facts *ret)
{
    struct store_status status;
    store_status(s->options->store, &status);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->stream, status.stream, sizeof ret->stream);
    ret->layout = status.layout;
    ret->durable = status.durable;
    ret->clock_trusted = s->options->clock_trusted(s->options->context);
}
