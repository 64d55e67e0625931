/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_export_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd_export_time.h"
#include "json.h"
#include "sample.h"

/* One reading on its way into a line; empty texts are absent. */
struct line {
    char device[80], point[80];
    const char *unit;
    struct sample_element value, quality, doubtful;
};

struct writer {
    enum cmd_export_format format;
    const struct store_export_record *record;
    const struct layout *layout;
    struct buf *out;
    char time[CMD_EXPORT_TIME_TEXT];
    char clock[16];
    int64_t missed;
    size_t lines;
};

static struct sample_element word(const char *text)
{
    return (struct sample_element){text, strlen(text)};
}

/* ---- CSV ---- */

static void add_csv(struct buf *out, const char *text, size_t len)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            buf_addc(out, '"');
        buf_addc(out, text[i]);
    }
    buf_addc(out, '"');
}

static void add_field(struct buf *out, const char *text, size_t len)
{
    bool quoted = false;
    for (size_t i = 0; i < len; i++)
        quoted |= strchr(",\"\r\n", text[i]) != NULL;
    buf_addc(out, ',');
    if (quoted)
        add_csv(out, text, len);
    else
        buf_add(out, text, len);
}

static void csv_begin(const struct writer *w)
{
    const struct store_export_record *r = w->record;
    buf_addf(w->out, "%s,%" PRIu64 ",%s,%" PRId64 ",%s,%u", r->stream, r->seq, w->time, r->ts_ms, w->clock,
             r->layout);
}

static void csv_reading(const struct writer *w, const struct line *l)
{
    csv_begin(w);
    add_field(w->out, l->device, strlen(l->device));
    add_field(w->out, l->point, strlen(l->point));
    add_field(w->out, l->value.text, l->value.len);
    add_field(w->out, l->unit ? l->unit : "", l->unit ? strlen(l->unit) : 0);
    add_field(w->out, l->quality.text, l->quality.len);
    add_field(w->out, l->doubtful.text, l->doubtful.len);
    buf_addc(w->out, ',');
    if (w->missed > 0 && w->lines == 0)
        buf_add_int(w->out, w->missed);
    buf_adds(w->out, ",\r\n");
}

static void csv_event(const struct writer *w)
{
    csv_begin(w);
    buf_adds(w->out, ",,,,,,,");
    add_field(w->out, w->record->body, w->record->body_len);
    buf_adds(w->out, "\r\n");
}

/* ---- JSON ---- */

static void json_begin(const struct writer *w)
{
    const struct store_export_record *r = w->record;
    buf_addf(w->out, "{\"stream\":\"%s\",\"seq\":%" PRIu64, r->stream, r->seq);
    if (w->time[0])
        buf_addf(w->out, ",\"time\":\"%s\"", w->time);
    buf_addf(w->out, ",\"ts\":%" PRId64 ",\"clock\":\"%s\",\"layout\":%u", r->ts_ms, w->clock, r->layout);
}

static void json_text(const struct writer *w, const char *key, const char *text)
{
    buf_member_text(w->out, key, text);
}

static void json_reading(const struct writer *w, const struct line *l)
{
    json_begin(w);
    json_text(w, "device", l->device);
    if (l->point[0])
        json_text(w, "point", l->point);
    buf_add_key(w->out, "value");
    buf_add(w->out, l->value.len ? l->value.text : "null", l->value.len ? l->value.len : 4);
    if (l->unit)
        json_text(w, "unit", l->unit);
    buf_addf(w->out, ",\"quality\":\"%.*s\"", (int)l->quality.len, l->quality.text);
    if (l->doubtful.len) {
        buf_add_key(w->out, "doubtful");
        buf_add(w->out, l->doubtful.text, l->doubtful.len);
    }
    if (w->missed > 0 && w->lines == 0)
        buf_member_int(w->out, "missed", w->missed);
    buf_adds(w->out, "}\n");
}

static void json_event(const struct writer *w)
{
    json_begin(w);
    buf_add_key(w->out, "event");
    buf_add(w->out, w->record->body, w->record->body_len);
    buf_adds(w->out, "}\n");
}

/* ---- taking records apart ---- */

static void add_reading(struct writer *w, const struct line *l)
{
    switch (w->format) {
    case CMD_EXPORT_CSV:
        csv_reading(w, l);
        break;
    case CMD_EXPORT_JSONL:
        json_reading(w, l);
        break;
    }
    w->lines++;
}

static void add_event(struct writer *w)
{
    switch (w->format) {
    case CMD_EXPORT_CSV:
        csv_event(w);
        break;
    case CMD_EXPORT_JSONL:
        json_event(w);
        break;
    }
    w->lines++;
}

/* `e` without its quotes. */
static struct sample_element inside(struct sample_element e)
{
    return e.len >= 2 ? (struct sample_element){e.text + 1, e.len - 2} : word("");
}

/* False: the point was not due. */
static bool take_element(struct sample_element e, struct line *l)
{
    l->value = l->doubtful = word("");
    l->quality = word(quality_word(QUALITY_CONFIG_ERROR)); /* of what this version does not understand */
    switch (e.text[0]) {
    case 'n':
        return false;
    case '"':
        l->quality = inside(e);
        break;
    case '[':
        if (sample_element_pair(e, &l->quality, &l->doubtful))
            l->quality = inside(l->quality);
        break;
    case '{': /* add_stats() */
        break;
    default:
        l->value = e;
        l->quality = word(quality_word(QUALITY_GOOD));
        break;
    }
    return true;
}

/* A layout that is lost takes the names along, not the numbers. */
static void name_line(const struct writer *w, size_t point, struct line *l)
{
    const char *device = w->layout ? layout_device_name(w->layout, w->record->device) : NULL;
    const char *name = w->layout ? layout_point_name(w->layout, w->record->device, point) : NULL;
    l->unit = w->layout ? layout_point_unit(w->layout, w->record->device, point) : NULL;
    if (device)
        snprintf(l->device, sizeof l->device, "%s", device);
    else
        snprintf(l->device, sizeof l->device, "unknown-%u", w->record->device);
    if (name)
        snprintf(l->point, sizeof l->point, "%s", name);
    else
        snprintf(l->point, sizeof l->point, "unknown-%zu", point);
}

static bool is_stats(struct sample_element e)
{
    return e.text[0] == '{' && memmem(e.text, e.len, "\"n\":", 4);
}

/* {"min":1,"mean":2,"max":3,"n":29}: a line for each, as point.min, point.mean, ... */
static void add_stats(struct writer *w, size_t point, struct sample_element stats)
{
    cJSON *json = json_parse(stats.text, stats.len);
    const char *at = stats.text + 1, *end = stats.text + stats.len - 1;
    struct line l = {.doubtful = word(""), .quality = word(quality_word(QUALITY_GOOD))};
    for (const cJSON *c = json ? json->child : NULL; c; c = c->next) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        const char *comma = colon ? memchr(colon, ',', (size_t)(end - colon)) : NULL;
        if (!colon)
            break;
        l.value = (struct sample_element){colon + 1, (size_t)((comma ? comma : end) - colon) - 1};
        name_line(w, point, &l);
        size_t len = strlen(l.point);
        snprintf(l.point + len, sizeof l.point - len, ".%s", c->string);
        if (strcmp(c->string, "n") == 0 || strcmp(c->string, "bad") == 0)
            l.unit = NULL;
        add_reading(w, &l);
        at = comma ? comma + 1 : end;
    }
    cJSON_Delete(json);
}

static void add_array(struct writer *w)
{
    const struct store_export_record *r = w->record;
    const char *cursor = r->body;
    struct sample_element e;
    struct line l;
    for (size_t i = 0; sample_next_element(&cursor, r->body + r->body_len, &e); i++) {
        if (is_stats(e)) {
            add_stats(w, i, e);
        } else if (take_element(e, &l)) {
            name_line(w, i, &l);
            add_reading(w, &l);
        }
    }
}

static void add_failed(struct writer *w)
{
    struct line l = {.value = word(""), .doubtful = word("")};
    struct sample_element body = {w->record->body, w->record->body_len};
    l.quality = sample_is_word(body.text, body.len) ? inside(body) : word(quality_word(QUALITY_CONFIG_ERROR));
    size_t points = w->layout ? layout_point_count(w->layout, w->record->device) : 0;
    for (size_t i = 0; i < points; i++) {
        name_line(w, i, &l);
        add_reading(w, &l);
    }
    if (points > 0)
        return;
    name_line(w, 0, &l);
    l.point[0] = '\0';
    add_reading(w, &l);
}

static void take_extra(struct writer *w)
{
    snprintf(w->clock, sizeof w->clock, "trusted");
    if (w->record->extra_len == 0)
        return;
    cJSON *extra = json_parse(w->record->extra, w->record->extra_len);
    const char *clock = json_string(extra, "clock", "trusted");
    if (strcmp(clock, "untrusted") == 0 || strcmp(clock, "corrected") == 0)
        snprintf(w->clock, sizeof w->clock, "%s", clock);
    w->missed = json_int(extra, "missed", 0);
    cJSON_Delete(extra);
}

void cmd_export_format_head(enum cmd_export_format format, struct buf *out)
{
    switch (format) {
    case CMD_EXPORT_CSV:
        buf_adds(out,
                 "stream,seq,time,ts,clock,layout,device,point,value,unit,quality,doubtful,missed,event\r\n");
        return;
    case CMD_EXPORT_JSONL:
        return;
    }
}

size_t cmd_export_format_record(enum cmd_export_format format, const struct layout *layout,
                                const struct store_export_record *record, struct buf *out)
{
    struct writer w = {.format = format, .record = record, .layout = layout, .out = out};
    cmd_export_time_format(record->ts_ms, w.time);
    take_extra(&w);
    if (record->is_event)
        add_event(&w);
    else if (record->body_len > 0 && record->body[0] == '[')
        add_array(&w);
    else
        add_failed(&w);
    return w.lines;
}
