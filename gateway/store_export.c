/* SPDX-License-Identifier: Apache-2.0 */
#include "store_export.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "store_crc.h"
#include "store_file.h"
#include "store_record.h"
#include "text.h"

#define AT_ONCE 500
#define BUSY_MS 5000

struct stream {
    uint64_t first;
    char id[STORE_STREAM_TEXT];
};

struct store_export {
    sqlite3 *db;
    sqlite3_stmt *range, *one, *layout;
    char *path;
    struct stream *streams; /* rising */
    size_t stream_count;
    struct store_export_record records[AT_ONCE];
    struct store_export_batch batch;
    struct buf text;
};

/* ---- opening ---- */

static int say_denied(const char *path, struct err_note *note)
{
    return err_note(note, FG_EIO,
                    "%s: permission denied; run this as root, or as a member of the group fieldgate", path);
}

static int say_sqlite(struct store_export *e, int rc, struct err_note *note)
{
    int err = store_db_error(rc);
    const char *next = err == FG_ERETRY     ? _("another program holds it; try again")
                       : err == FG_ECORRUPT ? _("the file is damaged; the gateway repairs it when it starts")
                                            : _("check the card or disk (dmesg)");
    return err_note(note, err, "%s: %s; %s", e->path, e->db ? sqlite3_errmsg(e->db) : sqlite3_errstr(rc),
                    next);
}

/* With its own log still to be read, or a daemon at work, only SQLite's usual way gives the truth. */
static bool nobody_writes(const char *path)
{
    struct buf name = BUF_INIT;
    bool idle = store_file_size(path, "-wal") == 0;
    buf_addf(&name, "%s-lock", path);
    int fd = buf_ok(&name) ? open(name.data, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        /* Given back at once: a gateway that starts meanwhile must get it. */
        idle = idle && flock(fd, LOCK_SH | LOCK_NB) == 0;
        close(fd);
    } else {
        idle = idle && errno == ENOENT;
    }
    buf_fini(&name);
    return idle;
}

/* A name as a URI, for the parameter that says that nobody changes the file. */
static void uri_of(const char *path, struct buf *out)
{
    buf_adds(out, "file:");
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p == '?' || *p == '#' || *p == '%')
            buf_addf(out, "%%%02x", *p);
        else
            buf_addc(out, (char)*p);
    buf_adds(out, "?immutable=1");
}

static int connect(struct store_export *e, const char *name, int flags)
{
    int rc = sqlite3_open_v2(name, &e->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(e->db, 1);
        sqlite3_busy_timeout(e->db, BUSY_MS);
        /* A log that disappears behind the gateway's back costs it its stream. */
        sqlite3_db_config(e->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        rc = sqlite3_exec(e->db, "PRAGMA trusted_schema=OFF; SELECT count(*) FROM sqlite_schema", NULL, NULL,
                          NULL);
    }
    return rc;
}

static void disconnect(struct store_export *e)
{
    sqlite3_close_v2(e->db);
    e->db = NULL;
}

/* A database in a folder or on a medium that cannot be written has no place for SQLite's shared memory. */
static int connect_somehow(struct store_export *e, struct err_note *note)
{
    struct buf uri = BUF_INIT;
    int rc = connect(e, e->path, 0);
    bool no_place = (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY;
    if (no_place && nobody_writes(e->path)) {
        disconnect(e);
        uri_of(e->path, &uri);
        rc = buf_ok(&uri) ? connect(e, uri.data, SQLITE_OPEN_URI) : SQLITE_NOMEM;
    }
    buf_fini(&uri);
    if (rc == SQLITE_OK)
        return 0;
    if ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_READONLY)
        return err_note(
            note, FG_EIO,
            "%s: its log (-wal, -shm) cannot be opened; run this as root or as a member of the group "
            "fieldgate, or copy all files %s* into a folder of your own and name that copy",
            e->path, e->path);
    return say_sqlite(e, rc, note);
}

static int prepare(struct store_export *e, const char *sql, sqlite3_stmt **ret, struct err_note *note)
{
    int rc = sqlite3_prepare_v3(e->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    return rc == SQLITE_OK ? 0 : say_sqlite(e, rc, note);
}

#define COLUMNS "SELECT seq, ts, layout, device, flags, body, extra, crc FROM record"

static int prepare_all(struct store_export *e, struct err_note *note)
{
    int err = prepare(e, COLUMNS " WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq LIMIT ?3", &e->range, note);
    if (!err)
        err = prepare(e, COLUMNS " WHERE seq = ?1", &e->one, note);
    if (!err)
        err = prepare(e, "SELECT text, crc FROM layout WHERE id = ?1", &e->layout, note);
    return err;
}

static int check_file(const char *path, struct err_note *note)
{
    enum store_file_kind kind;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return err_note(note, FG_ENOTFOUND, "%s: there is no such file; has the gateway ever run here?",
                        path);
    if (access(path, R_OK) != 0 && errno == EACCES)
        return say_denied(path, note);
    int err = store_file_kind(path, &kind, note);
    if (err == FG_EFOREIGN)
        return err_note(note, err, "%s: not a database of this version of fieldgate", path);
    if (!err && kind == STORE_FILE_GARBAGE)
        return err_note(note, FG_EFOREIGN,
                        "%s: not a database, or one that is damaged at its beginning; name the gateway's "
                        "buffer.db or a copy of it",
                        path);
    if (!err && kind == STORE_FILE_NONE)
        return err_note(note, FG_ENOTFOUND,
                        "%s: the file is empty; name the gateway's buffer.db, or copy it again", path);
    return err;
}

int store_export_open(const char *path, struct store_export **ret, struct err_note *note)
{
    int err = check_file(path, note);
    if (err)
        return err;
    struct store_export *e = calloc(1, sizeof *e);
    if (!e || !(e->path = strdup(path))) {
        free(e);
        return FG_ENOMEM;
    }
    err = connect_somehow(e, note);
    if (!err)
        err = prepare_all(e, note);
    if (err)
        store_export_close(e);
    else
        *ret = e;
    return err;
}

void store_export_close(struct store_export *e)
{
    if (!e)
        return;
    sqlite3_finalize(e->range);
    sqlite3_finalize(e->one);
    sqlite3_finalize(e->layout);
    disconnect(e);
    buf_fini(&e->text);
    free(e->streams);
    free(e->path);
    free(e);
}

/* ---- what is there ---- */

static int read_streams(struct store_export *e)
{
    sqlite3_stmt *stmt;
    int rc =
        sqlite3_prepare_v2(e->db, "SELECT first_seq, id FROM stream ORDER BY first_seq", -1, &stmt, NULL);
    e->stream_count = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct stream *grown = reallocarray(e->streams, e->stream_count + 1, sizeof *grown);
        const char *id = (const char *)sqlite3_column_text(stmt, 1);
        if (!grown) {
            rc = SQLITE_NOMEM;
            break;
        }
        e->streams = grown;
        struct stream *s = &grown[e->stream_count++];
        *s = (struct stream){.first = (uint64_t)sqlite3_column_int64(stmt, 0)};
        snprintf(s->id, sizeof s->id, "%s", id ? id : "");
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_export_range(struct store_export *e, uint64_t *ret_first, uint64_t *ret_last, struct err_note *note)
{
    sqlite3_stmt *stmt;
    /* Two lookups: min and max in one query would read the whole table. */
    int rc = sqlite3_prepare_v2(e->db, "SELECT (SELECT min(seq) FROM record), (SELECT max(seq) FROM record)",
                                -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return say_sqlite(e, rc, note);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        bool none = sqlite3_column_type(stmt, 0) == SQLITE_NULL;
        *ret_first = none ? 1 : (uint64_t)sqlite3_column_int64(stmt, 0);
        *ret_last = none ? 0 : (uint64_t)sqlite3_column_int64(stmt, 1);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : say_sqlite(e, rc, note);
}

int store_export_layout(struct store_export *e, uint32_t layout, struct buf *ret_text)
{
    int err = FG_ENOTFOUND;
    sqlite3_bind_int64(e->layout, 1, layout);
    int rc = sqlite3_step(e->layout);
    if (rc == SQLITE_ROW) {
        const void *text = sqlite3_column_text(e->layout, 0);
        size_t len = (size_t)sqlite3_column_bytes(e->layout, 0);
        bool whole = text && (int32_t)store_crc(0, text, len) == sqlite3_column_int(e->layout, 1);
        if (whole)
            buf_add(ret_text, text, len);
        err = !whole ? FG_ECORRUPT : buf_ok(ret_text) ? 0 : FG_ENOMEM;
    } else if (rc != SQLITE_DONE) {
        err = store_db_error(rc);
    }
    sqlite3_reset(e->layout);
    return err;
}

uint32_t store_export_next_layout(struct store_export *e, uint32_t after)
{
    sqlite3_stmt *stmt;
    uint32_t id = 0;
    if (sqlite3_prepare_v2(e->db, "SELECT min(id) FROM layout WHERE id > ?1", -1, &stmt, NULL) != SQLITE_OK)
        return 0;
    sqlite3_bind_int64(stmt, 1, after);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        id = (uint32_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return id;
}

/* ---- records ---- */

static void add_damaged(struct store_export_batch *b, uint64_t seq)
{
    if (b->damaged++ == 0)
        b->damaged_first = seq;
    b->damaged_last = seq;
}

static const char *stream_at(const struct store_export *e, uint64_t seq)
{
    const char *id = "";
    for (size_t i = 0; i < e->stream_count && e->streams[i].first <= seq; i++)
        id = e->streams[i].id;
    return id;
}

/* The texts go into one buffer that may still move: their places are set at the end. */
static void take(struct store_export *e, sqlite3_stmt *stmt)
{
    struct store_row row;
    if (store_record_read(stmt, &row) != 0) {
        add_damaged(&e->batch, row.seq);
        return;
    }
    struct store_export_record *r = &e->records[e->batch.count++];
    *r = (struct store_export_record){.seq = row.seq,
                                      .ts_ms = row.ts_ms,
                                      .layout = row.layout,
                                      .is_event = row.device == STORE_EVENT,
                                      .device = row.device,
                                      .body_len = row.body_len,
                                      .extra_len = row.extra_len};
    snprintf(r->stream, sizeof r->stream, "%s", stream_at(e, row.seq));
    buf_add(&e->text, row.body, row.body_len);
    buf_addc(&e->text, 0);
    buf_add(&e->text, row.extra, row.extra_len);
    buf_addc(&e->text, 0);
}

static void set_texts(struct store_export *e)
{
    const char *p = e->text.data;
    for (size_t i = 0; i < e->batch.count; i++) {
        struct store_export_record *r = &e->records[i];
        r->body = p;
        p += r->body_len + 1;
        r->extra = p;
        p += r->extra_len + 1;
    }
}

/* Around a damaged page: each number by its own way down the tree. */
static int read_one_by_one(struct store_export *e, uint64_t from, uint64_t to)
{
    int rc = SQLITE_OK;
    if (to - from >= AT_ONCE)
        to = from + AT_ONCE - 1;
    e->batch.next = to + 1;
    for (uint64_t seq = from; seq <= to; seq++) {
        sqlite3_bind_int64(e->one, 1, (int64_t)seq);
        rc = sqlite3_step(e->one);
        if (rc == SQLITE_ROW)
            take(e, e->one);
        else if (store_db_error(rc) == FG_ECORRUPT)
            add_damaged(&e->batch, seq);
        else if (rc != SQLITE_DONE)
            break;
        sqlite3_reset(e->one);
        rc = SQLITE_OK;
    }
    sqlite3_reset(e->one);
    return rc;
}

static int read_range(struct store_export *e, uint64_t from, uint64_t to)
{
    size_t rows = 0;
    int rc;
    uint64_t last = to;
    sqlite3_bind_int64(e->range, 1, (int64_t)from);
    sqlite3_bind_int64(e->range, 2, (int64_t)to);
    sqlite3_bind_int(e->range, 3, AT_ONCE);
    while ((rc = sqlite3_step(e->range)) == SQLITE_ROW) {
        last = (uint64_t)sqlite3_column_int64(e->range, 0);
        take(e, e->range);
        rows++;
    }
    sqlite3_reset(e->range);
    e->batch.next = rows < AT_ONCE ? to + 1 : last + 1;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void clear(struct store_export *e)
{
    e->batch = (struct store_export_batch){.records = e->records};
    buf_reset(&e->text);
}

int store_export_read(struct store_export *e, uint64_t from, uint64_t to,
                      const struct store_export_batch **ret, struct err_note *note)
{
    clear(e);
    if (to > INT64_MAX) /* SQLite's numbers are signed */
        to = INT64_MAX;
    int rc = sqlite3_exec(e->db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = read_streams(e);
    if (rc == SQLITE_OK)
        rc = read_range(e, from, to);
    if (store_db_error(rc) == FG_ECORRUPT) {
        clear(e);
        rc = read_one_by_one(e, from, to);
    }
    int err = rc == SQLITE_OK ? 0 : say_sqlite(e, rc, note);
    sqlite3_exec(e->db, "COMMIT", NULL, NULL, NULL);
    if (!err && !buf_ok(&e->text))
        err = FG_ENOMEM;
    if (err)
        return err;
    set_texts(e);
    *ret = &e->batch;
    return 0;
}
