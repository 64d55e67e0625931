/* SPDX-License-Identifier: Apache-2.0 */
#include "store_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "store_file.h"
#include "store_schema.h"
#include "text.h"

#define MIN_BYTES (512 * 1024)
#define MIN_MEMORY_BYTES (256 * 1024)
#define CHECK_WHOLE_PAGES 8192 /* 16 MiB: about a second on a slow card */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int store_sizes(int64_t max_bytes, struct store_sizes *ret, struct err_note *note)
{
    if (max_bytes < MIN_BYTES)
        return err_note(note, FG_EINVALID, "store: a size of %lld bytes is too small; give it 512KiB or more",
                        (long long)max_bytes);
    int64_t pages = max_bytes / STORE_PAGE_SIZE;
    ret->wal_pages = clamp(pages / 32, 8, 512);
    ret->group_bytes = (size_t)clamp(max_bytes / 64, 16 * 1024, 1024 * 1024);
    /* One transaction writes its records' pages, as many again where room was made, and a few small tables.
     */
    int64_t group_pages = (int64_t)ret->group_bytes / STORE_PAGE_SIZE;
    int64_t transaction_pages = group_pages * 3 + 16;
    int64_t wal_most = ret->wal_pages + transaction_pages;
    ret->max_pages = pages - wal_most - wal_most / 128 - 1;
    ret->soft_pages = ret->max_pages - group_pages / 2 - 4;
    return 0;
}

void store_sizes_in_memory(int64_t max_bytes, struct store_sizes *ret)
{
    if (max_bytes < MIN_MEMORY_BYTES)
        max_bytes = MIN_MEMORY_BYTES;
    ret->wal_pages = 0;
    ret->group_bytes = (size_t)clamp(max_bytes / 64, 16 * 1024, 256 * 1024);
    ret->max_pages = max_bytes / STORE_PAGE_SIZE;
    ret->soft_pages = ret->max_pages - (int64_t)ret->group_bytes / STORE_PAGE_SIZE / 2 - 4;
}

int store_db_error(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return FG_EFULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FG_ECORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FG_ERETRY;
    case SQLITE_NOMEM:
        return FG_ENOMEM;
    default:
        return FG_EIO;
    }
}

int store_db_fail(struct store_db *d, int rc, struct err_note *note, const char *doing)
{
    int err = store_db_error(rc);
    const char *next = err == FG_EFULL      ? _("free space on this partition")
                       : err == FG_ECORRUPT ? _("the file is damaged")
                       : err == FG_ERETRY
                           ? _("another program holds it; close it")
                           : _("check the card or disk (dmesg), its mount and its permissions");
    const char *said = d->db && sqlite3_errcode(d->db) ? sqlite3_errmsg(d->db) : sqlite3_errstr(rc);
    return err_note(note, err, "store: %s: %s; %s", doing, text_said(said), next);
}

int store_db_run(struct store_db *d, enum store_stmt which)
{
    int rc = sqlite3_step(d->stmt[which]);
    int end = sqlite3_reset(d->stmt[which]);
    return store_db_error(end != SQLITE_OK ? end : rc);
}

int store_db_run_ints(struct store_db *d, enum store_stmt which, const int64_t *values, int n)
{
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(d->stmt[which], i + 1, values[i]);
    return store_db_run(d, which);
}

static int first_int(sqlite3_stmt *stmt, int64_t otherwise, int64_t *ret)
{
    int rc = sqlite3_step(stmt);
    int64_t value = otherwise;
    if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
        value = sqlite3_column_int64(stmt, 0);
    int end = sqlite3_reset(stmt);
    if (end != SQLITE_OK)
        rc = end;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return store_db_error(rc);
    *ret = value;
    return 0;
}

int store_db_get_int(struct store_db *d, enum store_stmt which, int64_t otherwise, int64_t *ret)
{
    return first_int(d->stmt[which], otherwise, ret);
}

int store_db_query_int(struct store_db *d, const char *sql, int64_t otherwise, int64_t *ret)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_error(rc);
    int err = first_int(stmt, otherwise, ret);
    sqlite3_finalize(stmt);
    return err;
}

int store_db_meta_set(struct store_db *d, const char *key, const char *text)
{
    sqlite3_stmt *stmt = d->stmt[STMT_META_SET];
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
    return store_db_run(d, STMT_META_SET);
}

int store_db_meta_set_int(struct store_db *d, const char *key, int64_t value)
{
    sqlite3_stmt *stmt = d->stmt[STMT_META_SET];
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, value);
    return store_db_run(d, STMT_META_SET);
}

static int exec(struct store_db *d, const char *sql, struct err_note *note)
{
    int rc = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_db_fail(d, rc, note, _("preparing the database"));
}

static int connect(struct store_db *d, const char *path, int flags, struct err_note *note)
{
    memset(d, 0, sizeof *d);
    /* The store's own lock guards the connection: SQLite need not lock a second time. */
    int rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(d->db, 1);
        sqlite3_busy_timeout(d->db, 5000);
        return 0;
    }
    int err = store_db_fail(d, rc, note, path);
    store_db_close(d);
    return err;
}

static void remove_leftovers(const char *path)
{
    static const char *const tails[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        struct buf name = BUF_INIT;
        buf_addf(&name, "%s%s", path, tails[i]);
        if (buf_ok(&name))
            unlink(name.data);
        buf_fini(&name);
    }
}

static int create_at(const char *path, struct err_note *note)
{
    struct store_db d;
    remove_leftovers(path);
    int err = connect(&d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, note);
    if (err)
        return err;
    char pragmas[256];
    /* auto_vacuum has no effect after the first table or in WAL mode. EXTRA also syncs the folder. */
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA page_size=%d; PRAGMA auto_vacuum=NONE; PRAGMA synchronous=EXTRA; BEGIN IMMEDIATE;"
             "PRAGMA application_id=%d; PRAGMA user_version=%d;",
             STORE_PAGE_SIZE, STORE_APPLICATION_ID, STORE_USER_VERSION);
    err = exec(&d, pragmas, note);
    if (!err)
        err = exec(&d, store_schema_sql, note);
    if (!err)
        err = exec(&d, "COMMIT", note);
    store_db_close(&d);
    if (err)
        remove_leftovers(path);
    return err;
}

int store_db_create(const char *path, struct err_note *note)
{
    struct buf fresh = BUF_INIT;
    buf_addf(&fresh, "%s-new", path);
    int err = buf_ok(&fresh) ? create_at(fresh.data, note) : FG_ENOMEM;
    if (!err && (err = store_file_rename(fresh.data, path)))
        err_note(note, err, "store: %s: cannot be created; check the folder's permissions and space", path);
    buf_fini(&fresh);
    return err;
}

static int set_pragmas(struct store_db *d, const struct store_sizes *sizes, struct err_note *note)
{
    char sql[512];
    /* EXTRA before WAL: otherwise the journal used for the switch is unlinked without syncing the folder. In
     * WAL mode FULL is what flushes at each commit. max_page_count is not stored: it is set at each open. */
    snprintf(
        sql, sizeof sql,
        "PRAGMA synchronous=EXTRA; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "PRAGMA wal_autocheckpoint=%lld; PRAGMA journal_size_limit=%lld; PRAGMA max_page_count=%lld;"
        "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;"
        "PRAGMA trusted_schema=OFF;",
        (long long)sizes->wal_pages, (long long)(sizes->wal_pages * (STORE_PAGE_SIZE + 24)),
        (long long)sizes->max_pages);
    return exec(d, sql, note);
}

static int prepare_all(struct store_db *d, struct err_note *note)
{
    for (size_t i = 0; i < STORE_STMT_COUNT; i++) {
        const char *sql = store_schema_statement((enum store_stmt)i);
        int rc = sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->stmt[i], NULL);
        if (rc == SQLITE_ERROR) /* one of our tables is not there */
            rc = SQLITE_CORRUPT;
        if (rc != SQLITE_OK)
            return store_db_fail(d, rc, note, _("reading the schema"));
    }
    return 0;
}

int store_db_open(struct store_db *d, const char *path, const struct store_sizes *sizes,
                  struct err_note *note)
{
    int err = connect(d, path, SQLITE_OPEN_READWRITE, note);
    if (err)
        return err;
    err = set_pragmas(d, sizes, note);
    if (!err)
        err = prepare_all(d, note);
    if (err)
        store_db_close(d);
    return err;
}

int store_db_open_build(struct store_db *d, const char *path, const struct store_sizes *sizes,
                        struct err_note *note)
{
    char sql[256];
    int err = connect(d, path, SQLITE_OPEN_READWRITE, note);
    if (err)
        return err;
    /* The journal stays, in memory: a statement that meets the cap must be undone. */
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA max_page_count=%lld;",
             (long long)sizes->max_pages);
    err = exec(d, sql, note);
    if (!err)
        err = prepare_all(d, note);
    if (err)
        store_db_close(d);
    return err;
}

int store_db_open_memory(struct store_db *d, const struct store_sizes *sizes, struct err_note *note)
{
    char pragmas[160];
    int err = connect(d, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, note);
    if (err)
        return err;
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA page_size=%d; PRAGMA max_page_count=%lld; PRAGMA trusted_schema=OFF;", STORE_PAGE_SIZE,
             (long long)sizes->max_pages);
    err = exec(d, pragmas, note);
    if (!err)
        err = exec(d, store_schema_sql, note);
    if (!err)
        err = prepare_all(d, note);
    if (err)
        store_db_close(d);
    return err;
}

void store_db_close(struct store_db *d)
{
    for (size_t i = 0; i < STORE_STMT_COUNT; i++)
        sqlite3_finalize(d->stmt[i]);
    sqlite3_close_v2(d->db);
    memset(d, 0, sizeof *d);
}

/* By SQLite's own mapping of the index: store_file_log_frames() says why. */
uint32_t store_db_log_frames(struct store_db *d)
{
    enum { PART = 32768 }; /* in which SQLite maps it */
    sqlite3_file *file = NULL;
    void volatile *index = NULL;
    if (sqlite3_file_control(d->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file ||
        !file->pMethods || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap(file, 0, PART, 0, &index) != SQLITE_OK || !index)
        return 0;
    char head[STORE_INDEX_HEAD];
    for (size_t i = 0; i < sizeof head; i++)
        head[i] = ((const volatile char *)index)[i];
    return store_file_index_frames(head);
}

/* quick_check answers with one row "ok", or with rows that say what is wrong. */
static int quick_check(struct store_db *d, const char *table, struct err_note *note)
{
    char sql[64];
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof sql, "PRAGMA quick_check('%s')", table);
    int rc = sqlite3_prepare_v2(d->db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_fail(d, rc, note, _("checking the database"));
    int err = 0;
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        err = store_db_fail(d, rc, note, _("checking the database"));
    else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        err = err_note(note, FG_ECORRUPT, "store: checking %s: %s", table, sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    return err;
}

int store_db_check(struct store_db *d, struct err_note *note)
{
    static const char *const small[] = {"meta",    "layout", "stream", "uplink",
                                        "waiting", "hole",   "loss",   "mark"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        int err = quick_check(d, small[i], note);
        if (err)
            return err;
    }
    int64_t pages, ignored;
    int err = store_db_get_int(d, STMT_PAGE_COUNT, 0, &pages);
    if (!err && pages <= CHECK_WHOLE_PAGES)
        return quick_check(d, "record", note);
    /* A check cannot be interrupted in 3.40, and reading a whole gigabyte from a card takes minutes: look
     * where the next record will go. Damage elsewhere costs its page when it is met. */
    if (!err)
        err = store_db_query_int(d, "SELECT min(seq) FROM record", 0, &ignored);
    if (!err)
        err = store_db_query_int(
            d, "SELECT sum(length(body)) FROM (SELECT body FROM record ORDER BY seq DESC LIMIT 4096)", 0,
            &ignored);
    return err ? err_note(note, err, "store: the newest records cannot be read; the file is damaged") : 0;
}
