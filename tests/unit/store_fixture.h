/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture - a store in a folder of its own, samples to put into it, and waiting for commits.
 *
 * Threads    The test's own.
 * Ownership  fixture_setup()/fixture_teardown() remove the folder with everything in it.
 * Errors     Every surprise fails the test.
 */
#ifndef FG_STORE_FIXTURE_H
#define FG_STORE_FIXTURE_H

#include "unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "../../gateway/clock.h"
#include "../../gateway/json.h"
#include "../../gateway/store.h"

#define LAYOUT                                                                                               \
    "{\"models\":{\"m\":{\"points\":[{\"name\":\"a\",\"type\":\"number\",\"unit\":\"%\"},"                   \
    "{\"name\":\"b\",\"type\":\"bool\"}]}},\"devices\":[{\"name\":\"d0\",\"model\":\"m\"},{\"name\":\"d1\"," \
    "\"model\":\"m\"}]}"
#define DEADLINE_S 20
#define PAGE 2048 /* STORE_PAGE_SIZE */

struct fixture {
    char folder[64], path[96];
    struct store_uplink uplinks[3];
    struct store_options options;
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t committed;
    uint64_t commits;
    uint64_t appended; /* samples, by append_sample() */
};

static inline void on_commit(void *context)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->lock);
    f->commits++;
    pthread_cond_broadcast(&f->committed);
    pthread_mutex_unlock(&f->lock);
}

static inline struct fixture *fixture_new(const char *folder)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "%s", folder);
    snprintf(f->path, sizeof f->path, "%s/buffer.db", f->folder);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->committed, NULL);
    f->uplinks[0].name = "province";
    f->uplinks[1].name = "coop";
    f->uplinks[2].name = "third";
    f->options = (struct store_options){.path = f->path,
                                        .max_bytes = 64 * 1024 * 1024,
                                        .commit_every_ms = 2,
                                        .keep_delivered_ms = 3600 * 1000,
                                        .layout = LAYOUT,
                                        .layout_len = strlen(LAYOUT),
                                        .software = "0.1.0-test",
                                        .uplinks = f->uplinks,
                                        .uplink_count = 2,
                                        .machine_id = "machine-one",
                                        .on_commit = on_commit,
                                        .on_commit_context = f};
    return f;
}

static inline int fixture_setup(void **state)
{
    char folder[64];
    unit_folder(folder);
    *state = fixture_new(folder);
    return 0;
}

/* Runs this test program again as `program child FOLDER a b c`: a process that had threads cannot fork one
 * that makes some (TSan refuses). */
static inline pid_t fixture_child(const struct fixture *f, int a, uint64_t b, unsigned c)
{
    char text[3][24];
    snprintf(text[0], sizeof text[0], "%d", a);
    snprintf(text[1], sizeof text[1], "%" PRIu64, b);
    snprintf(text[2], sizeof text[2], "%u", c);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "store-test", "child", f->folder, text[0], text[1], text[2], (char *)NULL);
        _exit(7);
    }
    return pid;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store, NULL);
    unit_remove_folder(f->folder);
    pthread_cond_destroy(&f->committed);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

static inline void fixture_open(struct fixture *f)
{
    struct err_note note = {{0}};
    int err = store_open(&f->options, &f->store, &note);
    if (err)
        fail_msg("store_open: %s: %s", err_text(err), note.text);
}

static inline void fixture_close(struct fixture *f)
{
    store_close(f->store, NULL);
    f->store = NULL;
}

static inline void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

/* Two readings: the number i / 10 of point a, and whether i is odd of point b. ts is 1000 * i. */
static inline int try_append(struct fixture *f, uint64_t i)
{
    struct reading readings[2] = {
        {.quality = QUALITY_GOOD,
         .value = {.kind = VALUE_NUMBER, .number = {.magnitude = i, .exponent = -1}}},
        {.quality = QUALITY_GOOD, .value = {.kind = VALUE_BOOL, .boolean = i & 1}}};
    struct sample sample = {.device = (uint32_t)(i % 2),
                            .wall_ms = (int64_t)i * 1000,
                            .clock_trusted = true,
                            .count = 2,
                            .readings = readings};
    return store_append(f->store, &sample);
}

static inline void append_sample(struct fixture *f)
{
    assert_int_equal(try_append(f, f->appended), 0);
    f->appended++;
}

static inline struct timespec deadline(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += DEADLINE_S;
    return t;
}

/* Waits until seq is committed. */
static inline void wait_newest(struct fixture *f, uint64_t seq)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&f->lock);
    while (store_newest(f->store) < seq)
        if (pthread_cond_timedwait(&f->committed, &f->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&f->lock);
    assert_true(store_newest(f->store) >= seq);
}

static inline void append_and_wait(struct fixture *f, uint64_t n)
{
    uint64_t newest = store_newest(f->store);
    for (uint64_t i = 0; i < n; i++) {
        int err;
        while ((err = try_append(f, f->appended)) == FG_EFULL)
            clock_sleep_until_us(clock_mono_us() + 1000);
        assert_int_equal(err, 0);
        f->appended++;
    }
    wait_newest(f, newest + n);
}

static inline int read_all(struct fixture *f, size_t uplink, struct store_batch *b)
{
    struct store_limits limits = {.max_records = 100000, .max_bytes = 100000000};
    int n = store_read(f->store, uplink, 0, UINT64_MAX, &limits, b);
    assert_true(n >= 0);
    return n;
}

static inline struct store_uplink_status status_of(struct fixture *f, size_t uplink)
{
    struct store_uplink_status u;
    store_uplink_status(f->store, uplink, &u);
    assert_int_equal(u.accepted, u.delivered + u.waiting + u.dropped);
    return u;
}

/* The number of events of this name (and reason, when given) in a batch; *ret is the last one, or NULL. */
static inline size_t find_events(const struct store_batch *b, const char *name, const char *reason,
                                 cJSON **ret)
{
    size_t n = 0;
    if (ret)
        *ret = NULL;
    for (size_t i = 0; i < b->count; i++) {
        if (!b->records[i].is_event)
            continue;
        cJSON *event = json_parse(b->records[i].body, b->records[i].body_len);
        assert_non_null(event);
        bool same = strcmp(json_string(event, "event", ""), name) == 0 &&
                    (!reason || strcmp(json_string(event, "reason", ""), reason) == 0);
        n += same;
        if (same && ret) {
            cJSON_Delete(*ret);
            *ret = event;
        } else {
            cJSON_Delete(event);
        }
    }
    return n;
}

static inline void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static inline int64_t ask_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return value;
}

static inline void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

/* Where these bytes stand in the file; fails when they do not. */
static inline off_t find_bytes(const char *path, const char *bytes)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    char *text = malloc((size_t)st.st_size);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
    close(fd);
    char *found = memmem(text, (size_t)st.st_size, bytes, strlen(bytes));
    assert_non_null(found);
    off_t offset = found - text;
    free(text);
    return offset;
}

static inline void write_garbage(const char *path, off_t offset, size_t len)
{
    unsigned char *bytes = malloc(len);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && bytes);
    memset(bytes, 0xA5, len);
    assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
    close(fd);
    free(bytes);
}

/* How many files in the folder have names that begin so, not counting the WAL of a set-aside database. */
static inline int count_files(const struct fixture *f, const char *prefix)
{
    int n = 0;
    DIR *dir = opendir(f->folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 &&
             !(strstr(e->d_name, ".damaged-") && strstr(e->d_name, "-wal"));
    closedir(dir);
    return n;
}

#endif
