/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_payload - what is measured, or read back from a damaged place, on its way into a message: whatever was
 * stored, a message is JSON, and holds every record once.
 *
 * Input: a byte of circumstances, then the stored body as it is (RAW), a layout (LAYOUT), or readings of ten
 * bytes each, which are stored first.
 */
#include <stdlib.h>
#include <string.h>

#include "../../gateway/json.h"
#include "../../gateway/payload.h"

enum { RAW = 1, LAYOUT = 2, NO_LAYOUT = 4, UNTRUSTED = 8, MISSED = 16, READING = 10, READINGS_MAX = 8 };

static const char PLAIN[] =
    "{\"models\":{\"m\":{\"points\":[{\"name\":\"a\",\"type\":\"number\"},{\"name\":\"b \\\"\\u00e1\","
    "\"type\":\"bool\"},{\"name\":\"c\",\"type\":\"number\",\"counter\":true},{\"name\":\"c_increment\","
    "\"type\":\"number\",\"increment_of\":\"c\"}]}},\"devices\":[{\"name\":\"d\",\"model\":\"m\"}]}";
static const char BOOT[] = "0123456789abcdef0123456789abcdef";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

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

static void store_readings(const uint8_t *data, size_t size, int flags, struct buf *body, struct buf *extra)
{
    struct reading readings[READINGS_MAX];
    struct sample s = {.wall_ms = 1795230245000, .mono_ms = 81234, .readings = readings};
    s.clock_trusted = !(flags & UNTRUSTED);
    s.missed = flags & MISSED ? 3 : 0;
    for (; s.count < READINGS_MAX && size >= READING; s.count++, data += READING, size -= READING)
        readings[s.count] = reading_from(data);
    if (s.count == 0)
        s.failed = QUALITY_NO_REPLY;
    sample_encode_body(&s, body);
    sample_encode_extra(&s, BOOT, extra);
}

static void check_message(const struct buf *out)
{
    demand(buf_ok(out));
    cJSON *json = json_parse(out->data, out->len);
    demand(json != NULL);
    const cJSON *sample = json_first(json, "samples"), *event = json_first(json, "events");
    demand(sample && !sample->next && json_int(sample, "seq", 0) == 7);
    demand(json_string(sample, "device", NULL) != NULL);
    demand(!!cJSON_GetObjectItemCaseSensitive(sample, "values") != !!json_string(sample, "failed", NULL));
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
         .ts_ms = 1,
         .body = body.data,
         .body_len = body.len,
         .extra = extra.data,
         .extra_len = extra.len},
        {.seq = 8, .ts_ms = 2, .is_event = true, .body = EVENT, .body_len = sizeof EVENT - 1, .extra = ""},
    };
    const struct store_batch batch = {
        .stream = "0123456789abcdef", .layout = 1, .records = records, .count = 2};
    const struct payload_identity who = {
        .gateway = "gw", .uplink = "u", .software = "x", .labels_json = "{}"};
    payload_json.data(&who, layout, &batch, 3, &out);
    check_message(&out);
    layout_free(layout);
    buf_fini(&body);
    buf_fini(&extra);
    buf_fini(&out);
    return 0;
}
