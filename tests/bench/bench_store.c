/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_store - the store at work, through its public interface only.
 *
 *     bench_store rate PATH POINTS MAX_BYTES SECONDS [DEVICES UPLINKS]
 *                                                           appends as fast as the store takes it
 *     bench_store bytes PATH POINTS SAMPLES COMMITS SPEED   SAMPLES a second for COMMITS seconds
 *     bench_store commits PATH POINTS SAMPLES COMMITS       how long from BEGIN to the end of COMMIT
 *     bench_store fill PATH POINTS SAMPLES                  lets a backlog wait, and ends as by a power cut
 *     bench_store drain PATH POINTS                         starts with what waits there, and hands it out
 *
 * Each prints one JSON object at the end. `bytes` lets the store's monotonic time run SPEED times as fast, so
 * that what it does every few seconds or minutes is part of the figure.
 *
 * It counts allocations by standing in for malloc() and its like, those of the libraries too, and sees
 * transactions begin and end by standing in for sqlite3_step() as the store calls it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "../../gateway/clock.h"
#include "../../gateway/store.h"
#include "../../gateway/store_last.h"
#include "bench_values.h"

#define POINTS_MOST 256
#define UPLINKS_MOST 100
#define LOOK_BACK_RECORDS 1000000         /* as gateway_counter.c */
#define COMMIT_WAIT_MS 5                  /* long enough for 100 appends */
#define BACKLOG_BYTES (INT64_C(16) << 30) /* no cap is met */

/* ---- standing in ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
int64_t __wrap_clock_mono_ms(void);
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);

int __real_sqlite3_step(sqlite3_stmt *stmt);
int __wrap_sqlite3_step(sqlite3_stmt *stmt);

static _Thread_local bool appending; /* this thread is in store_append() */
static uint64_t append_allocations;
static _Atomic uint64_t allocations;
static int64_t speed = 1;
static int64_t begun_ns;
static _Atomic int64_t commit_ns;

static void count_allocation(void)
{
    if (appending)
        append_allocations++;
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count_allocation();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_allocation();
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_allocation();
    return __libc_realloc(old, size);
}

int64_t __wrap_clock_mono_ms(void)
{
    return clock_mono_us() * speed / 1000;
}

/* The conditions of queue and writer count CLOCK_MONOTONIC. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    int64_t now = bench_now_ns();
    int64_t end = until->tv_sec * INT64_C(1000000000) + until->tv_nsec;
    if (end > now)
        end = now + (end - now) / speed;
    struct timespec t = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
    return __real_pthread_cond_timedwait(c, m, &t);
}

/* The writer commits alone; the main thread looks when it knows that a commit is over. */
int __wrap_sqlite3_step(sqlite3_stmt *stmt)
{
    const char *sql = sqlite3_sql(stmt);
    if (sql && strncmp(sql, "BEGIN", 5) == 0)
        begun_ns = bench_now_ns();
    int rc = __real_sqlite3_step(stmt);
    if (sql && strcmp(sql, "COMMIT") == 0)
        commit_ns = bench_now_ns() - begun_ns;
    return rc;
}

/* ---- a store ---- */

struct bench {
    struct store *store;
    int points;
    uint64_t devices;
    size_t uplinks;
    uint64_t before;   /* the newest number at the start */
    uint64_t appended; /* samples */
    sem_t committed;
    char *layout;
};

static void on_commit(void *context)
{
    struct bench *b = context;
    sem_post(&b->committed);
}

static char *make_layout(int points, uint64_t devices)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    fputs("{\"models\":{\"m\":{\"points\":[", f);
    for (int k = 0; k < points; k++)
        fprintf(f, "%s{\"name\":\"point_%d\",\"type\":\"number\",\"unit\":\"%%\"}", k ? "," : "", k);
    fputs("]},\"gauge\":{\"points\":[{\"name\":\"rain\",\"type\":\"number\",\"unit\":\"mm\",\"counter\":true,"
          "\"scale\":0.1}"
          "]}},"
          "\"devices\":[",
          f);
    for (uint64_t d = 0; d < devices; d++)
        fprintf(f, "{\"name\":\"device-%" PRIu64 "\",\"model\":\"m\",\"every_ms\":1000},", d);
    fputs("{\"name\":\"gauge\",\"model\":\"gauge\",\"every_ms\":1000}]}", f);
    fclose(f);
    return text;
}

static void open_store(struct bench *b, const char *path, int points, int64_t max_bytes,
                       int64_t commit_every_ms)
{
    struct store_uplink uplinks[UPLINKS_MOST];
    char names[UPLINKS_MOST][16];
    struct err_note note = {{0}};
    b->points = points;
    b->layout = make_layout(points, b->devices);
    for (size_t i = 0; i < b->uplinks; i++) {
        snprintf(names[i], sizeof names[i], "up%zu", i);
        uplinks[i] = (struct store_uplink){.name = names[i]};
    }
    sem_init(&b->committed, 0, 0);
    struct store_options options = {.path = path,
                                    .max_bytes = max_bytes,
                                    .commit_every_ms = commit_every_ms,
                                    .keep_delivered_ms = INT64_C(30) * 24 * 3600 * 1000,
                                    .layout = b->layout,
                                    .layout_len = strlen(b->layout),
                                    .software = "bench",
                                    .uplinks = uplinks,
                                    .uplink_count = b->uplinks,
                                    .machine_id = "bench",
                                    .clock_trusted = true,
                                    .on_commit = on_commit,
                                    .on_commit_context = b};
    int err = store_open(&options, &b->store, &note);
    if (err) {
        fprintf(stderr, "bench_store: %s: %s\n", err_text(err), note.text);
        exit(1);
    }
    b->before = store_newest(b->store);
}

static void close_store(struct bench *b)
{
    if (store_close(b->store, NULL) != 0)
        exit(1);
    sem_destroy(&b->committed);
    free(b->layout);
}

/* Waits while the queue to the writer is full: what a poller would have lost, a benchmark must not count. */
static void append(struct bench *b)
{
    struct reading readings[POINTS_MOST];
    uint64_t device = b->appended % b->devices;
    for (int k = 0; k < b->points; k++) {
        struct bench_value v = bench_value(device, b->appended / b->devices, (uint64_t)k);
        readings[k] = (struct reading){
            .value = {.kind = VALUE_NUMBER,
                      .number = {.magnitude = (uint64_t)v.magnitude, .exponent = (int16_t)-v.decimals}}};
    }
    struct sample sample = {.device = (uint32_t)device,
                            .wall_ms = BENCH_START_MS + (int64_t)b->appended * 10,
                            .clock_trusted = true,
                            .count = (size_t)b->points,
                            .readings = readings};
    int err = FG_EFULL;
    while (err == FG_EFULL) {
        appending = true;
        err = store_append(b->store, &sample);
        appending = false;
        if (err == FG_EFULL)
            usleep(200);
    }
    if (err)
        exit(1);
    b->appended++;
}

static struct store_status status_of(struct bench *b)
{
    struct store_status s;
    store_status(b->store, &s);
    return s;
}

static void wait_until_committed(struct bench *b)
{
    while (store_newest(b->store) < b->before + b->appended)
        sem_wait(&b->committed);
}

static void acknowledge(struct bench *b)
{
    uint64_t first, last, count;
    if (store_waiting(b->store, 0, &first, &last, &count))
        store_delivered(b->store, 0, first, last);
}

/* ---- what is measured ---- */

/* What was committed, dropped and taken of the disk after every tenth of a second; what was allocated from
 * the first second on. */
static void rate(struct bench *b, int seconds)
{
    int64_t begin = bench_now_ns(), next = begin;
    uint64_t since = 0, own = 0, all = 0;
    printf("{\"tenths\": [");
    for (int tenth = 0; tenth <= seconds * 10; tenth++, next += 100000000) {
        while (bench_now_ns() < next)
            for (int i = 0; i < 100; i++)
                append(b);
        struct store_uplink_status u;
        store_uplink_status(b->store, 0, &u);
        if (tenth == 10) {
            since = b->appended;
            own = append_allocations;
            all = allocations;
        }
        printf("%s[%.4f, %" PRIu64 ", %" PRIu64 ", %" PRId64 "]", tenth ? ", " : "",
               (double)(bench_now_ns() - begin) / 1e9, u.accepted, u.dropped, status_of(b).bytes);
    }
    printf("], \"append_allocations\": %" PRIu64 ", \"allocations\": %.4f}\n", append_allocations - own,
           (double)(allocations - all) / (double)(b->appended - since));
}

static void bytes(struct bench *b, int samples, int commits)
{
    int64_t second_us = 1000000 / speed, next = clock_mono_us();
    int64_t before = bench_proc("/proc/self/io", "write_bytes");
    uint64_t first = b->appended;
    for (int c = 0; c < commits; c++) {
        /* As pollers do: one after another through the second. */
        for (int i = 0; i < samples; i++) {
            clock_sleep_until_us(next + second_us * i / samples);
            append(b);
        }
        next += second_us;
        acknowledge(b);
    }
    wait_until_committed(b);
    int64_t written = bench_proc("/proc/self/io", "write_bytes") - before;
    printf("{\"samples\": %" PRIu64 ", \"written\": %" PRId64 ", \"commits\": %" PRIu64 ", \"size\": %" PRId64
           "}\n",
           b->appended - first, written, status_of(b).commits, status_of(b).bytes);
}

static void commits(struct bench *b, int samples, int count)
{
    int64_t *ns = calloc((size_t)count, sizeof *ns);
    uint64_t before = status_of(b).commits;
    for (int c = 0; c < count; c++) {
        for (int i = 0; i < samples; i++)
            append(b);
        wait_until_committed(b);
        ns[c] = commit_ns;
    }
    /* The machine may have stopped us in mid-append: then there is one commit more. */
    if (status_of(b).commits > before + (uint64_t)(count + count / 20))
        exit(1);
    bench_print_latency(ns, (size_t)count);
    free(ns);
}

static void fill(struct bench *b, uint64_t samples)
{
    int64_t early = 0;
    for (uint64_t i = 0; i < samples; i++) {
        append(b);
        if (i == samples / 10)
            early = bench_proc("/proc/self/status", "RssAnon");
    }
    wait_until_committed(b);
    sleep(2); /* events about a full queue count too: the last samples are committed within a second */
    struct store_uplink_status u;
    store_uplink_status(b->store, 0, &u);
    printf("{\"records\": %" PRIu64 ", \"anonymous_kb_early\": %" PRId64 ", \"anonymous_kb\": %" PRId64
           ", \"resident_kb\": %" PRId64 "}\n",
           u.waiting, early, bench_proc("/proc/self/status", "RssAnon"),
           bench_proc("/proc/self/status", "VmRSS"));
}

/* As after a boot: nothing of the file is in memory. */
static void forget_cached(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static uint64_t hand_out(struct bench *b, struct store_batch *batch)
{
    const struct store_limits limits = {.max_records = 100, .max_bytes = 32768};
    int n = store_read(b->store, 0, 0, UINT64_MAX, &limits, batch);
    if (n < 0)
        exit(1);
    return (uint64_t)n;
}

/* The start is the daemon's slowest: it has a counter, and looks in vain for its last reading. */
static void drain(struct bench *b, const char *path, int points)
{
    struct store_last gauge = {.device = BENCH_DEVICES};
    struct store_batch batch;
    uint64_t records, n;
    forget_cached(path);
    store_batch_init(&batch);
    int64_t begin = bench_now_ns();
    open_store(b, path, points, BACKLOG_BYTES, 1000);
    if (store_last(b->store, &gauge, 1, LOOK_BACK_RECORDS) != 0 || gauge.found)
        exit(1);
    append(b);
    records = n = hand_out(b, &batch);
    int64_t ready = bench_now_ns();
    for (; n > 0; records += n) {
        store_delivered(b->store, 0, batch.records[0].seq, batch.records[n - 1].seq);
        n = hand_out(b, &batch);
    }
    printf("{\"ready_s\": %.4f, \"records\": %" PRIu64 ", \"seconds\": %.4f, \"anonymous_kb\": %" PRId64
           "}\n",
           (double)(ready - begin) / 1e9, records, (double)(bench_now_ns() - ready) / 1e9,
           bench_proc("/proc/self/status", "RssAnon"));
    store_batch_fini(&batch);
}

int main(int argc, char **argv)
{
    struct bench b = {.devices = BENCH_DEVICES, .uplinks = 1};
    const char *what = argc > 3 ? argv[1] : "", *path = argc > 3 ? argv[2] : "";
    int points = argc > 3 ? atoi(argv[3]) : 0;
    if (points < 1 || points > POINTS_MOST)
        return 64;
    store_begin();
    if (strcmp(what, "rate") == 0 && (argc == 6 || argc == 8)) {
        b.devices = argc == 8 ? strtoull(argv[6], NULL, 10) : b.devices;
        b.uplinks = argc == 8 ? strtoull(argv[7], NULL, 10) : b.uplinks;
        if (b.devices < 1 || b.uplinks < 1 || b.uplinks > UPLINKS_MOST)
            return 64;
        open_store(&b, path, points, atoll(argv[4]), 1000);
        rate(&b, atoi(argv[5]));
    } else if (strcmp(what, "bytes") == 0 && argc == 7) {
        speed = atoi(argv[6]);
        open_store(&b, path, points, INT64_C(1) << 30, 1000);
        bytes(&b, atoi(argv[4]), atoi(argv[5]));
    } else if (strcmp(what, "commits") == 0 && argc == 6) {
        open_store(&b, path, points, INT64_C(1) << 30, COMMIT_WAIT_MS);
        commits(&b, atoi(argv[4]), atoi(argv[5]));
    } else if (strcmp(what, "fill") == 0 && argc == 5) {
        open_store(&b, path, points, BACKLOG_BYTES, 1000);
        fill(&b, strtoull(argv[4], NULL, 10));
        fflush(stdout);
        _exit(0);
    } else if (strcmp(what, "drain") == 0 && argc == 4) {
        drain(&b, path, points);
    } else {
        return 64;
    }
    close_store(&b);
    return 0;
}
