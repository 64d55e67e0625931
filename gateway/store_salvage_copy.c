/* SPDX-License-Identifier: Apache-2.0 */
#include "store_salvage_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store_crc.h"
#include "store_file.h"
#include "store_record.h"
#include "store_schema.h"

#define CHUNK 2000          /* rows in one transaction */
#define STEP_FINE_ROWS 4096 /* looked for one by one before the steps get longer */
#define STEP_ROWS 16        /* fewer than a page holds */

struct salvage {
    struct store_db *to;
    sqlite3 *from;
    sqlite3_stmt *range, *one;
    struct seqset layouts; /* whose text is whole */
    struct seqset copied;  /* seqs */
    uint64_t limit;        /* no number beyond */
    const atomic_bool *stop;
    unsigned in_chunk;
};

static int exec(struct store_db *d, const char *sql)
{
    return store_db_error(sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

/* Page 1 holds the file's head and the schema, and is the same in every database of this version except for
 * counters that do not matter for reading: when it is garbage, that of the new database takes its place. The
 * old one is kept beside the file. */
static void mend_first_page(const char *path, const char *fresh)
{
    struct buf good = BUF_INIT, bad = BUF_INIT, name = BUF_INIT;
    buf_addf(&name, "%s-page1", path);
    if (store_file_read(fresh, STORE_PAGE_SIZE, &good) == 0 &&
        store_file_read(path, STORE_PAGE_SIZE, &bad) == 0 && bad.len == STORE_PAGE_SIZE &&
        memcmp(bad.data, good.data, 16) != 0 && buf_ok(&name) && store_file_write(name.data, &bad) == 0) {
        /* WAL mode is part of the head: without it a WAL that is still there would be ignored. */
        good.data[18] = good.data[19] = 2;
        /* Not the size of the new one: with zero here SQLite takes that of the file. */
        memset(good.data + 28, 0, 4);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (pwrite(fd, good.data, good.len, 0) != (ssize_t)good.len || fsync(fd) != 0)
                unlink(name.data); /* then nothing can be read, and the copy that follows says so */
            close(fd);
        }
    }
    buf_fini(&good);
    buf_fini(&bad);
    buf_fini(&name);
}

/* Copies a small table; false when it could not be read to its end. */
static bool copy_table(struct salvage *v, const char *table, int columns)
{
    char sql[128];
    sqlite3_stmt *in = NULL, *out = NULL;
    int rc;
    snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
    rc = sqlite3_prepare_v2(v->from, sql, -1, &in, NULL);
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES(?1,?2,?3,?4,?5,?6,?7,?8", table);
    /* "?1,?2,...": three characters a column, and one comma fewer. */
    sql[strlen(sql) - (size_t)(8 - columns) * 3] = 0;
    strcat(sql, ")");
    if (rc == SQLITE_OK && sqlite3_prepare_v2(v->to->db, sql, -1, &out, NULL) == SQLITE_OK) {
        while ((rc = sqlite3_step(in)) == SQLITE_ROW && sqlite3_column_count(in) == columns) {
            for (int i = 0; i < columns; i++)
                sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
            sqlite3_step(out);
            sqlite3_reset(out);
        }
    }
    sqlite3_finalize(in);
    sqlite3_finalize(out);
    return rc == SQLITE_DONE;
}

/* Only layouts whose text is whole: a record means nothing without its layout. */
static int keep_whole_layouts(struct salvage *v)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(v->to->db, "SELECT id, text, crc FROM layout", -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_db_error(rc);
    struct seqset bad = {0};
    int err = 0;
    while (!err && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t id = (uint64_t)sqlite3_column_int64(stmt, 0);
        const void *text = sqlite3_column_text(stmt, 1);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 1);
        if (text && (int32_t)store_crc(0, text, len) == sqlite3_column_int(stmt, 2))
            err = seqset_add(&v->layouts, id, id);
        else
            err = seqset_add(&bad, id, id);
    }
    if (!err)
        err = store_db_error(rc);
    sqlite3_finalize(stmt);
    for (size_t i = 0; i < bad.count && !err; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "DELETE FROM layout WHERE id BETWEEN %lld AND %lld",
                 (long long)bad.ranges[i].first, (long long)bad.ranges[i].last);
        err = exec(v->to, sql);
    }
    seqset_fini(&bad);
    return err;
}

static int next_chunk(struct salvage *v)
{
    v->in_chunk = 0;
    int err = atomic_load(v->stop) ? FG_ECLOSED : store_db_run(v->to, STMT_COMMIT);
    return err ? err : store_db_run(v->to, STMT_BEGIN);
}

/* The cap may have become lower: then it is the oldest that go. */
static int drop_tenth(struct salvage *v)
{
    if (v->copied.count == 0)
        return FG_EFULL;
    uint64_t first = v->copied.ranges[0].first, last = v->copied.ranges[v->copied.count - 1].last;
    int64_t range[] = {(int64_t)first, (int64_t)(first + (last - first) / 10)};
    int err = store_db_run_ints(v->to, STMT_DELETE, range, 2);
    if (!err)
        err = seqset_remove(&v->copied, first, (uint64_t)range[1]);
    return err ? err : next_chunk(v);
}

static int copy_row(struct salvage *v, const struct store_row *row)
{
    if (!seqset_has(&v->layouts, row->layout) || seqset_has(&v->copied, row->seq))
        return 0;
    int err = store_record_insert(v->to, row);
    while (err == FG_EFULL && (err = drop_tenth(v)) == 0)
        err = store_record_insert(v->to, row);
    if (!err)
        err = seqset_add(&v->copied, row->seq, row->seq);
    return !err && ++v->in_chunk >= CHUNK ? next_chunk(v) : err;
}

static bool can_read(struct salvage *v, uint64_t seq)
{
    sqlite3_bind_int64(v->one, 1, (int64_t)seq);
    bool found = sqlite3_step(v->one) == SQLITE_ROW;
    sqlite3_reset(v->one);
    return found;
}

/* The first readable record from seq on; false when there is none up to the limit. */
static bool step_past(struct salvage *v, uint64_t seq, uint64_t *ret)
{
    uint64_t step = 1;
    for (uint64_t tries = 0; seq <= v->limit && !atomic_load(v->stop); tries++, seq += step) {
        if (tries == STEP_FINE_ROWS)
            step = STEP_ROWS;
        if (!can_read(v, seq))
            continue;
        for (uint64_t back = seq - step + 1; back < seq; back++)
            if (can_read(v, back))
                seq = back;
        *ret = seq;
        return true;
    }
    return false;
}

/* Copies from *next until the end or the first damaged place; *next is then after the last row read. */
static int copy_run(struct salvage *v, uint64_t *next, bool *ret_end)
{
    int rc, err = 0;
    sqlite3_bind_int64(v->range, 1, (int64_t)*next);
    sqlite3_bind_int64(v->range, 2, INT64_MAX);
    while (!err && (rc = sqlite3_step(v->range)) == SQLITE_ROW) {
        struct store_row row;
        int damage = store_record_read(v->range, &row);
        if (row.seq < *next) /* a damaged tree may go in circles */
            break;
        *next = row.seq + 1;
        if (!damage)
            err = copy_row(v, &row);
    }
    *ret_end = !err && rc == SQLITE_DONE;
    sqlite3_reset(v->range);
    return err;
}

static int copy_records(struct salvage *v)
{
    uint64_t next = 1;
    bool end = false;
    int err = store_db_run(v->to, STMT_BEGIN);
    while (!err) {
        err = copy_run(v, &next, &end);
        if (err || end || !step_past(v, next, &next))
            break;
    }
    if (!err && atomic_load(v->stop))
        err = FG_ECLOSED;
    return err ? err : store_db_run(v->to, STMT_COMMIT);
}

static uint64_t highest(struct salvage *v, const char *sql, uint64_t least)
{
    int64_t value = 0;
    return store_db_query_int(v->to, sql, 0, &value) == 0 && value > 0 && (uint64_t)value > least
               ? (uint64_t)value
               : least;
}

/* What is not there between the first and the last number ever given. */
static int write_holes(struct salvage *v, uint64_t floor)
{
    int err = exec(v->to, "DELETE FROM hole");
    for (size_t i = 0; i < v->copied.count && !err; i++) {
        bool last = i + 1 == v->copied.count;
        uint64_t to = last ? floor : v->copied.ranges[i + 1].first - 1;
        int64_t hole[] = {(int64_t)v->copied.ranges[i].last + 1, (int64_t)to};
        if (hole[0] <= hole[1])
            err = store_db_run_ints(v->to, STMT_HOLE_ADD, hole, 2);
    }
    return err ? err : store_db_meta_set_int(v->to, "floor", (int64_t)floor);
}

static int copy_tables(struct salvage *v, bool *ret_uplinks_unknown)
{
    copy_table(v, "layout", 4);
    copy_table(v, "stream", 4);
    copy_table(v, "loss", 8);
    copy_table(v, "mark", 2);
    *ret_uplinks_unknown = !copy_table(v, "uplink", 7);
    /* Where it is not known what still waits, everything does: what is sent again has the same key. */
    int err = 0;
    if (!copy_table(v, "waiting", 3))
        err = exec(v->to, "DELETE FROM waiting; UPDATE uplink SET upto = start_seq - 1");
    if (!err)
        err = exec(v->to, "DELETE FROM stream WHERE first_seq < 1 OR id IS NULL OR length(id) <> 16;"
                          "DELETE FROM layout WHERE id < 1; DELETE FROM uplink WHERE name IS NULL");
    return err ? err : keep_whole_layouts(v);
}

/* Records must belong to some stream, and the side file knows the last one. */
static int name_stream(struct salvage *v, const struct store_side *side)
{
    int64_t streams;
    char sql[128], unknown[STORE_STREAM_TEXT];
    int err = store_db_query_int(v->to, "SELECT count(*) FROM stream", 0, &streams);
    if (err || streams > 0)
        return err;
    store_random_hex(unknown, sizeof unknown);
    snprintf(sql, sizeof sql, "INSERT INTO stream VALUES(%llu, '%s', 0, 'unknown')",
             (unsigned long long)(side->known ? side->first : 1), side->known ? side->stream : unknown);
    return exec(v->to, sql);
}

static bool open_source(struct salvage *v, const char *path)
{
    /* Read-only: but for page 1, which is kept beside it when it was mended, the file stays as it was found.
     */
    if (sqlite3_open_v2(path, &v->from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return false;
    const char *range = store_schema_statement(STMT_RANGE), *one = store_schema_statement(STMT_ONE);
    return sqlite3_prepare_v2(v->from, range, -1, &v->range, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(v->from, one, -1, &v->one, NULL) == SQLITE_OK;
}

int store_salvage_copy(struct store_db *to, const char *from, const struct store_side *side, uint64_t given,
                       const atomic_bool *stop, bool *ret_uplinks_unknown)
{
    struct salvage v = {.to = to, .stop = stop};
    int err = 0;
    *ret_uplinks_unknown = true;
    mend_first_page(from, sqlite3_db_filename(to->db, "main"));
    bool open = open_source(&v, from);
    if (open)
        err = copy_tables(&v, ret_uplinks_unknown);
    uint64_t floor = highest(&v, "SELECT max(upto) FROM uplink", given);
    floor = highest(&v, "SELECT max(last) FROM waiting", floor);
    v.limit = floor + STORE_RESERVE;
    if (side->known && side->reserved > v.limit)
        v.limit = side->reserved;
    if (!err && open)
        err = copy_records(&v);
    if (v.copied.count && v.copied.ranges[v.copied.count - 1].last > floor)
        floor = v.copied.ranges[v.copied.count - 1].last;
    if (!err)
        err = name_stream(&v, side);
    if (!err)
        err = write_holes(&v, floor);
    sqlite3_finalize(v.range);
    sqlite3_finalize(v.one);
    sqlite3_close_v2(v.from);
    seqset_fini(&v.layouts);
    seqset_fini(&v.copied);
    return err;
}
