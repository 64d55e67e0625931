/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON format. Numbers are copied as the text that was stored, never parsed and printed again: what the
 * gateway measured is what the receiver reads, and encoding costs little more than copying.
 */
#include "payload.h"

#include <string.h>

/* An element of a stored body, taken apart; every part is a slice of the body. */
struct element {
    struct sample_element value;    /* len 0: none */
    struct sample_element quality;  /* with its quotes; len 0: good */
    struct sample_element doubtful; /* len 0: none */
    struct sample_element stats;    /* len 0: none; else there is nothing else */
    bool due;
};

static void add_slice(struct buf *out, struct sample_element slice)
{
    buf_add(out, slice.text, slice.len);
}

/* Appends the members of an object (text with its braces) to the object being written. */
static void add_members(struct buf *out, const char *object, size_t len)
{
    if (len <= 2 || object[0] != '{' || object[len - 1] != '}')
        return;
    if (out->len && out->data[out->len - 1] != '{')
        buf_addc(out, ',');
    buf_add(out, object + 1, len - 2);
}

static struct element take_apart(struct sample_element e)
{
    struct element ret = {.due = true};
    switch (e.text[0]) {
    case 'n':
        ret.due = false;
        break;
    case '"':
        ret.quality = e;
        break;
    case '[':
        (void)sample_element_pair(e, &ret.quality, &ret.doubtful);
        break;
    case '{': /* any other such element is of a later version: null, and not good */
        if (memmem(e.text, e.len, "\"n\":", 4)) {
            ret.stats = e;
            return ret;
        }
        break;
    default:
        ret.value = e;
        break;
    }
    if (ret.due && ret.value.len == 0 && ret.quality.len == 0)
        ret.quality = (struct sample_element){"\"config_error\"", 14};
    return ret;
}

enum part { PART_VALUES, PART_QUALITY, PART_DOUBTFUL, PART_STATS };

/* Whether the element appears in the part, and with what text. */
static bool part_of(const struct element *e, enum part part, struct sample_element *ret)
{
    switch (part) {
    case PART_VALUES:
        *ret = e->value.len ? e->value : (struct sample_element){"null", 4};
        return e->due && e->stats.len == 0;
    case PART_QUALITY:
        *ret = e->quality;
        return e->quality.len > 0;
    case PART_DOUBTFUL:
        *ret = e->doubtful;
        return e->doubtful.len > 0;
    case PART_STATS:
        *ret = e->stats;
        return e->stats.len > 0;
    }
    return false;
}

struct parts {
    bool values, quality, doubtful, stats;
};

static struct parts find_parts(const struct layout *layout, const struct store_record *r)
{
    const char *cursor = r->body;
    struct sample_element e;
    struct parts found = {false, false, false, false};
    for (size_t i = 0; sample_next_element(&cursor, r->body + r->body_len, &e); i++) {
        struct element element = take_apart(e);
        if (!layout_point_name(layout, r->device, i))
            break;
        found.values |= element.due && element.stats.len == 0;
        found.quality |= element.quality.len > 0;
        found.doubtful |= element.doubtful.len > 0;
        found.stats |= element.stats.len > 0;
    }
    return found;
}

/* Writes one part of a sample as an object; elements beyond the layout have no name and are left out. */
static void add_part(struct buf *out, const struct layout *layout, const struct store_record *r,
                     const char *key, enum part part)
{
    const char *cursor = r->body;
    struct sample_element e, text;

    buf_add_key(out, key);
    buf_addc(out, '{');
    for (size_t i = 0; sample_next_element(&cursor, r->body + r->body_len, &e); i++) {
        const char *name = layout_point_name(layout, r->device, i);
        struct element element = take_apart(e);
        if (!name)
            break;
        if (!part_of(&element, part, &text))
            continue;
        buf_add_key(out, name);
        add_slice(out, text);
    }
    buf_addc(out, '}');
}

/* What was aggregated needs no empty "values" beside it; links are paid by the byte. */
static void add_readings(struct buf *out, const struct layout *layout, const struct store_record *r)
{
    const struct parts found = find_parts(layout, r);
    if (found.values || !found.stats)
        add_part(out, layout, r, "values", PART_VALUES);
    if (found.quality)
        add_part(out, layout, r, "quality", PART_QUALITY);
    if (found.doubtful)
        add_part(out, layout, r, "doubtful", PART_DOUBTFUL);
    if (found.stats)
        add_part(out, layout, r, "stats", PART_STATS);
}

/* Whether the body is a well-formed array, or one plain word in quotes. */
static bool is_array(const struct store_record *r)
{
    const char *cursor = r->body, *end = r->body + r->body_len;
    struct sample_element e;
    if (r->body_len == 0 || r->body[0] != '[')
        return false;
    while (sample_next_element(&cursor, end, &e))
        ;
    return cursor == end;
}

/* The device is not in the layout (its text is lost): the readings have no names, but they are not lost. */
static void add_nameless(struct buf *out, const struct store_record *r)
{
    buf_add_key(out, "device");
    buf_addf(out, "\"unknown-%u\"", (unsigned)r->device);
    buf_member_text(out, "failed", quality_word(QUALITY_CONFIG_ERROR));
    if (is_array(r)) {
        buf_add_key(out, "raw");
        buf_add(out, r->body, r->body_len);
    }
}

static void add_sample(struct buf *out, const struct layout *layout, const struct store_record *r)
{
    const char *device = layout ? layout_device_name(layout, r->device) : NULL;
    if (!device) {
        add_nameless(out, r);
        return;
    }
    buf_member_text(out, "device", device);
    if (r->body_len > 0 && r->body[0] == '[') {
        add_readings(out, layout, r);
    } else if (sample_is_word(r->body, r->body_len)) {
        buf_add_key(out, "failed");
        buf_add(out, r->body, r->body_len);
    } else {
        buf_member_text(out, "failed", quality_word(QUALITY_CONFIG_ERROR));
    }
}

/* {"span_ms":300000,...} is published with its beginning instead of its length. */
static void add_extra(struct buf *out, const struct store_record *r)
{
    static const char span[] = "{\"span_ms\":";
    const size_t head = sizeof span - 1;
    int64_t ms = 0;
    if (r->extra_len <= head || memcmp(r->extra, span, head) != 0) {
        add_members(out, r->extra, r->extra_len);
        return;
    }
    const char *p = r->extra + head, *end = r->extra + r->extra_len - 1;
    while (p < end && *p >= '0' && *p <= '9' && ms < INT64_MAX / 10 - 9)
        ms = ms * 10 + (*p++ - '0');
    buf_member_int(out, "from", r->ts_ms - ms);
    if (p < end && *p == ',')
        buf_add(out, p, (size_t)(end - p));
}

/* One array of the message: the samples or the events. */
static void add_records(struct buf *out, const struct layout *layout, const struct store_batch *batch,
                        const char *key, bool events)
{
    bool any = false;
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_record *r = &batch->records[i];
        if (r->is_event != events)
            continue;
        if (!any) {
            buf_add_key(out, key);
            buf_addc(out, '[');
        } else {
            buf_addc(out, ',');
        }
        any = true;
        buf_addc(out, '{');
        buf_member_uint(out, "seq", r->seq);
        buf_member_int(out, "ts", r->ts_ms);
        if (events)
            add_members(out, r->body, r->body_len);
        else
            add_sample(out, layout, r);
        add_extra(out, r);
        buf_addc(out, '}');
    }
    if (any)
        buf_addc(out, ']');
}

static void begin(struct buf *out, const struct payload_identity *who)
{
    buf_adds(out, "{\"v\":1");
    buf_member_text(out, "gateway", who->gateway);
}

/* Said only where it is not so. */
static void add_durable(struct buf *out, bool durable)
{
    if (durable)
        return;
    buf_add_key(out, "durable");
    buf_adds(out, "false");
}

static void json_data(const struct payload_identity *who, const struct layout *layout,
                      const struct store_batch *batch, int64_t sent_ms, struct buf *out)
{
    begin(out, who);
    buf_member_text(out, "stream", batch->stream);
    buf_member_uint(out, "layout", batch->layout);
    buf_member_int(out, "sent", sent_ms);
    add_durable(out, batch->durable);
    add_records(out, layout, batch, "samples", false);
    add_records(out, layout, batch, "events", true);
    buf_addc(out, '}');
}

static void add_layouts(struct buf *out, const struct payload_birth *birth)
{
    buf_add_key(out, "layouts");
    buf_addc(out, '[');
    for (size_t i = 0; i < birth->layout_count; i++) {
        const struct payload_layout *l = &birth->layouts[i];
        buf_adds(out, i > 0 ? ",{" : "{");
        buf_member_uint(out, "layout", l->id);
        add_members(out, l->text, l->len);
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
}

static void json_birth(const struct payload_identity *who, const struct payload_birth *birth, int64_t ts_ms,
                       struct buf *out)
{
    begin(out, who);
    if (who->name)
        buf_member_text(out, "name", who->name);
    buf_member_text(out, "software", who->software);
    buf_member_text(out, "uplink", who->uplink);
    buf_member_int(out, "ts", ts_ms);
    buf_member_text(out, "stream", birth->stream);
    add_durable(out, birth->durable);
    buf_add_key(out, "streams");
    buf_adds(out, birth->streams_json);
    buf_member_uint(out, "layout", birth->layout);
    buf_add_key(out, "labels");
    buf_adds(out, who->labels_json);
    if (who->position_json) {
        buf_add_key(out, "position");
        buf_adds(out, who->position_json);
    }
    add_layouts(out, birth);
    buf_addc(out, '}');
}

static void json_state(const struct payload_identity *who, const struct payload_state *state, struct buf *out)
{
    begin(out, who);
    buf_add_key(out, "online");
    buf_adds(out, state->online ? "true" : "false");
    buf_member_int(out, "ts", state->ts_ms);
    buf_member_uint(out, "connection", state->connection);
    buf_member_text(out, "stream", state->stream);
    buf_member_uint(out, "accepted", state->accepted);
    buf_member_uint(out, "delivered", state->delivered);
    buf_member_uint(out, "waiting", state->waiting);
    buf_member_uint(out, "dropped", state->dropped);
    buf_member_text(out, "config", state->config);
    add_durable(out, state->durable);
    if (!state->clock_trusted)
        buf_member_text(out, "clock", "untrusted");
    if (state->any_host_name) {
        buf_add_key(out, "insecure");
        buf_adds(out, "[\"any_host_name\"]");
    }
    buf_addc(out, '}');
}

const struct payload_format payload_json = {
    .content_type = "application/json",
    .data = json_data,
    .birth = json_birth,
    .state = json_state,
};
