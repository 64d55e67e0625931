/* SPDX-License-Identifier: Apache-2.0 */
#include "store_loss.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "store_group.h"
#include "store_record.h"
#include "store_streams.h"

int store_loss_init(struct store *s)
{
    /* As many again for those whose event is on its way. */
    s->loss_cap = s->uplink_count * STORE_LOSS_REASONS * STORE_LOSS_OPEN * 2;
    size_t n = s->loss_cap ? s->loss_cap : 1;
    s->losses = calloc(n, sizeof *s->losses);
    s->was_losses = calloc(n, sizeof *s->was_losses);
    return s->losses && s->was_losses ? 0 : FG_ENOMEM;
}

static struct store_loss *continued(struct store *s, size_t uplink, enum store_loss_reason reason,
                                    const char *stream, uint64_t first)
{
    struct store_loss *newest = NULL;
    size_t open = 0;
    for (size_t i = 0; i < s->loss_count; i++) {
        struct store_loss *l = &s->losses[i];
        if (l->uplink != uplink || l->reason != reason || l->in_group)
            continue;
        open++;
        newest = l;
        if (l->last + 1 == first && strcmp(l->stream, stream) == 0)
            return l;
    }
    /* Too many pieces: one event that covers more than was lost, and counts exactly, is better than more
     * events than records. */
    return open >= STORE_LOSS_OPEN || s->loss_count == s->loss_cap ? newest : NULL;
}

static void add_piece(struct store *s, size_t uplink, enum store_loss_reason reason, uint64_t first,
                      uint64_t last)
{
    const char *stream = store_stream_at(s, first)->id;
    struct store_loss *l = continued(s, uplink, reason, stream, first);
    int64_t last_ts = store_record_ts(&s->db, last);
    if (!l) {
        assert(s->loss_count < s->loss_cap); /* told only once per commit: see store_loss_init() */
        l = &s->losses[s->loss_count++];
        *l = (struct store_loss){.uplink = uplink, .reason = reason, .first = first, .last = last};
        memcpy(l->stream, stream, sizeof l->stream);
        l->first_ts = store_record_ts(&s->db, first);
        l->since_mono_ms = clock_mono_ms();
    }
    if (first < l->first) {
        l->first = first;
        l->first_ts = store_record_ts(&s->db, first);
    }
    if (last >= l->last) {
        l->last = last;
        l->last_ts = last_ts;
    }
    l->count += last - first + 1;
    s->losses_dirty = true;
}

void store_loss_add(struct store *s, size_t uplink, enum store_loss_reason reason, uint64_t first,
                    uint64_t last)
{
    while (first <= last) {
        uint64_t end = store_stream_end(s, first);
        uint64_t piece = last < end ? last : end;
        add_piece(s, uplink, reason, first, piece);
        if (piece == last)
            break;
        first = piece + 1;
    }
}

static const char *reason_word(enum store_loss_reason reason)
{
    switch (reason) {
    case LOSS_FULL:
        return "store_full";
    case LOSS_CORRUPT:
        return "corrupt";
    case LOSS_REFUSED:
        return "refused";
    }
    return "";
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
    if (strcmp(l->stream, s->side.stream) != 0) {
        buf_add_key(out, "stream");
        buf_add_json(out, l->stream);
    }
    buf_addf(out, ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"count\":%" PRIu64, l->first, l->last, l->count);
    add_ts(out, "first_ts", l->first_ts);
    add_ts(out, "last_ts", l->last_ts);
    buf_addf(out, ",\"reason\":\"%s\"}", reason_word(l->reason));
}

static bool is_due(const struct store_loss *l, int64_t now_mono_ms)
{
    return !l->in_group && now_mono_ms - l->since_mono_ms >= STORE_LOSS_MS;
}

bool store_loss_due(const struct store *s, int64_t now_mono_ms)
{
    for (size_t i = 0; i < s->loss_count; i++)
        if (is_due(&s->losses[i], now_mono_ms))
            return true;
    return false;
}

int store_loss_tell(struct store *s, int64_t now_mono_ms, bool all)
{
    int err = 0;
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < s->loss_count && !err; i++) {
        struct store_loss *l = &s->losses[i];
        if (l->in_group || (!all && !is_due(l, now_mono_ms)))
            continue;
        buf_reset(&text);
        event_of(s, l, &text);
        err = buf_ok(&text) ? store_group_event(&s->group, clock_wall_ms(), text.data, text.len) : FG_ENOMEM;
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
