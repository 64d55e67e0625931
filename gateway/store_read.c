/* SPDX-License-Identifier: Apache-2.0 */
/* store_read - what an uplink reads: undelivered records in batches of one stream and layout. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "store_clock.h"
#include "store_crc.h"
#include "store_internal.h"
#include "store_loss.h"
#include "store_memory.h"
#include "store_progress.h"
#include "store_record.h"
#include "store_streams.h"

void store_batch_init(struct store_batch *b)
{
    memset(b, 0, sizeof *b);
    buf_init(&b->text);
}

void store_batch_fini(struct store_batch *b)
{
    free(b->records);
    buf_fini(&b->text);
    store_batch_init(b);
}

#define LOST_AT_ONCE 20000 /* found missing in one call, so that the writer is not kept waiting for long */

struct reading_state {
    struct store *s;
    size_t uplink;
    const struct store_limits *limits;
    struct store_batch *batch;
    size_t bytes;
    uint64_t end;  /* the last number that may be in this batch */
    bool complete; /* nothing more goes into it */
};

static int make_room(struct store_batch *b)
{
    if (b->count < b->cap)
        return 0;
    size_t cap = b->cap ? b->cap * 2 : 64;
    struct store_record *records = reallocarray(b->records, cap, sizeof *records);
    if (!records)
        return FG_ENOMEM;
    b->records = records;
    b->cap = cap;
    return 0;
}

static int add_record(struct store_batch *b, const struct store_row *row)
{
    int err = make_room(b);
    if (err)
        return err;
    /* Each text ends with a zero byte. Pointers are set once the buffer has stopped moving. */
    buf_add(&b->text, row->body, row->body_len);
    buf_addc(&b->text, 0);
    buf_add(&b->text, row->extra, row->extra_len);
    buf_addc(&b->text, 0);
    if (!buf_ok(&b->text))
        return FG_ENOMEM;
    b->records[b->count++] = (struct store_record){.seq = row->seq,
                                                   .ts_ms = row->ts_ms,
                                                   .is_event = row->device == STORE_EVENT,
                                                   .device = row->device,
                                                   .body_len = row->body_len,
                                                   .extra_len = row->extra_len};
    return 0;
}

static void set_pointers(struct store_batch *b)
{
    const char *p = b->text.data;
    for (size_t i = 0; i < b->count; i++) {
        b->records[i].body = p;
        p += b->records[i].body_len + 1;
        b->records[i].extra = p;
        p += b->records[i].extra_len + 1;
    }
}

static int take(struct reading_state *r, const struct store_row *row)
{
    struct store_batch *b = r->batch;
    size_t bytes = row->body_len + row->extra_len;
    if (b->count == 0) {
        memcpy(b->stream, store_stream_at(r->s, row->seq)->id, sizeof b->stream);
        b->layout = row->layout;
        r->end = store_stream_end(r->s, row->seq);
        b->durable = store_is_durable(r->s, row->seq);
    }
    r->complete =
        b->count > 0 && (row->seq > r->end || row->layout != b->layout ||
                         b->count >= r->limits->max_records || r->bytes + bytes > r->limits->max_bytes);
    if (r->complete)
        return 0;
    r->bytes += bytes;
    return add_record(b, row);
}

static int lose(struct reading_state *r, uint64_t first, uint64_t last)
{
    return first > last ? 0 : store_progress_drop(r->s, r->uplink, first, last, LOSS_CORRUPT);
}

/* One by one, each found by its own way down the tree: only what lies on the damaged pages is lost. */
static int read_one_by_one(struct reading_state *r, uint64_t first, uint64_t last)
{
    sqlite3_stmt *stmt = store_db_at(r->s, first)->stmt[STMT_ONE];
    int err = 0, lost = 0;
    for (uint64_t seq = first; seq <= last && !err && !r->complete; seq++) {
        struct store_row row;
        sqlite3_bind_int64(stmt, 1, (int64_t)seq);
        int rc = sqlite3_step(stmt);
        bool whole = rc == SQLITE_ROW && store_record_read(stmt, &row) == 0;
        if (whole)
            err = take(r, &row);
        sqlite3_reset(stmt); /* lose() uses the statement too */
        if (whole)
            continue;
        err = store_db_error(rc);
        if (!err || err == FG_ECORRUPT)
            err = ++lost > LOST_AT_ONCE ? FG_ERETRY : lose(r, seq, seq);
    }
    return err;
}

static int read_range(struct reading_state *r, uint64_t first, uint64_t last)
{
    sqlite3_stmt *stmt = store_db_at(r->s, first)->stmt[STMT_RANGE];
    uint64_t expected = first;
    int rc, err = 0;
    sqlite3_bind_int64(stmt, 1, (int64_t)first);
    sqlite3_bind_int64(stmt, 2, (int64_t)last);
    while (!err && !r->complete && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_row row;
        int damage = store_record_read(stmt, &row);
        if (row.seq < expected || row.seq > last) /* a damaged tree may go in circles */
            break;
        err = lose(r, expected, row.seq - 1);
        if (!err)
            err = damage ? lose(r, row.seq, row.seq) : take(r, &row);
        if (!err && !r->complete)
            expected = row.seq + 1;
    }
    sqlite3_reset(stmt);
    if (err || r->complete)
        return err;
    if (rc == SQLITE_DONE)
        return lose(r, expected, last);
    if (rc != SQLITE_ROW && store_db_error(rc) != FG_ECORRUPT)
        return store_db_error(rc);
    return read_one_by_one(r, expected, last);
}

int store_read(struct store *s, size_t uplink, uint64_t from, uint64_t to, const struct store_limits *limits,
               struct store_batch *ret)
{
    struct reading_state r = {.s = s, .uplink = uplink, .limits = limits, .batch = ret, .end = UINT64_MAX};
    struct seqset_range range;
    int err = 0;
    ret->count = 0;
    buf_reset(&ret->text);
    store_turn_take(&s->turn);
    if (to > store_clock_last(s))
        to = store_clock_last(s);
    while (!err && !r.complete && seqset_next(&s->uplinks[uplink].waiting, from, to, &range)) {
        if (store_is_away(s, range.first))
            break;
        if (range.last > store_db_end(s, range.first))
            range.last = store_db_end(s, range.first);
        err = read_range(&r, range.first, range.last);
        if (range.last >= to)
            break;
        from = range.last + 1;
    }
    if (err != FG_EIO)
        s->read_failing_mono_ms = 0;
    else if (!s->read_failing_mono_ms)
        s->read_failing_mono_ms = clock_mono_ms();
    store_turn_give(&s->turn);
    /* What was read before the failure is good, and the next call meets the failure first. */
    if (err && ret->count == 0)
        return err;
    set_pointers(ret);
    return (int)ret->count;
}

int store_delivered(struct store *s, size_t uplink, uint64_t first, uint64_t last)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    store_turn_take(&s->turn);
    uint64_t before = u->waiting.total;
    int err = seqset_remove(&u->waiting, first, last);
    if (u->waiting.total != before) {
        u->delivered += before - u->waiting.total;
        u->delivered_mono_ms = store_clock_mono_ms(s);
        u->dirty = true;
    }
    store_turn_give(&s->turn);
    return err;
}

/* The first run of delivered records from *seq on; false when there is none up to last. */
static bool delivered_run(const struct store *s, const struct store_uplink_state *u, uint64_t first,
                          uint64_t last, struct seqset_range *ret)
{
    const struct seqset *const other[] = {&u->waiting, &u->lost, &s->holes};
    struct seqset_range r;
    *ret = (struct seqset_range){first, last};
    for (size_t i = 0; i < 3 && ret->first <= last; i++) {
        if (!seqset_next(other[i], ret->first, last, &r))
            continue;
        if (r.first > ret->first) {
            if (r.first <= ret->last)
                ret->last = r.first - 1;
            continue;
        }
        /* This one has the first number: behind it the others are asked again. */
        *ret = (struct seqset_range){r.last + 1, last};
        i = (size_t)-1;
    }
    return ret->first <= last;
}

int64_t store_resend(struct store *s, size_t uplink, uint64_t first, uint64_t last)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    struct seqset_range r;
    int64_t n = 0;
    int err = 0;
    store_turn_take(&s->turn);
    uint64_t from = u->start > s->oldest ? u->start : s->oldest;
    first = first > from ? first : from;
    last = last < s->newest ? last : s->newest;
    while (!err && first <= last && u->delivered > 0 && delivered_run(s, u, first, last, &r)) {
        if (r.last - r.first >= u->delivered) /* only a damaged account can say so */
            r.last = r.first + u->delivered - 1;
        err = seqset_add(&u->waiting, r.first, r.last);
        if (err)
            break;
        uint64_t count = r.last - r.first + 1;
        u->delivered -= count;
        n += (int64_t)count;
        u->dirty = true;
        first = r.last + 1;
    }
    store_turn_give(&s->turn);
    return err ? err : n;
}

int store_refused(struct store *s, size_t uplink, uint64_t first, uint64_t last)
{
    store_turn_take(&s->turn);
    int err = first > last ? FG_EINVALID : store_loss_keep(s, uplink, first, last);
    if (!err)
        err = store_progress_drop(s, uplink, first, last, LOSS_REFUSED);
    store_turn_give(&s->turn);
    return err;
}

static int layout_from(struct store_db *d, uint32_t layout, struct buf *ret_text)
{
    int err = FG_ENOTFOUND;
    sqlite3_stmt *stmt = d->stmt[STMT_LAYOUT_GET];
    sqlite3_bind_int64(stmt, 1, layout);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const void *text = sqlite3_column_text(stmt, 0);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
        bool whole = text && (int32_t)store_crc(0, text, len) == sqlite3_column_int(stmt, 1);
        if (whole)
            buf_add(ret_text, text, len);
        err = !whole ? FG_ECORRUPT : buf_ok(ret_text) ? 0 : FG_ENOMEM;
    } else if (rc != SQLITE_DONE) {
        err = store_db_error(rc);
    }
    sqlite3_reset(stmt);
    return err;
}

int store_layout(struct store *s, uint32_t layout, struct buf *ret_text)
{
    store_turn_take(&s->turn);
    int err = layout_from(&s->db, layout, ret_text);
    if (err == FG_ENOTFOUND && s->memory.on)
        err = layout_from(&s->memory.other, layout, ret_text);
    store_turn_give(&s->turn);
    return err;
}
