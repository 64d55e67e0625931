/* SPDX-License-Identifier: Apache-2.0 */
#include "store_last.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "store_crc.h"
#include "store_internal.h"
#include "store_record.h"

static const char LOOK_BACK[] = "SELECT seq, ts, layout, device, flags, body, extra, crc FROM record"
                                " WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq DESC";

/* Where a wanted point stands in the layout that is being looked through. */
struct place {
    bool known;
    uint32_t device;
    size_t point;
};

struct search {
    struct store *s;
    struct store_last *wanted;
    size_t count, missing; /* missing: not found yet */
    size_t records_left;
    const struct layout *now; /* in force */
    struct place *places;     /* one for each wanted */
    sqlite3_stmt *stmt;
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

static void look_at(struct search *f, const struct store_row *row, size_t *known)
{
    for (size_t i = 0; i < f->count; i++) {
        struct store_last *w = &f->wanted[i];
        if (!f->places[i].known || f->places[i].device != row->device || w->found ||
            !good_number(row, f->places[i].point, &w->value))
            continue;
        w->found = true;
        f->missing--;
        (*known)--;
    }
}

/* Newest first, until every point that this layout knows is found. A damaged record is passed over: it was
 * reported, or will be, and what it counted falls to the next one. */
static int look_through(struct search *f, uint64_t first, uint64_t last, uint32_t layout, size_t known)
{
    int rc = SQLITE_DONE;
    sqlite3_bind_int64(f->stmt, 1, (int64_t)first);
    sqlite3_bind_int64(f->stmt, 2, (int64_t)last);
    while (known > 0 && f->records_left > 0 && (rc = sqlite3_step(f->stmt)) == SQLITE_ROW) {
        struct store_row row;
        f->records_left--;
        if (store_record_read(f->stmt, &row) == 0 && row.layout == layout && row.device != STORE_EVENT)
            look_at(f, &row, &known);
    }
    sqlite3_reset(f->stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_db_error(rc);
}

/* Layouts from the newest back to the beginning of the stream; one that knows nothing wanted costs nothing.
 */
static int search(struct search *f)
{
    struct store *s = f->s;
    uint64_t stream = s->stream_count > 0 ? s->streams[s->stream_count - 1].first : 1, last = s->newest;
    int err = 0;
    for (size_t i = s->layout_count; i-- > 0 && f->missing > 0 && last >= stream && !err;) {
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
    int rc = sqlite3_prepare_v2(f->s->db.db, LOOK_BACK, -1, &f->stmt, NULL);
    int err = rc == SQLITE_OK ? load_layout(f->s, f->s->layout, ret_now) : store_db_error(rc);
    f->now = *ret_now;
    f->places = calloc(f->count, sizeof *f->places);
    return err ? err : f->places ? 0 : FG_ENOMEM;
}

int store_last(struct store *s, struct store_last *wanted, size_t count, size_t max_records)
{
    struct search f = {
        .s = s, .wanted = wanted, .count = count, .missing = count, .records_left = max_records};
    struct layout *now = NULL;
    for (size_t i = 0; i < count; i++)
        wanted[i].found = false;
    if (count == 0)
        return 0;
    store_turn_take(&s->turn);
    int err = prepare(&f, &now);
    if (!err)
        err = search(&f);
    sqlite3_finalize(f.stmt);
    store_turn_give(&s->turn);
    layout_free(now);
    free(f.places);
    return err;
}
