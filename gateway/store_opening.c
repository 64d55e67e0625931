/* SPDX-License-Identifier: Apache-2.0 */
#include "store_opening.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "store_clock.h"
#include "store_crc.h"
#include "store_file.h"
#include "store_group.h"
#include "store_load.h"
#include "store_news.h"
#include "store_record.h"
#include "store_salvage.h"
#include "store_salvage_job.h"

static void unload(struct store *s)
{
    store_db_close(&s->db);
    s->stream_count = s->layout_count = 0;
    seqset_clear(&s->holes);
}

static int open_sound(struct store *s, struct err_note *note)
{
    int err = store_db_open(&s->db, s->path, &s->sizes, note);
    if (!err) {
        err = store_db_check(&s->db, note);
        if (!err && (err = store_load_log(s)))
            store_db_fail(&s->db, SQLITE_IOERR, note, s->path);
        /* A dead sector is damage like any other: what lies around it is saved. */
        if (err == FG_EIO)
            err = FG_ECORRUPT;
    }
    if (err)
        unload(s);
    return err;
}

static int open_salvaged(struct store *s, struct store_opening *o, struct err_note *note)
{
    o->found.damaged = true;
    int err = store_salvage(s, s->side.known ? s->side.committed : 0, &o->kept_as, note);
    return err ? err : open_sound(s, note);
}

static int open_any(struct store *s, struct store_opening *o, struct err_note *note)
{
    enum store_file_kind kind;
    uint32_t frames = store_file_log_frames(s->path);
    o->found.has_log = store_file_size(s->path, "-wal") > 0;
    int err = store_file_kind(s->path, &kind, note);
    if (err)
        return err;
    uint64_t inode = store_file_inode(s->path);
    bool garbage = kind == STORE_FILE_GARBAGE;
    if (garbage && !(s->side.known && (inode == s->side.inode || inode == 0)))
        return err_note(note, FG_EFOREIGN,
                        "store: %s is not a database; it was not touched: choose another path", s->path);
    if (kind == STORE_FILE_NONE && store_salvage_resume(s->path) == 0) {
        o->found.damaged = true;
        store_news_salvaged(s->news, "");
    } else if (kind == STORE_FILE_NONE) {
        o->found.created = true;
        err = store_db_create(s->path, note);
    }
    if (!err)
        err = garbage || store_salvage_job_is_done(s->salvage) ? FG_ECORRUPT : open_sound(s, note);
    o->found.log_cut = !err && store_db_log_frames(&s->db) < frames;
    return err == FG_ECORRUPT ? open_salvaged(s, o, note) : err;
}

int store_opening_begin_stream(struct store *s, struct store_opening *o)
{
    if (s->stream_count > 0)
        memcpy(o->previous, s->streams[s->stream_count - 1].id, sizeof o->previous);
    else if (s->side.known)
        memcpy(o->previous, s->side.stream, sizeof o->previous);
    store_random_hex(s->side.stream, sizeof s->side.stream);
    s->side.first = s->newest + 1;
    return store_add_stream(s, s->side.first, s->side.stream);
}

static int find_stream(struct store *s, struct store_opening *o)
{
    int64_t clean;
    struct store_found *f = &o->found;
    int err = store_load_meta_text(s, "token", f->token, sizeof f->token);
    if (!err)
        err = store_load_meta_int(s, "clean", &clean);
    if (!err)
        err = store_clock_load(s, &f->other_boot);
    if (err)
        return err;
    o->was_clean = clean != 0 && !f->damaged;
    o->last_ts = store_record_ts(&s->db, s->newest);
    if (s->stream_count > 0)
        memcpy(f->stream, s->streams[s->stream_count - 1].id, sizeof f->stream);
    f->newest = s->newest;
    f->inode = store_file_inode(s->path);
    f->machine = o->machine;
    o->reason = store_stream_reason(&s->side, f);
    if (o->reason)
        err = store_opening_begin_stream(s, o);
    s->side.known = true;
    /* Both tokens are good until the database has the new one. */
    memcpy(s->side.previous, f->token, sizeof s->side.previous);
    store_random_hex(s->side.token, sizeof s->side.token);
    memcpy(s->side.machine, o->machine, sizeof s->side.machine);
    s->side.inode = f->inode;
    s->side.committed = s->newest;
    s->side.reserved = s->newest + STORE_RESERVE;
    return err;
}

static int same_layout(struct store *s, const struct store_options *options, bool *ret)
{
    sqlite3_stmt *stmt = s->db.stmt[STMT_LAYOUT_GET];
    sqlite3_bind_int64(stmt, 1, s->layouts[s->layout_count - 1].id);
    int rc = sqlite3_step(stmt);
    const void *text = rc == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    size_t len = text ? (size_t)sqlite3_column_bytes(stmt, 0) : 0;
    *ret = text && len == options->layout_len && memcmp(text, options->layout, len) == 0;
    sqlite3_reset(stmt);
    return store_db_error(rc);
}

static int find_layout(struct store *s, struct store_opening *o)
{
    bool same = false;
    o->first_layout = s->layout_count == 0;
    int err = o->first_layout ? 0 : same_layout(s, o->options, &same);
    if (err)
        return err;
    uint32_t last = o->first_layout ? s->side.layout : s->layouts[s->layout_count - 1].id;
    s->layout = same ? last : last + 1;
    s->side.layout = s->layout;
    o->new_layout = !same;
    return same ? 0 : store_add_layout(s, s->newest + 1, s->layout);
}

/* Streams and layouts of which no record is left. */
static void forget_old(struct store *s)
{
    size_t n = 0;
    while (n + 1 < s->stream_count && s->streams[n + 1].first <= s->oldest)
        n++;
    memmove(s->streams, s->streams + n, (s->stream_count -= n) * sizeof *s->streams);
    n = 0;
    while (n + 1 < s->layout_count && s->layouts[n + 1].first <= s->oldest)
        n++;
    memmove(s->layouts, s->layouts + n, (s->layout_count -= n) * sizeof *s->layouts);
}

int store_opening_find(struct store *s, struct store_opening *o, struct err_note *note)
{
    store_machine_id(o->options->machine_id, o->machine);
    int err = store_side_read(s->path, &s->side);
    if (err)
        return err_note(note, err, "store: %s-stream cannot be read; check its permissions", s->path);
    err = open_any(s, o, note);
    if (err)
        return err;
    err = find_stream(s, o);
    if (!err)
        err = find_layout(s, o);
    if (!err)
        err = store_load_uplinks(s, o->options->uplinks);
    if (!err)
        err = store_load_losses(s);
    if (err)
        return err_note(note, err, "store: %s cannot be read: %s", s->path, sqlite3_errmsg(s->db.db));
    o->first = s->newest + 1;
    forget_old(s);
    s->side.oldest = s->oldest;
    err = store_side_write(s->path, &s->side);
    if (err)
        return err_note(note, err, "store: %s-stream cannot be written; check space and permissions",
                        s->path);
    return 0;
}

static int add_event(struct store *s, const struct buf *text)
{
    return buf_ok(text) ? store_clock_event(s, text->data, text->len) : FG_ENOMEM;
}

void store_opening_kept_as(const struct buf *path, struct buf *out)
{
    const char *slash = path->len ? strrchr(path->data, '/') : NULL;
    if (path->len)
        buf_member_text(out, "kept_as", slash ? slash + 1 : path->data);
}

static int stream_event(struct store *s, struct store_opening *o)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "{\"event\":\"stream_opened\",\"first\":%" PRIu64 ",\"reason\":\"%s\"", s->side.first,
             o->reason);
    if (o->previous[0])
        buf_addf(&text, ",\"previous\":\"%s\"", o->previous);
    store_opening_kept_as(&o->kept_as, &text);
    buf_addc(&text, '}');
    int err = add_event(s, &text);
    buf_fini(&text);
    return err;
}

int store_opening_event_in_front(struct store *s, struct store_opening *o)
{
    struct store_group rest = s->group;
    s->group = (struct store_group){0};
    int err = stream_event(s, o);
    if (!err) {
        buf_add(&s->group.data, rest.data.data, rest.data.len);
        err = buf_ok(&s->group.data) ? 0 : FG_ENOMEM;
    }
    if (err) {
        buf_fini(&s->group.data);
        s->group = rest;
        return err;
    }
    s->group.count += rest.count;
    buf_fini(&rest.data);
    return 0;
}

static int start_event(struct store *s, const struct store_opening *o)
{
    struct buf text = BUF_INIT;
    if (o->told_started && o->was_clean)
        return 0;
    if (o->was_clean || o->first == 1) {
        buf_adds(&text, "{\"event\":\"started\"");
    } else {
        buf_adds(&text, "{\"event\":\"restarted\",\"last_committed_ts\":");
        if (o->last_ts == STORE_TS_UNKNOWN)
            buf_adds(&text, "null");
        else
            buf_add_int(&text, o->last_ts);
        buf_addf(&text, ",\"started_ts\":%" PRId64, s->started_wall_ms);
    }
    buf_member_text(&text, "software", o->options->software ? o->options->software : "");
    buf_addc(&text, '}');
    int err = add_event(s, &text);
    buf_fini(&text);
    return err;
}

static bool is_configured(const struct store *s, const char *name)
{
    for (size_t i = 0; i < s->uplink_count; i++)
        if (strcmp(s->uplinks[i].name, name) == 0)
            return true;
    return false;
}

/* An uplink that left the configuration frees its records; how many it never got is told once. */
static int removed_events(struct store *s)
{
    sqlite3_stmt *stmt;
    int err = 0;
    int rc =
        sqlite3_prepare_v2(s->db.db,
                           "SELECT name, max(0, ?1 - max(upto, start_seq - 1)) + coalesce((SELECT sum(last - "
                           "first + 1) FROM waiting WHERE uplink = id), 0) FROM uplink",
                           -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_error(rc);
    sqlite3_bind_int64(stmt, 1, (int64_t)s->newest);
    while (!err && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        if (!name || is_configured(s, name))
            continue;
        struct buf text = BUF_INIT;
        buf_adds(&text, "{\"event\":\"uplink_removed\",\"uplink\":");
        buf_add_json(&text, name);
        buf_addf(&text, ",\"waiting\":%lld}", (long long)sqlite3_column_int64(stmt, 1));
        err = add_event(s, &text);
        store_news_uplink_removed(s->news, name, (uint64_t)sqlite3_column_int64(stmt, 1));
        buf_fini(&text);
    }
    if (!err)
        err = store_db_error(rc);
    sqlite3_finalize(stmt);
    return err;
}

static int layout_event(struct store *s)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "{\"event\":\"layout_changed\",\"layout\":%u}", s->layout);
    int err = add_event(s, &text);
    buf_fini(&text);
    return err;
}

int store_opening_tell(struct store *s, struct store_opening *o)
{
    int err = o->reason ? stream_event(s, o) : 0;
    if (!err)
        err = start_event(s, o);
    if (!err)
        err = removed_events(s);
    if (!err && o->new_layout && !o->first_layout)
        err = layout_event(s);
    return err;
}

static int run_text(struct store *s, const char *sql, int64_t number, const char *text)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->db.db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_error(rc);
    sqlite3_bind_int64(stmt, 1, number);
    if (text)
        sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    return store_db_error(rc);
}

static int write_uplinks(struct store *s)
{
    sqlite3_stmt *stmt;
    int err = 0;
    /* Collected first: a table should not be changed while it is being read. */
    int64_t gone = 0;
    do {
        int rc = sqlite3_prepare_v2(s->db.db, "SELECT id, name FROM uplink WHERE id > ?1 ORDER BY id", -1,
                                    &stmt, NULL);
        if (rc != SQLITE_OK)
            return store_db_error(rc);
        sqlite3_bind_int64(stmt, 1, gone);
        gone = 0;
        while (!gone && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
            if (!is_configured(s, (const char *)sqlite3_column_text(stmt, 1)))
                gone = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        err = gone ? run_text(s, "DELETE FROM uplink WHERE id = ?1", gone, NULL) : store_db_error(rc);
        if (!err && gone)
            err = store_db_run_ints(&s->db, STMT_WAITING_CLEAR, &gone, 1);
        int64_t gone_lost = -gone;
        if (!err && gone)
            err = store_db_run_ints(&s->db, STMT_WAITING_CLEAR, &gone_lost, 1);
    } while (!err && gone);
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        struct store_uplink_state *u = &s->uplinks[i];
        if (!u->fresh)
            continue;
        err = run_text(s, "INSERT OR REPLACE INTO uplink(id, name) VALUES(?1, ?2)", u->id, u->name);
        if (!err)
            err = run_text(s, "UPDATE uplink SET start_seq = ?1 WHERE name = ?2", (int64_t)u->start, u->name);
        if (!err)
            err = run_text(s, "UPDATE uplink SET absent = ?1 WHERE name = ?2", (int64_t)u->absent, u->name);
    }
    return err;
}

int store_opening_write_layout(struct store *s, struct store_db *d)
{
    sqlite3_stmt *stmt = d->stmt[STMT_LAYOUT_ADD];
    sqlite3_bind_int64(stmt, 1, s->layout);
    sqlite3_bind_int64(stmt, 2, (int64_t)s->layouts[s->layout_count - 1].first);
    sqlite3_bind_text(stmt, 3, s->layout_text, (int)s->layout_len, SQLITE_STATIC);
    sqlite3_bind_int(stmt, 4, (int32_t)store_crc(0, s->layout_text, s->layout_len));
    return store_db_run(d, STMT_LAYOUT_ADD);
}

static int write_stream(struct store *s, const char *reason)
{
    sqlite3_stmt *stmt = s->db.stmt[STMT_STREAM_ADD];
    sqlite3_bind_int64(stmt, 1, (int64_t)s->side.first);
    sqlite3_bind_text(stmt, 2, s->side.stream, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 3, clock_wall_ms());
    sqlite3_bind_text(stmt, 4, reason, -1, SQLITE_STATIC);
    return store_db_run(&s->db, STMT_STREAM_ADD);
}

int store_opening_write(struct store *s, void *opening)
{
    struct store_opening *o = opening;
    int err = store_db_meta_set(&s->db, "token", s->side.token);
    if (!err)
        err = store_clock_write_all(s);
    if (!err)
        err = store_db_meta_set_int(&s->db, "clean", 0);
    if (!err && o->reason)
        err = write_stream(s, o->reason);
    if (!err && o->new_layout)
        err = store_opening_write_layout(s, &s->db);
    if (!err)
        err = write_uplinks(s);
    if (!err)
        err = run_text(s, "DELETE FROM stream WHERE first_seq < ?1", (int64_t)s->streams[0].first, NULL);
    if (!err)
        err = run_text(s, "DELETE FROM layout WHERE id < ?1", s->layouts[0].id, NULL);
    return err;
}

void store_opening_fini(struct store_opening *o)
{
    buf_fini(&o->kept_as);
}
