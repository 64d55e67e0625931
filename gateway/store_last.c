/* SPDX-License-Identifier: Apache-2.0 */
#include "store_last.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "store_crc.h"
#include "store_internal.h"
#include "store_record.h"

#define SPAN_FIRST 256 /* records; each further span is twice as long */

/* Where a wanted point stands in the layout that is being looked through. */
struct place {
    bool known;
    bool found; /* in the span that is being read */
    uint32_t device;
    size_t point;
};

struct search {
    struct store *s;
    struct store_last *wanted;
    size_t count, missing; /* missing: not found yet */
    uint64_t numbers_left;
    const struct layout *now; /* in force */
    struct place *places;     /* one for each wanted */
};

static int load_layout(struct store *s, uint32_t id, struct layout **ret)
{
    sqlite3_stmt *stmt = s->db.stmt[STMT_LAYOUT_GET];
    int err = FG_ENOTFOUND;
    sqlite3_bind_int64(stmt, 1, id);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
        bool whole = text && (int32_t)store_crc(0, text, len) == sqlite3_column_int(stmt, 1);
        err = whole ? layout_parse(text, len, ret) : FG_ECORRUPT;
    } else if (rc != SQLITE_DONE) {
        err = store_db_error(rc);
    }
    sqlite3_reset(stmt);
    return err;
}

static struct place find(const struct search *f, const struct layout *l, const struct store_last *w)
{
    const char *name = layout_device_name(f->now, w->device);
    for (size_t d = 0; name && d < layout_device_count(l); d++) {
        if (strcmp(layout_device_name(l, d), name) != 0)
            continue;
        for (size_t p = 0; p < layout_point_count(l, d); p++)
            if (layout_same_counter(f->now, w->device, w->point, l, d, p))
                return (struct place){.known = true, .device = (uint32_t)d, .point = p};
    }
    return (struct place){0};
}

/* How many of the points still missing this layout knows. */
static size_t find_places(struct search *f, const struct layout *l)
{
    size_t known = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->wanted[i].found)
            memset(&f->places[i], 0, sizeof f->places[i]);
        else
            f->places[i] = find(f, l, &f->wanted[i]);
        known += f->places[i].known;
    }
    return known;
}

/* A good number is a bare one: what is doubtful stands in a list, what failed is a word. */
static bool good_number(const struct store_row *row, size_t point, struct decimal *ret)
{
    const char *cursor = row->body, *end = row->body + row->body_len;
    struct sample_element element;
    char text[DECIMAL_TEXT_MAX];
    if (row->body_len == 0 || row->body[0] != '[')
        return false;
    for (size_t i = 0; i <= point; i++)
        if (!sample_next_element(&cursor, end, &element))
            return false;
    if (element.len >= sizeof text)
        return false;
    memcpy(text, element.text, element.len);
    text[element.len] = 0;
    return decimal_parse(text, ret) == 0;
}

static void look_at(struct search *f, const struct store_row *row)
{
    for (size_t i = 0; i < f->count; i++) {
        struct store_last *w = &f->wanted[i];
        struct place *p = &f->places[i];
        if (p->known && p->device == row->device && !w->found && good_number(row, p->point, &w->value))
            p->found = true;
    }
}

/* Returns how many were found in this span. */
static size_t take_over(struct search *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (!f->places[i].found)
            continue;
        f->places[i].found = false;
        f->wanted[i].found = true;
        n++;
    }
    f->missing -= n;
    return n;
}

static void forget(struct search *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->places[i].found = false;
}

/* SQLite passes over the records of all other devices without taking them apart. */
static int prepare_look_back(const struct search *f, sqlite3_stmt **ret)
{
    struct buf sql = BUF_INIT;
    const char *comma = "";
    buf_adds(&sql, "SELECT seq, ts, layout, device, flags, body, extra, crc FROM record"
                   " WHERE seq BETWEEN ?1 AND ?2 AND device IN (");
    for (size_t i = 0; i < f->count; i++) {
        if (!f->places[i].known)
            continue;
        buf_adds(&sql, comma);
        buf_add_uint(&sql, f->places[i].device);
        comma = ",";
    }
    buf_adds(&sql, ") ORDER BY seq");
    int err = FG_ENOMEM;
    if (buf_ok(&sql))
        err = store_db_error(sqlite3_prepare_v2(f->s->db.db, sql.data, (int)sql.len, ret, NULL));
    buf_fini(&sql);
    return err;
}

/* The last of each in this span stays. A damaged record is passed over: it was reported, or will be, and what
 * it counted falls to the next one. */
static int read_span(struct search *f, sqlite3_stmt *stmt, uint64_t first, uint64_t last, uint32_t layout)
{
    int rc;
    sqlite3_bind_int64(stmt, 1, (int64_t)first);
    sqlite3_bind_int64(stmt, 2, (int64_t)last);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_row row;
        if (store_record_read(stmt, &row) == 0 && row.layout == layout)
            look_at(f, &row);
    }
    sqlite3_reset(stmt);
    return store_db_error(rc);
}

/* Newest span first, until every point that this layout knows is found. Each is read forwards, because only
 * then does the kernel read ahead: backwards a card gives its pages one by one. */
static int look_through(struct search *f, uint64_t first, uint64_t last, uint32_t layout, size_t known)
{
    sqlite3_stmt *stmt = NULL;
    int err = prepare_look_back(f, &stmt);
    uint64_t span = SPAN_FIRST;
    while (!err && known > 0 && f->numbers_left > 0 && last >= first) {
        uint64_t count = last - first + 1;
        count = count < span ? count : span;
        count = count < f->numbers_left ? count : f->numbers_left;
        err = read_span(f, stmt, last - count + 1, last, layout);
        if (err && count > 1) { /* what is newer than the damage must be found */
            forget(f);
            span = count / 2;
            err = 0;
            continue;
        }
        known -= take_over(f);
        f->numbers_left -= count;
        last -= count;
        span *= 2;
    }
    sqlite3_finalize(stmt);
    return err;
}

/* Layouts from the newest back to the beginning of the stream; one that knows nothing wanted costs nothing.
 */
static int search(struct search *f)
{
    struct store *s = f->s;
    uint64_t stream = s->stream_count > 0 ? s->streams[s->stream_count - 1].first : 1, last = s->newest;
    int err = 0;
    for (size_t i = s->layout_count;
         i-- > 0 && f->missing > 0 && f->numbers_left > 0 && last >= stream && !err;) {
        uint64_t first = s->layouts[i].first > stream ? s->layouts[i].first : stream;
        struct layout *l = NULL;
        err = load_layout(s, s->layouts[i].id, &l);
        size_t known = err ? 0 : find_places(f, l);
        if (known > 0 && first <= last)
            err = look_through(f, first, last, s->layouts[i].id, known);
        layout_free(l);
        last = first - 1;
    }
    return err;
}

static int prepare(struct search *f, struct layout **ret_now)
{
    int err = load_layout(f->s, f->s->layout, ret_now);
    f->now = *ret_now;
    f->places = calloc(f->count, sizeof *f->places);
    return err ? err : f->places ? 0 : FG_ENOMEM;
}

int store_last(struct store *s, struct store_last *wanted, size_t count, size_t max_records)
{
    struct search f = {
        .s = s, .wanted = wanted, .count = count, .missing = count, .numbers_left = max_records};
    struct layout *now = NULL;
    for (size_t i = 0; i < count; i++)
        wanted[i].found = false;
    if (count == 0)
        return 0;
    store_turn_take(&s->turn);
    int err = prepare(&f, &now);
    if (!err)
        err = search(&f);
    store_turn_give(&s->turn);
    layout_free(now);
    free(f.places);
    return err;
}
