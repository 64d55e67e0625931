/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink_fixture - a real store, a real broker, a subscriber that is no part of us, and the uplink between
 * them.
 *
 * Threads    The test's own; the store's writer wakes the uplink.
 * Ownership  uplink_set_up() and uplink_tear_down() as cmocka calls them.
 * Errors     Fail the test.
 */
#ifndef FG_TEST_UPLINK_FIXTURE_H
#define FG_TEST_UPLINK_FIXTURE_H

#include "unit.h"

#include <pthread.h>

#include "../../gateway/uplink.h"
#include "broker.h"
#include "parallel.h"
#include "uplink_watch.h"

#define TOPIC "farm/gw-test"
#define OPEN "allow_anonymous true\n"

static const char LAYOUT[] =
    "{\"models\":{\"air\":{\"points\":[{\"name\":\"air_temperature\",\"type\":\"number\",\"unit\":\"Cel\"},"
    "{\"name\":\"count\",\"type\":\"number\"}]}},\"devices\":[{\"name\":\"air-1\",\"model\":\"air\"}]}";

struct fixture {
    char dir[64];
    struct broker broker;
    struct watch watch;
    bool watching;
    struct store *store;
    pthread_mutex_t lock;  /* guards uplink: the store's writer wakes it */
    struct uplink *uplink; /* NULL: not running */
    char url[64], dead_url[64], password[128];
    const char *urls[2];
    struct uplink_options options;
    uint64_t appended;
};

static inline bool trusted(void *context)
{
    (void)context;
    return true;
}

static inline void committed(void *context)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->lock);
    if (f->uplink)
        uplink_wake(f->uplink);
    pthread_mutex_unlock(&f->lock);
}

static inline void open_store(struct fixture *f)
{
    char path[128];
    struct err_note note = {""};
    static const struct store_uplink UPLINKS[] = {{.name = "province"}};
    snprintf(path, sizeof path, "%s/buffer.db", f->dir);
    const struct store_options options = {
        .path = path,
        .max_bytes = 64 << 20,
        .commit_every_ms = 10,
        .keep_delivered_ms = 3600 * 1000,
        .layout = LAYOUT,
        .layout_len = strlen(LAYOUT),
        .software = "fieldgate test",
        .uplinks = UPLINKS,
        .uplink_count = 1,
        .machine_id = "0123456789abcdef0123456789abcdef",
        .on_commit = committed,
        .on_commit_context = f,
    };
    int err = store_open(&options, &f->store, &note);
    if (err < 0)
        print_error("%s\n", note.text);
    assert_int_equal(err, 0);
}

static inline int uplink_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    unit_folder(f->dir);
    broker_prepare(&f->broker);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", f->broker.port);
    snprintf(f->dead_url, sizeof f->dead_url, "mqtt://127.0.0.1:%d", broker_free_port());
    f->urls[0] = f->url;
    open_store(f);
    f->options = (struct uplink_options){
        .name = "province",
        .store = f->store,
        .urls = f->urls,
        .url_count = 1,
        .topic = TOPIC,
        .format = payload_format("json"),
        .mqtt = {.client_id = "gw-test-province",
                 .version = 5,
                 .keepalive_ms = 60000,
                 .connect_timeout_ms = 2000},
        .who = {.gateway = "gw-test",
                .software = "fieldgate test",
                .uplink = "province",
                .labels_json = "{}"},
        .batch_samples = 20,
        .batch_bytes = 32768,
        .batch_delay_ms = 20,
        .live_depth = 5,
        .puback_timeout_ms = 10000,
        .first_retry_max_ms = 50,
        .config_state = "current",
        .state_dir = f->dir,
        .clock_trusted = trusted,
        .seed = 1,
    };
    *state = f;
    return 0;
}

static inline void start_uplink(struct fixture *f)
{
    struct err_note note = {""};
    struct uplink *u = NULL;
    int err = uplink_new(&f->options, &u, &note);
    if (err < 0)
        print_error("%s\n", note.text);
    assert_int_equal(err, 0);
    pthread_mutex_lock(&f->lock);
    f->uplink = u;
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(uplink_start(u), 0);
}

static inline void stop_uplink(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    struct uplink *u = f->uplink;
    f->uplink = NULL;
    pthread_mutex_unlock(&f->lock);
    if (!u)
        return;
    int64_t begin = clock_mono_ms();
    assert_true(uplink_stop(u, 10000));
    assert_in_range(clock_mono_ms() - begin, 0, 2500);
    uplink_free(u);
}

static inline int uplink_tear_down(void **state)
{
    struct fixture *f = *state;
    stop_uplink(f);
    store_close(f->store, NULL);
    if (f->watching)
        watch_stop(&f->watch);
    broker_stop(&f->broker);
    unit_remove_folder(f->dir);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

/* A broker that survives its own restart, and the subscriber. */
static inline void start_broker(struct fixture *f, const char *config)
{
    char text[512];
    snprintf(text, sizeof text, "persistence true\npersistence_location %s/\nmax_queued_messages 100000\n%s",
             f->broker.dir, config);
    broker_run(&f->broker, text);
    watch_start(&f->watch, f->broker.port, TOPIC "/#");
    f->watching = true;
}

static inline bool broker_said(struct fixture *f, const char *text)
{
    static char log[1 << 20];
    char path[160];
    broker_path(&f->broker, "log", path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    return strstr(log, text) != NULL;
}

static inline void append(struct fixture *f, unsigned samples)
{
    for (unsigned i = 0; i < samples; i++, f->appended++) {
        const struct reading readings[] = {
            {.quality = QUALITY_GOOD, .value = {.kind = VALUE_NUMBER, .number = {234, -1, false}}},
            {.quality = QUALITY_GOOD,
             .value = {.kind = VALUE_NUMBER, .number = decimal_from_uint(f->appended)}},
        };
        const struct sample s = {
            .wall_ms = 1795230245000 + (int64_t)f->appended,
            .mono_ms = 1000,
            .clock_trusted = true,
            .failed = QUALITY_GOOD,
            .count = 2,
            .readings = readings,
        };
        assert_int_equal(store_append(f->store, &s), 0);
    }
}

static inline struct store_uplink_status progress(struct fixture *f)
{
    struct store_uplink_status status;
    store_uplink_status(f->store, 0, &status);
    return status;
}

static inline struct uplink_status link_status(struct fixture *f)
{
    struct uplink_status status;
    uplink_status(f->uplink, &status);
    return status;
}

/* Everything appended is committed. */
static inline void until_committed(struct fixture *f)
{
    /* stream_opened and started come before the samples. */
    WATCH_UNTIL(&f->watch, progress(f).accepted >= f->appended + 2);
}

/* Everything that was committed was acknowledged, and has come out at the other end. */
static inline void until_delivered(struct fixture *f)
{
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0);
    WATCH_UNTIL(&f->watch, f->watch.distinct >= store_newest(f->store));
}

/* The ledger: each record once or, where allowed, several times the same; each sample with its own content.
 */
static inline void check_ledger(struct fixture *f, bool duplicates_allowed)
{
    uint64_t newest = store_newest(f->store), samples = 0;
    assert_int_equal(f->watch.distinct, newest);
    assert_int_equal(f->watch.differing, 0);
    for (uint64_t seq = 1; seq <= newest; seq++) {
        char count[32];
        assert_true(f->watch.arrivals[seq] >= 1);
        assert_true(f->watch.arrivals[seq] == 1 || duplicates_allowed);
        if (!strstr(f->watch.first_text[seq], "\"device\""))
            continue;
        snprintf(count, sizeof count, "\"count\":%llu}", (unsigned long long)samples++);
        assert_non_null(strstr(f->watch.first_text[seq], count));
    }
    assert_int_equal(samples, f->appended);
    struct store_uplink_status status = progress(f);
    assert_int_equal(status.accepted, newest);
    assert_int_equal(status.delivered, newest);
    assert_int_equal(status.dropped, 0);
}

/* From here on our log lines go to a file. */
static inline void keep_log(struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof path, "%s/log", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    dup2(fd, 2);
    close(fd);
}

/* How often the text stands in the kept log. */
static inline int logged(struct fixture *f, const char *text)
{
    static char log[1 << 18];
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/log", f->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

#define UPLINK_TEST(name) cmocka_unit_test_setup_teardown(name, uplink_set_up, uplink_tear_down)

#endif
