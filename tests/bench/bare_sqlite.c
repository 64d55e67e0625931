/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_sqlite - a loop around SQLite that keeps the same readings as the store with the same durability, and
 * nothing else.
 *
 *     bare_sqlite bytes PATH POINTS SAMPLES COMMITS PAGE    SAMPLES in COMMITS commits: what they write, how
 * long it takes bare_sqlite commits PATH POINTS SAMPLES COMMITS PAGE  how long each takes
 *
 * The reference for the store: one row a sample with number, time, device and the values as text; no
 * checksum, no layout, no account of what was delivered. WAL, synchronous=FULL, everything else as SQLite has
 * it. Prints one JSON object at the end.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "bench_values.h"

#define PAUSE_US 5000 /* as long as bench_store's writer waits: a processor that was idle is slower */

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

static void open_at(const char *path, int page_size)
{
    char pragma[64];
    must(sqlite3_open(path, &db));
    snprintf(pragma, sizeof pragma, "PRAGMA page_size=%d", page_size);
    run(pragma);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE sample(seq INTEGER PRIMARY KEY, ts INTEGER, device INTEGER, body TEXT)");
    must(
        sqlite3_prepare_v2(db, "INSERT INTO sample(ts, device, body) VALUES(?1, ?2, ?3)", -1, &insert, NULL));
}

static void add(uint64_t i, int points)
{
    char text[4096];
    size_t len = 0;
    uint64_t device = i % BENCH_DEVICES;
    for (uint64_t k = 0; k < (uint64_t)points; k++) {
        struct bench_value v = bench_value(device, i / BENCH_DEVICES, k);
        double scale = v.decimals == 0 ? 1 : v.decimals == 1 ? 10 : 100;
        len += (size_t)snprintf(text + len, sizeof text - len, "%c%.10g", k ? ',' : '[',
                                (double)v.magnitude / scale);
    }
    text[len++] = ']';
    sqlite3_bind_int64(insert, 1, BENCH_START_MS + (int64_t)i * 10);
    sqlite3_bind_int64(insert, 2, (int64_t)device);
    sqlite3_bind_text(insert, 3, text, (int)len, SQLITE_STATIC);
    must(sqlite3_step(insert));
    must(sqlite3_reset(insert));
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 64;
    const int points = atoi(argv[3]), commits = atoi(argv[5]);
    const uint64_t samples = strtoull(argv[4], NULL, 10);
    const bool timed = strcmp(argv[1], "commits") == 0;
    int64_t *ns = calloc((size_t)commits + 1, sizeof *ns);
    uint64_t i = 0;
    open_at(argv[2], atoi(argv[6]));
    int64_t before = bench_proc("/proc/self/io", "write_bytes"), began_ns = bench_now_ns();
    for (int c = 0; c < commits; c++) {
        const uint64_t upto = samples * ((uint64_t)c + 1) / (uint64_t)commits;
        int64_t begin = bench_now_ns();
        run("BEGIN IMMEDIATE");
        while (i < upto)
            add(i++, points);
        run("COMMIT");
        ns[c] = bench_now_ns() - begin;
        if (timed)
            usleep(PAUSE_US);
    }
    int64_t written = bench_proc("/proc/self/io", "write_bytes") - before;
    if (timed)
        bench_print_latency(ns, (size_t)commits);
    else
        printf("{\"written\": %" PRId64 ", \"seconds\": %.4f}\n", written,
               (double)(bench_now_ns() - began_ns) / 1e9);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    free(ns);
    return 0;
}
