/* SPDX-License-Identifier: Apache-2.0 */
#include "store_load.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_clock.h"
#include "store_news.h"
#include "store_progress.h"

#define MARK_LATE_MS (3600 * INT64_C(1000)) /* a mark is never older while records come */

typedef int on_row(struct store *s, sqlite3_stmt *row, void *context);

static int each_row(struct store *s, const char *sql, int64_t parameter, on_row *on, void *context)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->db.db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_error(rc);
    if (sqlite3_bind_parameter_count(stmt) > 0)
        sqlite3_bind_int64(stmt, 1, parameter);
    int err = 0;
    while (!err && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        err = on(s, stmt, context);
    if (!err)
        err = store_db_error(rc);
    sqlite3_finalize(stmt);
    return err;
}

static uint64_t column_seq(sqlite3_stmt *row, int column)
{
    int64_t value = sqlite3_column_int64(row, column);
    return value > 0 ? (uint64_t)value : 0;
}

int store_add_stream(struct store *s, uint64_t first, const char *id)
{
    struct store_stream_row *rows = reallocarray(s->streams, s->stream_count + 1, sizeof *rows);
    if (!rows)
        return FG_ENOMEM;
    s->streams = rows;
    struct store_stream_row *row = &rows[s->stream_count++];
    row->first = first;
    snprintf(row->id, sizeof row->id, "%s", id);
    return 0;
}

int store_add_layout(struct store *s, uint64_t first, uint32_t id)
{
    struct store_layout_row *rows = reallocarray(s->layouts, s->layout_count + 1, sizeof *rows);
    if (!rows)
        return FG_ENOMEM;
    s->layouts = rows;
    rows[s->layout_count++] = (struct store_layout_row){.first = first, .id = id};
    return 0;
}

static int on_stream(struct store *s, sqlite3_stmt *row, void *context)
{
    (void)context;
    const char *id = (const char *)sqlite3_column_text(row, 1);
    return id ? store_add_stream(s, column_seq(row, 0), id) : FG_ECORRUPT;
}

static int on_layout(struct store *s, sqlite3_stmt *row, void *context)
{
    (void)context;
    return store_add_layout(s, column_seq(row, 0), (uint32_t)sqlite3_column_int64(row, 1));
}

static int on_range(struct store *s, sqlite3_stmt *row, void *context)
{
    (void)s;
    uint64_t first = column_seq(row, 0), last = column_seq(row, 1);
    return first == 0 || first > last ? FG_ECORRUPT : seqset_add(context, first, last);
}

int store_load_meta_int(struct store *s, const char *key, int64_t *ret)
{
    sqlite3_bind_text(s->db.stmt[STMT_META_GET], 1, key, -1, SQLITE_STATIC);
    return store_db_get_int(&s->db, STMT_META_GET, 0, ret);
}

int store_load_meta_text(struct store *s, const char *key, char *ret, size_t cap)
{
    sqlite3_stmt *stmt = s->db.stmt[STMT_META_GET];
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    snprintf(ret, cap, "%s", text ? text : "");
    sqlite3_reset(stmt);
    return store_db_error(rc);
}

static int load_holes(struct store *s)
{
    seqset_clear(&s->holes);
    int err = each_row(s, "SELECT first, last FROM hole", 0, on_range, &s->holes);
    if (!err && s->oldest > 1)
        err = seqset_remove(&s->holes, 0, s->oldest - 1);
    if (!err)
        err = seqset_remove(&s->holes, s->newest + 1, UINT64_MAX);
    return err;
}

int store_load_log(struct store *s)
{
    int64_t oldest, newest, floor, marked;
    int err = store_db_query_int(&s->db, "SELECT min(seq) FROM record", 0, &oldest);
    if (!err)
        err = store_db_query_int(&s->db, "SELECT max(seq) FROM record", 0, &newest);
    /* After damage numbers above the newest record may have been given: see store_salvage.h. */
    if (!err)
        err = store_load_meta_int(s, "floor", &floor);
    if (!err)
        err = store_load_meta_int(s, "run_ms", &s->run_before_ms);
    if (!err)
        err = store_db_query_int(&s->db, "SELECT run_ms FROM mark ORDER BY seq DESC LIMIT 1", 0, &marked);
    if (err)
        return err;
    /* Nothing may look older than it is because a bit of this number flipped. */
    if (s->run_before_ms > marked + MARK_LATE_MS)
        s->run_before_ms = marked + MARK_LATE_MS;
    s->newest = (uint64_t)(newest > floor ? newest : floor);
    s->oldest = oldest > 0 ? (uint64_t)oldest : s->newest + 1;
    s->expired = 0;
    s->opened_mono_ms = store_clock_mono_ms(s);
    err = load_holes(s);
    if (!err)
        err = each_row(s, "SELECT first_seq, id FROM stream ORDER BY first_seq", 0, on_stream, NULL);
    if (!err)
        err = each_row(s, "SELECT first_seq, id FROM layout ORDER BY id", 0, on_layout, NULL);
    bool named = s->newest == 0 || s->stream_count > 0;
    return err || named ? err : FG_ECORRUPT;
}

struct uplink_row {
    struct store_uplink_state *u;
    uint64_t upto;
};

static int on_uplink(struct store *s, sqlite3_stmt *row, void *context)
{
    struct uplink_row *found = context;
    struct store_uplink_state *u = NULL;
    const char *name = (const char *)sqlite3_column_text(row, 1);
    for (size_t i = 0; name && i < s->uplink_count; i++)
        if (strcmp(s->uplinks[i].name, name) == 0)
            u = &s->uplinks[i], found = &found[i];
    if (!u)
        return name ? 0 : FG_ECORRUPT;
    u->id = sqlite3_column_int64(row, 0);
    u->start = column_seq(row, 2);
    u->absent = column_seq(row, 3);
    u->delivered = column_seq(row, 5);
    u->dropped = column_seq(row, 6);
    found->u = u;
    found->upto = column_seq(row, 4);
    return 0;
}

int store_drop_vanished(struct store *s, size_t uplink)
{
    const uint64_t before = s->uplinks[uplink].dropped;
    int err = s->oldest > 1 ? store_progress_drop(s, uplink, 1, s->oldest - 1, LOSS_CORRUPT) : 0;
    for (size_t i = 0; i < s->holes.count && !err; i++)
        err = store_progress_drop(s, uplink, s->holes.ranges[i].first, s->holes.ranges[i].last, LOSS_CORRUPT);
    store_news_lost(s->news, s->uplinks[uplink].dropped - before);
    return err;
}

/* Only a help for people: what cannot be read, or does not fit, is not known. */
static void load_reasons(struct store *s, struct store_uplink_state *u)
{
    uint64_t sum = 0;
    for (int i = 0; i < STORE_LOSS_REASONS; i++) {
        char key[64], sql[128];
        int64_t count = 0;
        store_progress_reason_key(u->id, (enum store_loss_reason)i, key);
        snprintf(sql, sizeof sql, "SELECT value FROM meta WHERE key = '%s'", key);
        if (store_db_query_int(&s->db, sql, 0, &count) < 0 || count < 0)
            count = 0;
        u->dropped_by[i] = (uint64_t)count;
        sum += u->dropped_by[i];
    }
    if (sum > u->dropped)
        memset(u->dropped_by, 0, sizeof u->dropped_by);
}

static int load_waiting(struct store *s, size_t uplink, uint64_t upto)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    seqset_clear(&u->waiting);
    int err = each_row(s, "SELECT first, last FROM waiting WHERE uplink = ?1", u->id, on_range, &u->waiting);
    if (err == FG_ECORRUPT) {
        /* Where it is not known what still waits, everything does. */
        seqset_clear(&u->waiting);
        upto = 0;
        err = 0;
    }
    seqset_clear(&u->lost);
    if (!err)
        err = each_row(s, "SELECT first, last FROM waiting WHERE uplink = ?1", -u->id, on_range, &u->lost);
    if (err == FG_ECORRUPT)
        err = 0;
    uint64_t from = upto + 1 > u->start ? upto + 1 : u->start;
    if (!err && from <= s->newest)
        err = seqset_add(&u->waiting, from, s->newest);
    if (!err)
        err = seqset_remove(&u->waiting, s->newest + 1, UINT64_MAX);
    if (!err && u->start > 1)
        err = seqset_remove(&u->waiting, 0, u->start - 1);
    if (err)
        return err;
    /* Only a damaged or hand-edited table can break the account; the waiting records are what matters. */
    uint64_t accepted = store_progress_accepted(s, u), other = u->waiting.total + u->dropped;
    if (u->delivered + other != accepted) {
        if (other > accepted)
            u->dropped = u->waiting.total <= accepted ? accepted - u->waiting.total : 0;
        u->delivered = accepted - u->waiting.total - u->dropped;
        u->dirty = true;
    }
    load_reasons(s, u);
    return store_drop_vanished(s, uplink);
}

/* Damage took the table of uplinks: nobody knows what they still waited for. What is there waits again, and
 * what is gone is named as lost, also where it had been delivered: better twice than never. */
static int start_unknown(struct store *s, size_t uplink)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    u->fresh = u->dirty = true;
    u->absent = u->delivered = u->dropped = 0;
    memset(u->dropped_by, 0, sizeof u->dropped_by);
    u->start = s->oldest;
    if (s->side.known && s->side.oldest > 0 && s->side.oldest < u->start)
        u->start = s->side.oldest;
    int err = u->start <= s->newest ? seqset_add(&u->waiting, u->start, s->newest) : 0;
    return err ? err : store_drop_vanished(s, uplink);
}

static void start_fresh(struct store *s, struct store_uplink_state *u, bool now)
{
    u->fresh = true;
    u->start = now || s->oldest > s->newest ? s->newest + 1 : s->oldest;
    u->absent = now ? 0 : s->holes.total;
    u->delivered = u->dropped = 0;
    memset(u->dropped_by, 0, sizeof u->dropped_by);
    u->dirty = true;
}

static int fresh_waiting(struct store *s, struct store_uplink_state *u)
{
    int err = u->start <= s->newest ? seqset_add(&u->waiting, u->start, s->newest) : 0;
    for (size_t i = 0; i < s->holes.count && !err; i++)
        err = seqset_remove(&u->waiting, s->holes.ranges[i].first, s->holes.ranges[i].last);
    return err;
}

int store_load_uplinks(struct store *s, const struct store_uplink *options)
{
    int64_t highest;
    struct uplink_row *found = calloc(s->uplink_count + 1, sizeof *found);
    if (!found)
        return FG_ENOMEM;
    int err = each_row(s, "SELECT id, name, start_seq, absent, upto, delivered, dropped FROM uplink", 0,
                       on_uplink, found);
    if (!err)
        err = store_db_query_int(&s->db, "SELECT max(id) FROM uplink", 0, &highest);
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        struct store_uplink_state *u = &s->uplinks[i];
        if (found[i].u && u->start > 0 && u->start + u->absent <= s->newest + 1) {
            err = load_waiting(s, i, found[i].upto);
            continue;
        }
        if (!found[i].u)
            u->id = ++highest;
        if (s->uplinks_unknown) {
            err = start_unknown(s, i);
        } else {
            start_fresh(s, u, options[i].start_now);
            err = fresh_waiting(s, u);
        }
    }
    free(found);
    return err;
}

static int on_loss(struct store *s, sqlite3_stmt *row, void *context)
{
    (void)context;
    struct store_loss l = {.reason = (enum store_loss_reason)sqlite3_column_int(row, 1),
                           .first = column_seq(row, 3),
                           .last = column_seq(row, 4),
                           .count = column_seq(row, 5),
                           .first_ts = sqlite3_column_int64(row, 6),
                           .last_ts = sqlite3_column_int64(row, 7),
                           .since_mono_ms = store_clock_mono_ms(s) - STORE_LOSS_MS};
    const char *stream = (const char *)sqlite3_column_text(row, 2);
    snprintf(l.stream, sizeof l.stream, "%s", stream ? stream : "");
    for (l.uplink = 0; l.uplink < s->uplink_count; l.uplink++)
        if (s->uplinks[l.uplink].id == sqlite3_column_int64(row, 0))
            break;
    if (l.uplink < s->uplink_count && s->loss_count < s->loss_cap && sqlite3_column_int(row, 1) >= 0 &&
        sqlite3_column_int(row, 1) < STORE_LOSS_KINDS)
        s->losses[s->loss_count++] = l;
    return 0;
}

int store_load_losses(struct store *s)
{
    return each_row(s, "SELECT uplink, reason, stream, first, last, count, first_ts, last_ts FROM loss", 0,
                    on_loss, NULL);
}
