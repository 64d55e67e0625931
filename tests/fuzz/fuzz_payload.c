/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_payload - what is measured, or read back from a damaged place, on its way into a message: whatever was
 * stored, a message is JSON, and holds every record once.
 *
 * Input: a byte of circumstances, then the stored body as it is (RAW), a layout (LAYOUT), or readings of ten
 * bytes each, which are stored first; one may be minimum, mean and maximum of those before it.
 */
#include <string.h>

#include "../../gateway/aggregate.h"
#include "../../gateway/json.h"
#include "../../gateway/payload.h"
#include "demand.h"

enum {
    RAW = 1,
    LAYOUT = 2,
    NO_LAYOUT = 4,
    UNTRUSTED = 8,
    MISSED = 16,
    SPAN = 32,
    PARTIAL = 64,
    SUPPRESSED = 128,
    READING = 10,
    READINGS_MAX = 8,
};

static const char PLAIN[] =
    "{\"models\":{\"m\":{\"points\":[{\"name\":\"a\",\"type\":\"number\"},{\"name\":\"b \\\"\\u00e1\","
    "\"type\":\"bool\"},{\"name\":\"c\",\"type\":\"number\",\"counter\":true},{\"name\":\"c_increment\","
    "\"type\":\"number\",\"increment_of\":\"c\"}]}},\"devices\":[{\"name\":\"d\",\"model\":\"m\"}]}";
static const int64_t TS_MS = 1795230245000, SPAN_MS = 300000;
static const char BOOT[] = "0123456789abcdef0123456789abcdef";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct reading reading_from(const uint8_t *bytes)
{
    struct reading r = {.quality = (enum quality)(bytes[0] % QUALITY_COUNT)};
    int64_t mantissa;
    memcpy(&mantissa, bytes + 2, sizeof mantissa);
    if (r.quality != QUALITY_GOOD && r.quality != QUALITY_OUT_OF_RANGE)
        return r;
    r.value.kind = bytes[1] % 4 == 0 ? VALUE_BOOL : VALUE_NUMBER;
    r.value.boolean = bytes[2] & 1;
    r.value.number = decimal_from_int(mantissa);
    if (bytes[1] % 4 == 1) {
        double number;
        memcpy(&number, bytes + 2, sizeof number);
        if (decimal_from_double(number, &r.value.number) < 0)
            r = (struct reading){.quality = QUALITY_SENSOR_FAULT};
    }
    return r;
}

static const char *partial_word(int flags)
{
    return flags & UNTRUSTED ? "clock" : flags & MISSED ? "started" : "stopped";
}

static void store_readings(const uint8_t *data, size_t size, int flags, struct buf *body, struct buf *extra)
{
    struct reading readings[READINGS_MAX];
    struct sample_stats stats[READINGS_MAX];
    struct aggregate all;
    struct sample s = {.wall_ms = TS_MS, .mono_ms = 81234, .readings = readings};
    s.clock_trusted = !(flags & UNTRUSTED);
    s.missed = flags & MISSED ? 3 : 0;
    s.span_ms = flags & SPAN ? SPAN_MS : 0;
    s.partial = flags & SPAN && flags & PARTIAL ? partial_word(flags) : NULL;
    s.suppressed = flags & SUPPRESSED ? 30 : 0;
    aggregate_clear(&all);
    for (; s.count < READINGS_MAX && size >= READING; s.count++, data += READING, size -= READING) {
        readings[s.count] = reading_from(data);
        if (data[1] % 4 == 2) {
            stats[s.count] = aggregate_stats(&all);
            readings[s.count] = (struct reading){.value = {VALUE_STATS, .stats = &stats[s.count]}};
        } else {
            aggregate_add(&all, &readings[s.count]);
        }
    }
    if (s.count == 0)
        s.failed = QUALITY_NO_REPLY;
    sample_encode_body(&s, body);
    sample_encode_extra(&s, BOOT, extra);
}

/* Of what was measured, not of what was read back from a damaged place. */
static void check_stats(const cJSON *stats)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, stats)
    {
        const cJSON *min = cJSON_GetObjectItemCaseSensitive(one, "min"),
                    *mean = cJSON_GetObjectItemCaseSensitive(one, "mean"),
                    *max = cJSON_GetObjectItemCaseSensitive(one, "max");
        bool any = json_int(one, "n", -1) > 0;
        demand(json_int(one, "n", -1) >= 0 && any == !!min && any == !!mean && any == !!max);
        demand(!any || (min->valuedouble <= mean->valuedouble && mean->valuedouble <= max->valuedouble));
    }
}

static void check_extra(const cJSON *sample, int flags)
{
    const char *partial = json_string(sample, "partial", NULL);
    demand(json_int(sample, "from", 0) == (flags & SPAN ? TS_MS - SPAN_MS : 0));
    demand(flags & SPAN && flags & PARTIAL ? partial && strcmp(partial, partial_word(flags)) == 0 : !partial);
    demand(json_int(sample, "suppressed", 0) == (flags & SUPPRESSED ? 30 : 0));
    demand(json_int(sample, "missed", 0) == (flags & MISSED ? 3 : 0));
}

static void check_message(const struct buf *out, int flags)
{
    demand(buf_ok(out));
    cJSON *json = json_parse(out->data, out->len);
    demand(json != NULL);
    const cJSON *sample = json_first(json, "samples"), *event = json_first(json, "events");
    demand(sample && !sample->next && json_int(sample, "seq", 0) == 7);
    demand(json_string(sample, "device", NULL) != NULL);
    const cJSON *stats = cJSON_GetObjectItemCaseSensitive(sample, "stats");
    bool any = stats || cJSON_GetObjectItemCaseSensitive(sample, "values");
    demand(any == !json_string(sample, "failed", NULL));
    if (!(flags & (RAW | LAYOUT)))
        check_stats(stats);
    check_extra(sample, flags);
    demand(event && !event->next && json_int(event, "seq", 0) == 8);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf body = BUF_INIT, extra = BUF_INIT, out = BUF_INIT;
    struct layout *layout = NULL;
    if (size < 1)
        return 0;
    int flags = data[0];
    data++, size--;
    if (flags & LAYOUT)
        (void)layout_parse((const char *)data, size, &layout);
    else if (!(flags & NO_LAYOUT))
        demand(layout_parse(PLAIN, sizeof PLAIN - 1, &layout) == 0);
    store_readings(data, flags & (RAW | LAYOUT) ? 0 : size, flags, &body, &extra);
    if (flags & RAW) {
        buf_reset(&body);
        buf_add(&body, data, size);
    }
    static const char EVENT[] = "{\"event\":\"started\"}";
    struct store_record records[] = {
        {.seq = 7,
         .ts_ms = TS_MS,
         .body = body.data,
         .body_len = body.len,
         .extra = extra.data,
         .extra_len = extra.len},
        {.seq = 8,
         .ts_ms = TS_MS,
         .is_event = true,
         .body = EVENT,
         .body_len = sizeof EVENT - 1,
         .extra = ""},
    };
    const struct store_batch batch = {
        .stream = "0123456789abcdef", .layout = 1, .records = records, .count = 2};
    const struct payload_identity who = {
        .gateway = "gw", .uplink = "u", .software = "x", .labels_json = "{}"};
    payload_json.data(&who, layout, &batch, 3, &out);
    check_message(&out, flags);
    layout_free(layout);
    buf_fini(&body);
    buf_fini(&extra);
    buf_fini(&out);
    return 0;
}
