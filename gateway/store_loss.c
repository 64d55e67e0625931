/* SPDX-License-Identifier: Apache-2.0 */
#include "store_loss.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "store_clock.h"
#include "store_memory.h"
#include "store_record.h"
#include "store_streams.h"

int store_loss_init(struct store *s)
{
    /* As many again for those whose event is on its way. */
    s->loss_cap = s->uplink_count * STORE_LOSS_KINDS * STORE_LOSS_OPEN * 2;
    size_t n = s->loss_cap ? s->loss_cap : 1;
    s->losses = calloc(n, sizeof *s->losses);
    s->was_losses = calloc(n, sizeof *s->was_losses);
    return s->losses && s->was_losses ? 0 : FG_ENOMEM;
}

const char *store_loss_word(enum store_loss_reason reason)
{
    switch (reason) {
    case LOSS_FULL:
        return "store_full";
    case LOSS_CORRUPT:
        return "corrupt";
    case LOSS_REFUSED:
        return "refused";
    case LOSS_EXPIRED:
        return "expired";
    case LOSS_QUEUE:
    case LOSS_QUEUE_EVENTS:
        return "queue_full";
    }
    return "";
}

static bool had_number(enum store_loss_reason reason)
{
    return reason < STORE_LOSS_REASONS;
}

/* The open loss that a piece continues, or must be merged with; NULL: it begins a new one. */
static struct store_loss *continued(struct store *s, const struct store_loss *piece)
{
    struct store_loss *newest = NULL;
    size_t open = 0;
    for (size_t i = 0; i < s->loss_count; i++) {
        struct store_loss *l = &s->losses[i];
        if (l->uplink != piece->uplink || l->reason != piece->reason || l->in_group)
            continue;
        open++;
        newest = l;
        bool touches = l->last + 1 == piece->first || piece->last + 1 == l->first || !had_number(l->reason);
        if (touches && strcmp(l->stream, piece->stream) == 0)
            return l;
    }
    /* Too many pieces: one event that covers more than was lost, and counts exactly, is better than more
     * events than records. */
    return open >= STORE_LOSS_OPEN || s->loss_count == s->loss_cap ? newest : NULL;
}

static void add_piece(struct store *s, struct store_loss *piece)
{
    struct store_loss *l = continued(s, piece);
    s->losses_dirty = true;
    if (!l) {
        assert(s->loss_count < s->loss_cap); /* told only once per commit: see store_loss_init() */
        piece->since_mono_ms = store_clock_mono_ms(s);
        s->losses[s->loss_count++] = *piece;
        return;
    }
    if (piece->first < l->first) {
        l->first = piece->first;
        l->first_ts = piece->first_ts;
    }
    if (piece->last > l->last) {
        l->last = piece->last;
        l->last_ts = piece->last_ts;
    }
    l->count += piece->count;
}

void store_loss_add(struct store *s, size_t uplink, enum store_loss_reason reason, uint64_t first,
                    uint64_t last)
{
    while (first <= last) {
        uint64_t end = store_stream_end(s, first);
        struct store_loss piece = {
            .uplink = uplink, .reason = reason, .first = first, .last = last < end ? last : end};
        memcpy(piece.stream, store_stream_at(s, first)->id, sizeof piece.stream);
        piece.count = piece.last - first + 1;
        piece.first_ts = store_record_ts(store_db_at(s, first), first);
        piece.last_ts =
            piece.count > 1 ? store_record_ts(store_db_at(s, piece.last), piece.last) : piece.first_ts;
        add_piece(s, &piece);
        if (piece.last == last)
            break;
        first = piece.last + 1;
    }
}

static bool reason_from(const char *word, enum store_loss_reason *ret)
{
    for (int i = 0; i < STORE_LOSS_KINDS; i++) {
        *ret = (enum store_loss_reason)i;
        if (strcmp(word, store_loss_word(*ret)) == 0)
            return true;
    }
    return false;
}

/* Samples and events are counted apart, as in the event. It names whom it concerns only when it is told
 * again. */
static void keep_unnumbered(struct store *s, uint64_t seq, const cJSON *event, struct store_loss *l)
{
    l->first = (uint64_t)json_int(event, "told_from", (int64_t)seq);
    l->last = (uint64_t)json_int(event, "told_to", (int64_t)seq);
    l->reason = LOSS_QUEUE;
    l->count = (uint64_t)json_int(event, "count", 0);
    struct store_loss events = *l;
    events.reason = LOSS_QUEUE_EVENTS;
    events.count = (uint64_t)json_int(event, "events", 0);
    if (l->count > 0)
        add_piece(s, l);
    if (events.count > 0)
        add_piece(s, &events);
}

static void keep_event(struct store *s, size_t uplink, uint64_t seq, const cJSON *event)
{
    struct store_loss l = {.uplink = uplink};
    if (strcmp(json_string(event, "event", ""), "samples_dropped") != 0 ||
        !reason_from(json_string(event, "reason", ""), &l.reason))
        return;
    const char *whose = had_number(l.reason) ? "" : s->uplinks[uplink].name;
    if (strcmp(json_string(event, "uplink", whose), s->uplinks[uplink].name) != 0)
        return;
    snprintf(l.stream, sizeof l.stream, "%s", json_string(event, "stream", store_stream_at(s, seq)->id));
    l.first_ts = json_int(event, "first_ts", STORE_TS_UNKNOWN);
    l.last_ts = json_int(event, "last_ts", STORE_TS_UNKNOWN);
    if (!had_number(l.reason)) {
        keep_unnumbered(s, seq, event, &l);
        return;
    }
    l.first = (uint64_t)json_int(event, "from", 0);
    l.last = (uint64_t)json_int(event, "to", 0);
    l.count = (uint64_t)json_int(event, "count", 0);
    add_piece(s, &l);
}

static int keep_in(struct store *s, struct store_db *d, size_t uplink, uint64_t first, uint64_t last)
{
    sqlite3_stmt *stmt = d->stmt[STMT_EVENTS];
    int rc;
    sqlite3_bind_int64(stmt, 1, (int64_t)first);
    sqlite3_bind_int64(stmt, 2, (int64_t)last);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 0);
        const char *body = (const char *)sqlite3_column_text(stmt, 1);
        if (!body || !seqset_has(&s->uplinks[uplink].waiting, seq))
            continue;
        cJSON *event = json_parse(body, (size_t)sqlite3_column_bytes(stmt, 1));
        if (event)
            keep_event(s, uplink, seq, event);
        cJSON_Delete(event);
    }
    sqlite3_reset(stmt);
    return store_db_error(rc);
}

int store_loss_keep(struct store *s, size_t uplink, uint64_t first, uint64_t last)
{
    int err = 0;
    while (first <= last && !err) {
        uint64_t end = store_db_end(s, first);
        end = end < last ? end : last;
        err = keep_in(s, store_db_at(s, first), uplink, first, end);
        if (end == last)
            break;
        first = end + 1;
    }
    return err;
}

static void add_ts(struct buf *out, const char *key, int64_t ts)
{
    buf_add_key(out, key);
    if (ts == STORE_TS_UNKNOWN)
        buf_adds(out, "null");
    else
        buf_add_int(out, ts);
}

static void event_of(const struct store *s, const struct store_loss *l, struct buf *out)
{
    buf_adds(out, "{\"event\":\"samples_dropped\",\"uplink\":");
    buf_add_json(out, s->uplinks[l->uplink].name);
    if (strcmp(l->stream, s->side.stream) != 0)
        buf_member_text(out, "stream", l->stream);
    buf_addf(out, ",\"%s\":%" PRIu64 ",\"%s\":%" PRIu64, had_number(l->reason) ? "from" : "told_from",
             l->first, had_number(l->reason) ? "to" : "told_to", l->last);
    buf_addf(out, ",\"count\":%" PRIu64, l->reason == LOSS_QUEUE_EVENTS ? 0 : l->count);
    if (l->reason == LOSS_QUEUE_EVENTS)
        buf_addf(out, ",\"events\":%" PRIu64, l->count);
    add_ts(out, "first_ts", l->first_ts);
    add_ts(out, "last_ts", l->last_ts);
    buf_addf(out, ",\"reason\":\"%s\"}", store_loss_word(l->reason));
}

/* What gets too old goes on for as long as the uplink delivers nothing: one event for all of it, once
 * somebody can hear it. */
static bool goes_on(const struct store *s, const struct store_loss *l)
{
    const struct store_uplink_state *u = &s->uplinks[l->uplink];
    return l->reason == LOSS_EXPIRED && u->waiting.total > 0 && u->delivered_mono_ms < l->since_mono_ms;
}

static bool is_due(const struct store *s, const struct store_loss *l, int64_t now_mono_ms)
{
    return !l->in_group && now_mono_ms - l->since_mono_ms >= STORE_LOSS_MS && !goes_on(s, l);
}

bool store_loss_due(const struct store *s, int64_t now_mono_ms)
{
    for (size_t i = 0; i < s->loss_count; i++)
        if (is_due(s, &s->losses[i], now_mono_ms))
            return true;
    return false;
}

int store_loss_tell(struct store *s, int64_t now_mono_ms, bool all)
{
    int err = 0;
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < s->loss_count && !err; i++) {
        struct store_loss *l = &s->losses[i];
        if (l->in_group || (!all && !is_due(s, l, now_mono_ms)))
            continue;
        buf_reset(&text);
        event_of(s, l, &text);
        err = buf_ok(&text) ? store_clock_event(s, text.data, text.len) : FG_ENOMEM;
        l->in_group = !err;
        s->losses_dirty = true;
    }
    buf_fini(&text);
    return err;
}

int store_loss_write(struct store *s)
{
    int err = store_db_run(&s->db, STMT_LOSS_CLEAR);
    for (size_t i = 0; i < s->loss_count && !err; i++) {
        const struct store_loss *l = &s->losses[i];
        if (l->in_group)
            continue;
        sqlite3_bind_text(s->db.stmt[STMT_LOSS_ADD], 8, l->stream, -1, SQLITE_STATIC);
        int64_t values[] = {s->uplinks[l->uplink].id, l->reason,   (int64_t)l->first, (int64_t)l->last,
                            (int64_t)l->count,        l->first_ts, l->last_ts};
        err = store_db_run_ints(&s->db, STMT_LOSS_ADD, values, 7);
    }
    return err;
}

void store_loss_committed(struct store *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->loss_count; i++)
        if (!s->losses[i].in_group)
            s->losses[kept++] = s->losses[i];
    s->loss_count = kept;
    s->losses_dirty = false;
}
