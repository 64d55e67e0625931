/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery: what the subscriber was given is held against what the store took in. */
#include "uplink_fixture.h"

#include "mqtt_fake.h"

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
    f->options.batch_delay_ms = 1500; /* five commits must fit into it on a loaded machine */
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
    assert_in_range(clock_mono_ms() - begin, 0, 1490);
}

/* mosquitto would not even take the CONNECT, whose will is as large. */
static void a_state_that_is_too_large_for_the_broker_is_told_once_and_disturbs_nothing(void **state)
{
    struct fixture *f = *state;
    static char words[600];
    static struct mqtt_fake narrow = {
        .connack = "\x20\x08\x00\x00\x05\x27\x00\x00\x02\xbc", .connack_len = 10, .acks = true};
    memset(words, 'w', sizeof words - 1);
    f->options.config_state = words;
    mqtt_fake_start(&narrow);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", narrow.port);
    keep_log(f);
    append(f, 10);
    start_uplink(f);
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0);
    /* Long enough to be tried twice, were it tried each second; readings go on. */
    for (int64_t until = clock_mono_ms() + 2500; clock_mono_ms() < until;) {
        append(f, 1);
        clock_sleep_until_us(clock_mono_us() + 50000);
    }
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0);
    assert_int_equal(progress(f).dropped, 0);
    assert_int_equal(atomic_load(&narrow.states), 0);
    assert_int_equal(logged(f, "topic=" TOPIC "/state max_packet=700: the state message is larger"), 1);
    assert_int_equal(logged(f, "FG-LINK-REFUSED"), 1);
    assert_int_equal(logged(f, "FG-LINK-DOWN"), 0);
    assert_true(link_status(f).connected);
    stop_uplink(f); /* nor does a goodbye that cannot be said keep it */
    mqtt_fake_stop(&narrow);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(what_waited_arrives_once_live_before_backlog),
        UPLINK_TEST(birth_and_state_tell_who_is_there),
        UPLINK_TEST(a_restarted_broker_gets_what_waited_and_nothing_is_lost),
        UPLINK_TEST(a_broker_that_stops_acknowledging_is_left_and_tried_again),
        UPLINK_TEST(a_refused_publish_is_neither_delivered_nor_lost),
        UPLINK_TEST(messages_shrink_to_what_the_broker_takes),
        UPLINK_TEST(messages_keep_to_the_limit_that_the_broker_announces),
        UPLINK_TEST(a_record_larger_than_the_broker_takes_is_dropped_and_told),
        UPLINK_TEST(gzip_messages_unpack_to_the_same_records),
        UPLINK_TEST(live_readings_wait_a_moment_for_company),
        UPLINK_TEST(a_state_that_is_too_large_for_the_broker_is_told_once_and_disturbs_nothing),
    };
    return parallel_tests(argc, argv, tests);
}
