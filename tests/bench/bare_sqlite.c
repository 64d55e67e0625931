/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_sqlite - a loop around SQLite that keeps the same readings as the store with the same durability, and
 * nothing else.
 *
 *     bare_sqlite bytes PATH POINTS SAMPLES COMMITS PAGE
 *         SAMPLES in COMMITS commits: what they write, how long SQLite takes
 *     bare_sqlite commits PATH POINTS SAMPLES COMMITS PAGE LOG
 *         how long each commit takes, with a checkpoint whenever the log has so many pages
 *
 * The reference for the store: one row a sample with number, time, device and the values as text; no
 * checksum, no layout, no account of what was delivered. WAL, synchronous=FULL, everything else as SQLite has
 * it. The text of a commit's samples is made before its time begins, as the store's is before its writer gets
 * it: what is timed is SQLite alone. Prints one JSON object at the end.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "bench_values.h"

#define MOST_TEXT 4096 /* of one sample */
#define MOST_VALUE 24  /* of one value with its comma */
#define PAUSE_US 5000  /* as long as bench_store's writer waits: a processor that was idle is slower */

static sqlite3 *db;
static sqlite3_stmt *insert;

static void must(int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
        return;
    fprintf(stderr, "bare_sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql)
{
    must(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void set(const char *pragma, const char *value)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA %s=%d", pragma, atoi(value));
    run(sql);
}

static void open_at(const char *path, const char *page_size)
{
    must(sqlite3_open(path, &db));
    set("page_size", page_size);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE sample(seq INTEGER PRIMARY KEY, ts INTEGER, device INTEGER, body TEXT)");
    must(
        sqlite3_prepare_v2(db, "INSERT INTO sample(ts, device, body) VALUES(?1, ?2, ?3)", -1, &insert, NULL));
}

struct row {
    uint64_t number;
    const char *text;
    int len;
};

/* Writes the values of sample i; returns how many bytes. */
static int print_values(char *text, size_t size, uint64_t i, int points)
{
    size_t len = 0;
    uint64_t device = i % BENCH_DEVICES;
    for (uint64_t k = 0; k < (uint64_t)points; k++) {
        struct bench_value v = bench_value(device, i / BENCH_DEVICES, k);
        double scale = v.decimals == 0 ? 1 : v.decimals == 1 ? 10 : 100;
        len +=
            (size_t)snprintf(text + len, size - len, "%c%.10g", k ? ',' : '[', (double)v.magnitude / scale);
    }
    text[len++] = ']';
    return (int)len;
}

/* Makes the rows of samples [from, upto), their texts one behind the other. */
static void prepare(struct row *rows, char *text, uint64_t from, uint64_t upto, int points)
{
    for (uint64_t i = from; i < upto; i++, rows++) {
        *rows = (struct row){.number = i, .text = text, .len = print_values(text, MOST_TEXT, i, points)};
        text += rows->len;
    }
}

static void add(const struct row *row)
{
    sqlite3_bind_int64(insert, 1, BENCH_START_MS + (int64_t)row->number * 10);
    sqlite3_bind_int64(insert, 2, (int64_t)(row->number % BENCH_DEVICES));
    sqlite3_bind_text(insert, 3, row->text, row->len, SQLITE_STATIC);
    must(sqlite3_step(insert));
    must(sqlite3_reset(insert));
}

int main(int argc, char **argv)
{
    const bool timed = argc == 8 && strcmp(argv[1], "commits") == 0;
    if (!timed && (argc != 7 || strcmp(argv[1], "bytes") != 0))
        return 64;
    const int points = atoi(argv[3]), commits = atoi(argv[5]);
    if (points < 1 || points > MOST_TEXT / MOST_VALUE || commits < 1)
        return 64;
    const uint64_t samples = strtoull(argv[4], NULL, 10);
    int64_t *ns = calloc((size_t)commits + 1, sizeof *ns);
    const uint64_t most = samples / (uint64_t)commits + 1;
    struct row *rows = calloc(most, sizeof *rows);
    char *text = malloc(most * (size_t)points * MOST_VALUE + MOST_TEXT);
    uint64_t i = 0;
    if (!ns || !rows || !text)
        return 71;
    open_at(argv[2], argv[6]);
    if (timed)
        set("wal_autocheckpoint", argv[7]);
    int64_t before = bench_proc("/proc/self/io", "write_bytes"), in_sqlite_ns = 0;
    for (int c = 0; c < commits; c++) {
        const uint64_t upto = samples * ((uint64_t)c + 1) / (uint64_t)commits;
        prepare(rows, text, i, upto, points);
        int64_t begin = bench_now_ns();
        run("BEGIN IMMEDIATE");
        for (const struct row *row = rows; i < upto; i++)
            add(row++);
        run("COMMIT");
        ns[c] = bench_now_ns() - begin;
        in_sqlite_ns += ns[c];
        if (timed)
            usleep(PAUSE_US);
    }
    int64_t written = bench_proc("/proc/self/io", "write_bytes") - before;
    if (timed)
        bench_print_latency(ns, (size_t)commits);
    else
        printf("{\"written\": %" PRId64 ", \"seconds\": %.4f}\n", written, (double)in_sqlite_ns / 1e9);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    free(text);
    free(rows);
    free(ns);
    return 0;
}
