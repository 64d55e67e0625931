/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An uplink between a real store and a real broker, watched by a subscriber that is no part of us. What the
 * subscriber was given is held against what the store took in.
 */
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

static bool trusted(void *context)
{
    (void)context;
    return true;
}

static void committed(void *context)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->lock);
    if (f->uplink)
        uplink_wake(f->uplink);
    pthread_mutex_unlock(&f->lock);
}

static void open_store(struct fixture *f)
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

static int set_up(void **state)
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

static void start_uplink(struct fixture *f)
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

static void stop_uplink(struct fixture *f)
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

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stop_uplink(f);
    store_close(f->store);
    if (f->watching)
        watch_stop(&f->watch);
    broker_stop(&f->broker);
    unit_remove_folder(f->dir);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return 0;
}

/* A broker that survives its own restart, and the subscriber. */
static void start_broker(struct fixture *f, const char *config)
{
    char text[512];
    snprintf(text, sizeof text, "persistence true\npersistence_location %s/\nmax_queued_messages 100000\n%s",
             f->broker.dir, config);
    broker_run(&f->broker, text);
    watch_start(&f->watch, f->broker.port, TOPIC "/#");
    f->watching = true;
}

static bool broker_said(struct fixture *f, const char *text)
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

static void append(struct fixture *f, unsigned samples)
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

static struct store_uplink_status progress(struct fixture *f)
{
    struct store_uplink_status status;
    store_uplink_status(f->store, 0, &status);
    return status;
}

static struct uplink_status link_status(struct fixture *f)
{
    struct uplink_status status;
    uplink_status(f->uplink, &status);
    return status;
}

/* Everything appended is committed. */
static void until_committed(struct fixture *f)
{
    /* stream_opened and started come before the samples. */
    WATCH_UNTIL(&f->watch, progress(f).accepted >= f->appended + 2);
}

/* Everything that was committed was acknowledged, and has come out at the other end. */
static void until_delivered(struct fixture *f)
{
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0);
    WATCH_UNTIL(&f->watch, f->watch.distinct >= store_newest(f->store));
}

/* The ledger: each record once or, where allowed, several times the same; each sample with its own content.
 */
static void check_ledger(struct fixture *f, bool duplicates_allowed)
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

static void what_waited_arrives_once_live_before_backlog(void **state)
{
    struct fixture *f = *state;
    start_broker(f, OPEN);
    append(f, 300);
    until_committed(f);
    start_uplink(f);
    until_delivered(f);
    append(f, 3);
    until_delivered(f);
    check_ledger(f, false);
    assert_false(f->watch.data_before_birth);
    assert_false(f->watch.backlog_before_live);
    assert_false(f->watch.backlog_disordered);
    assert_string_equal(f->watch.content_type, "application/json");
    for (uint64_t seq = 1; seq <= 305; seq++)
        assert_int_equal(f->watch.lane[seq], seq <= 297 ? 'b' : 'l');
    struct uplink_status status = link_status(f);
    assert_true(status.connected);
    assert_string_equal(status.url, f->url);
    assert_int_equal(status.messages, f->watch.messages);
    assert_int_equal(status.drain_ms, 0);
}

static void birth_and_state_tell_who_is_there(void **state)
{
    struct fixture *f = *state;
    start_broker(f, OPEN);
    start_uplink(f);
    until_delivered(f);
    assert_string_equal(json_string(f->watch.birth, "gateway", ""), "gw-test");
    const cJSON *layouts = cJSON_GetObjectItem(f->watch.birth, "layouts");
    assert_int_equal(cJSON_GetArraySize(layouts), 1);
    assert_true(json_bool(f->watch.state, "online", false));
    assert_int_equal(json_int(f->watch.state, "connection", 0), 1);
    stop_uplink(f);
    WATCH_UNTIL(&f->watch, !json_bool(f->watch.state, "online", true));
    assert_int_equal(json_int(f->watch.state, "waiting", -1), 0);
    start_uplink(f); /* another process life: the number goes on rising */
    WATCH_UNTIL(&f->watch, json_int(f->watch.state, "connection", 0) == 2);
}

static void a_restarted_broker_gets_what_waited_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    start_broker(f, OPEN);
    start_uplink(f);
    append(f, 50);
    until_delivered(f);
    broker_end(&f->broker, SIGTERM); /* it keeps what its subscriber has not had yet */
    append(f, 200);
    until_committed(f);
    assert_int_equal(progress(f).delivered, store_newest(f->store) - 200);
    broker_again(&f->broker);
    until_delivered(f);
    check_ledger(f, true);
    assert_false(f->watch.backlog_disordered);
    assert_int_equal(f->watch.lane[252], 'l');
    assert_int_equal(f->watch.lane[100], 'b');
    assert_int_equal(link_status(f).connects, 2);
}

static void a_broker_that_stops_acknowledging_is_left_and_tried_again(void **state)
{
    struct fixture *f = *state;
    f->options.puback_timeout_ms = 300;
    start_broker(f, OPEN);
    start_uplink(f);
    until_delivered(f);
    kill(f->broker.pid, SIGSTOP);
    append(f, 30);
    until_committed(f);
    WATCH_UNTIL(&f->watch, !link_status(f).connected);
    assert_non_null(strstr(link_status(f).reason, "did not acknowledge"));
    assert_int_equal(progress(f).waiting, 30);
    kill(f->broker.pid, SIGCONT);
    until_delivered(f);
    check_ledger(f, true);
}

static void a_refused_publish_is_neither_delivered_nor_lost(void **state)
{
    struct fixture *f = *state;
    char config[256];
    broker_file(&f->broker, "acl",
                "topic read #\ntopic write " TOPIC "/birth\ntopic write " TOPIC "/state\n");
    snprintf(config, sizeof config, OPEN "acl_file %s/acl\n", f->broker.dir);
    start_broker(f, config);
    append(f, 100);
    until_committed(f);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, link_status(f).refused >= 2);
    append(f, 1);
    until_committed(f);
    assert_true(link_status(f).connected);
    assert_int_equal(progress(f).delivered, 0);
    assert_int_equal(progress(f).dropped, 0);
    assert_int_equal(progress(f).waiting, store_newest(f->store));
    assert_int_equal(f->watch.messages, 0);
    stop_uplink(f);
    broker_file(&f->broker, "acl", "topic readwrite #\n");
    kill(f->broker.pid, SIGHUP);
    WATCH_UNTIL(&f->watch, broker_said(f, "Reloading config"));
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
}

static void messages_shrink_to_what_the_broker_takes(void **state)
{
    struct fixture *f = *state;
    f->options.batch_samples = 100;
    start_broker(f, OPEN "message_size_limit 1500\n"); /* not announced: each is refused with 149 */
    append(f, 300);
    until_committed(f);
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
    assert_in_range(f->watch.longest, 300, 1500);
}

static void messages_keep_to_the_limit_that_the_broker_announces(void **state)
{
    struct fixture *f = *state;
    f->options.batch_samples = 100;
    start_broker(f, OPEN "max_packet_size 1200\n");
    append(f, 300);
    until_committed(f);
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
    assert_int_equal(link_status(f).refused, 0);
    assert_in_range(f->watch.longest, 700, 1200);
}

static void a_record_larger_than_the_broker_takes_is_dropped_and_told(void **state)
{
    struct fixture *f = *state;
    char event[2000];
    start_broker(f, OPEN "max_packet_size 1000\n");
    append(f, 10);
    until_committed(f);
    snprintf(event, sizeof event, "{\"event\":\"note\",\"text\":\"%01500d\"}", 0);
    assert_int_equal(store_append_event(f->store, 1795230245000, event), 0);
    WATCH_UNTIL(&f->watch, progress(f).accepted == 13);
    append(f, 10);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, progress(f).dropped == 1 && progress(f).waiting == 0);
    WATCH_UNTIL(&f->watch, f->watch.distinct == progress(f).delivered);
    assert_int_equal(f->watch.arrivals[13], 0);
    for (uint64_t seq = 1; seq <= 23; seq++)
        assert_int_equal(f->watch.arrivals[seq], seq == 13 ? 0 : 1);
}

static void gzip_messages_unpack_to_the_same_records(void **state)
{
    struct fixture *f = *state;
    f->options.gzip = true;
    f->options.batch_samples = 100;
    start_broker(f, OPEN);
    append(f, 300);
    until_committed(f);
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
    assert_string_equal(f->watch.properties, "content-encoding:gzip");
    assert_int_equal(f->watch.most_records, 100);
    assert_in_range(f->watch.longest, 100, 3000);
    assert_int_equal(json_int(f->watch.birth, "v", 0), 1); /* birth and state are never packed */
}

static void live_readings_wait_a_moment_for_company(void **state)
{
    struct fixture *f = *state;
    f->options.batch_delay_ms = 400;
    start_broker(f, OPEN);
    start_uplink(f);
    until_delivered(f);
    unsigned before = f->watch.live_messages;
    for (int i = 0; i < 5; i++) {
        append(f, 1);
        until_committed(f);
    }
    until_delivered(f);
    assert_int_equal(f->watch.live_messages, before + 1);
    append(f, 20); /* a whole batch has company enough */
    until_committed(f);
    int64_t begin = clock_mono_ms();
    until_delivered(f);
    assert_in_range(clock_mono_ms() - begin, 0, 390);
}

static void the_next_url_is_tried_when_the_first_is_dead(void **state)
{
    struct fixture *f = *state;
    f->urls[0] = f->dead_url;
    f->urls[1] = f->url;
    f->options.url_count = 2;
    start_broker(f, OPEN);
    append(f, 10);
    start_uplink(f);
    until_delivered(f);
    check_ledger(f, false);
    assert_string_equal(link_status(f).url, f->url);
}

static void a_missing_password_is_told_and_taken_up_when_it_appears(void **state)
{
    struct fixture *f = *state;
    snprintf(f->password, sizeof f->password, "%s/secret", f->dir);
    f->options.username = "gw";
    f->options.password_path = f->password;
    start_broker(f, OPEN);
    append(f, 10);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, strstr(link_status(f).reason, "secret: No such file") != NULL);
    assert_int_equal(progress(f).delivered, 0);
    FILE *file = fopen(f->password, "w");
    assert_non_null(file);
    fputs("pa55\n", file);
    assert_int_equal(fclose(file), 0);
    until_delivered(f);
    check_ledger(f, false);
}

static void stopping_works_while_nobody_answers(void **state)
{
    struct fixture *f = *state;
    f->urls[0] = f->dead_url;
    append(f, 10);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, link_status(f).next_try_mono_ms > clock_mono_ms());
    assert_false(link_status(f).connected);
    stop_uplink(f);
    assert_int_equal(progress(f).delivered, 0);
}

static void options_that_cannot_work_are_refused(void **state)
{
    struct fixture *f = *state;
    struct uplink *u = NULL;
    struct err_note note = {""};
    struct uplink_options o = f->options;
    o.format = payload_format("sparkplug");
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "format"));
    o = f->options;
    o.url_count = 0;
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    o = f->options;
    f->urls[0] = "http://127.0.0.1";
    assert_int_equal(uplink_new(&o, &u, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "mqtts"));
    assert_null(u);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waited_arrives_once_live_before_backlog),
        TEST(birth_and_state_tell_who_is_there),
        TEST(a_restarted_broker_gets_what_waited_and_nothing_is_lost),
        TEST(a_broker_that_stops_acknowledging_is_left_and_tried_again),
        TEST(a_refused_publish_is_neither_delivered_nor_lost),
        TEST(messages_shrink_to_what_the_broker_takes),
        TEST(messages_keep_to_the_limit_that_the_broker_announces),
        TEST(a_record_larger_than_the_broker_takes_is_dropped_and_told),
        TEST(gzip_messages_unpack_to_the_same_records),
        TEST(live_readings_wait_a_moment_for_company),
        TEST(the_next_url_is_tried_when_the_first_is_dead),
        TEST(a_missing_password_is_told_and_taken_up_when_it_appears),
        TEST(stopping_works_while_nobody_answers),
        TEST(options_that_cannot_work_are_refused),
    };
    return parallel_tests(argc, argv, tests);
}
