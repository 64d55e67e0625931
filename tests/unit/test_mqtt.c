/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_world.h"

#include "../../gateway/uplink_command.h"

/* Each test uses topics of its own. */
struct world {
    int threads; /* of this process, before */
    struct quick quick;
    struct broker plain; /* anonymous may use ok/# */
    struct broker spare; /* for a test that needs one of its own */
};

/* ---- connecting and publishing ---- */

static void a_connection_says_what_the_broker_allows(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("allows", 5);

    struct mqtt_event e = join(m, &w->plain);
    assert_int_equal(e.receive_max, 20); /* mosquitto's default */
    assert_int_equal(e.keepalive_ms, 60000);
    assert_false(e.session_present);
    mqtt_free(m);
}

static void a_message_is_acknowledged_under_its_token(void **state)
{
    struct world *w = *state;
    static const int VERSIONS[] = {5, 311};

    for (int i = 0; i < 2; i++) {
        struct mqtt *m = client("ack", VERSIONS[i]);
        join(m, &w->plain);
        uint32_t first = publish(m, "ok/ack", "{}", false);
        uint32_t second = publish(m, "ok/ack", "{}", false);
        assert_true(second > first);
        assert_int_equal(expect(m, MQTT_ACKED).token, first);
        assert_int_equal(expect(m, MQTT_ACKED).token, second);
        mqtt_disconnect(m, 1000);
        mqtt_free(m);
    }
}

/* MQTT 5.0, 3.4.2.1: 16, no matching subscribers. Paho does not hand it on. */
static void an_acknowledgement_says_whether_anybody_is_subscribed(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("lonely", 5);

    join(m, &w->plain);
    publish(m, "ok/lonely", "{}", false);
    assert_int_equal(expect(m, MQTT_ACKED).reason, 16);
    struct mqtt *ear = listener(&w->plain, "company", "ok/lonely", "ok/lonely");
    publish(m, "ok/lonely", "{}", false);
    assert_int_equal(expect(m, MQTT_ACKED).reason, 0);
    expect_message(ear, "ok/lonely", "{}");
    mqtt_free(ear);
    mqtt_free(m);
}

static void a_publish_against_the_access_rules_is_refused_in_words(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("acl", 5);

    join(m, &w->plain);
    uint32_t token = publish(m, "forbidden/topic", "{}", false);
    struct mqtt_event e = expect(m, MQTT_REFUSED);
    assert_int_equal(e.token, token);
    assert_int_equal(e.reason, 135);
    expect_text(e.text, "not authorised");
    token = publish(m, "ok/after", "{}", false); /* the connection goes on */
    assert_int_equal(expect(m, MQTT_ACKED).token, token);
    mqtt_free(m);
}

static void the_window_is_what_the_broker_allows_until_answers_are_read(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("window", 5);
    struct mqtt_message message = {.topic = "ok/window", .payload = "{}", .len = 2};
    uint32_t token;

    assert_int_equal(mqtt_publish(m, &message, &token), FG_ERETRY); /* not connected */
    join(m, &w->plain);
    for (int i = 0; i < 20; i++)
        assert_int_equal(mqtt_publish(m, &message, &token), 0);
    assert_int_equal(mqtt_publish(m, &message, &token), FG_ERETRY);
    expect(m, MQTT_ACKED);
    assert_int_equal(mqtt_publish(m, &message, &token), 0);
    mqtt_free(m);
}

static void a_message_larger_than_the_broker_takes_is_not_sent(void **state)
{
    struct world *w = *state;
    static char large[4096];
    struct mqtt_message message = {.topic = "ok/large", .payload = large, .len = sizeof(large)};
    struct mqtt *m = client("large", 5);
    uint32_t token;

    broker_start(&w->spare, "allow_anonymous true\nmax_packet_size 2000\n");
    assert_int_equal(join(m, &w->spare).max_packet, 2000);
    assert_int_equal(mqtt_publish(m, &message, &token), FG_ERANGE);
    publish(m, "ok/large", "small", false);
    expect(m, MQTT_ACKED);
    mqtt_free(m);
}

static void retained_messages_reach_a_later_subscriber(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("retained", 5);

    join(m, &w->plain);
    publish(m, "ok/retained", "{\"v\":1}", true);
    expect(m, MQTT_ACKED);
    assert_int_equal(mqtt_subscribe(m, "ok/retained"), 0);
    expect_message(m, "ok/retained", "{\"v\":1}");
    mqtt_free(m);
}

static void properties_travel_with_the_message(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("properties", 5);
    struct mqtt_message message = {.topic = "ok/properties",
                                   .payload = "\x1f\x8b",
                                   .len = 2,
                                   .retained = true,
                                   .content_type = "application/json",
                                   .content_encoding = "gzip"};
    char command[256], got[128] = "";
    uint32_t token;

    join(m, &w->plain);
    assert_int_equal(mqtt_publish(m, &message, &token), 0);
    expect(m, MQTT_ACKED);
    mqtt_free(m);
    snprintf(command, sizeof(command),
             "mosquitto_sub -V 5 -h 127.0.0.1 -p %d -t ok/properties -C 1 -W 5 -F '%%C %%P %%x'",
             w->plain.port);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(got, sizeof(got), f));
    pclose(f);
    assert_string_equal(got, "application/json content-encoding:gzip 1f8b\n");
}

static void how_a_message_was_sent_comes_with_it(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("requests", 5);
    char command[512];

    join(m, &w->plain);
    assert_int_equal(mqtt_subscribe(m, "ok/request"), 0);
    publish(m, "ok/request", "ready", false);
    for (int seen = 0; seen < 2; seen++)
        next(m); /* the acknowledgement and the message, in whatever order */
    snprintf(
        command, sizeof(command),
        "mosquitto_pub -V 5 -h 127.0.0.1 -p %d -t ok/request -m hello -r -D publish response-topic ok/here "
        "-D publish correlation-data c-1 -D publish message-expiry-interval 60",
        w->plain.port);
    assert_int_equal(system(command), 0);
    const struct mqtt_incoming *in = expect(m, MQTT_MESSAGE).message;
    assert_string_equal(in->payload, "hello");
    assert_string_equal(in->response_topic, "ok/here");
    assert_int_equal(in->correlation_len, 3);
    assert_memory_equal(in->correlation, "c-1", 3);
    assert_true(in->expires);
    assert_true(in->retained); /* told although we were there when it was published */
    snprintf(command, sizeof(command), "mosquitto_pub -V 5 -h 127.0.0.1 -p %d -t ok/request -n",
             w->plain.port);
    assert_int_equal(system(command), 0);
    in = expect(m, MQTT_MESSAGE).message;
    assert_int_equal(in->len, 0);
    assert_non_null(in->payload);
    assert_null(in->response_topic);
    assert_null(in->correlation);
    assert_false(in->expires);
    assert_false(in->retained);
    mqtt_free(m);
}

static void a_refused_subscription_is_reported_under_token_0(void **state)
{
    (void)state;
    struct mqtt_fake f5 = {.connack = MQTT_FAKE_CONNACK5,
                           .connack_len = 5,
                           .answer = "\x90\x04\x00\x01\x00\x87",
                           .answer_len = 6};
    struct mqtt_fake f311 = {
        .connack = MQTT_FAKE_CONNACK311, .connack_len = 4, .answer = "\x90\x03\x00\x01\x80", .answer_len = 5};
    struct mqtt *m5 = client("sub5", 5), *m311 = client("sub311", 311);

    mqtt_fake_start(&f5);
    mqtt_fake_start(&f311);
    begin(m5, "mqtt", "127.0.0.1", f5.port);
    expect(m5, MQTT_CONNECTED);
    assert_int_equal(mqtt_subscribe(m5, "x"), 0);
    struct mqtt_event e = expect(m5, MQTT_REFUSED);
    assert_int_equal(e.token, 0);
    assert_int_equal(e.reason, 135);
    begin(m311, "mqtt", "127.0.0.1", f311.port);
    expect(m311, MQTT_CONNECTED);
    assert_int_equal(mqtt_subscribe(m311, "x"), 0);
    e = expect(m311, MQTT_REFUSED);
    assert_int_equal(e.token, 0);
    assert_int_equal(e.reason, 128);
    mqtt_free(m5);
    mqtt_free(m311);
    mqtt_fake_stop(&f5);
    mqtt_fake_stop(&f311);
}

static void incoming_messages_are_bounded_and_the_rest_counted(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("flooded", 5);
    struct mqtt *other = listener(&w->plain, "flooder", "ok/flood-back", "ok/flood-back");
    static char huge[70000];

    join(m, &w->plain);
    assert_int_equal(mqtt_subscribe(m, "ok/flood"), 0);
    publish(m, "ok/flood", "ready", false);
    for (int seen = 0; seen < 2; seen++)
        next(m); /* the acknowledgement and the message, in whatever order */
    memset(huge, 'x', sizeof(huge) - 1);
    publish(other, "ok/flood", huge, false);
    expect(other, MQTT_ACKED);
    for (int i = 0; i < 18; i++) {
        publish(other, "ok/flood", "drop", false);
        expect(other, MQTT_ACKED);
    }
    /* What m publishes to itself comes after all those: wait for its acknowledgement without reading
     * messages. */
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    while (mqtt_dropped(m) < 3 && clock_mono_ms() < until)
        clock_sleep_until_us(clock_mono_us() + 1000);
    assert_int_equal(mqtt_dropped(m), 3);          /* of nineteen */
    struct mqtt_event e = expect(m, MQTT_MESSAGE); /* the huge one, without its content */
    assert_null(e.message->payload);
    assert_int_equal(e.message->len, sizeof(huge) - 1);
    for (int i = 0; i < 15; i++)
        expect_message(m, "ok/flood", "drop");
    mqtt_free(m);
    mqtt_free(other);
}

/* ---- ending ---- */

static void the_will_is_sent_after_abandon_and_not_after_disconnect(void **state)
{
    struct world *w = *state;
    struct mqtt *heir = listener(&w->plain, "heir", "ok/will/#", "ok/will/probe");
    struct mqtt *m = client("testator", 5);
    struct mqtt_will will = {.topic = "ok/will/state", .payload = "{\"online\":false}", .len = 16};
    char url[64];

    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%d", w->plain.port);
    assert_int_equal(mqtt_connect(m, url, NULL, NULL, &will, NULL), 0);
    expect(m, MQTT_CONNECTED);
    mqtt_disconnect(m, 1000);
    publish(heir, "ok/will/between", "nothing before this", false);
    for (int seen = 0; seen < 2; seen++) {
        struct mqtt_event e = next(heir);
        if (e.kind == MQTT_MESSAGE)
            assert_string_equal(e.message->topic, "ok/will/between");
    }
    assert_int_equal(mqtt_connect(m, url, NULL, NULL, &will, NULL), 0);
    expect(m, MQTT_CONNECTED);
    mqtt_abandon(m);
    expect_message(heir, "ok/will/state", "{\"online\":false}");
    mqtt_free(m);
    mqtt_free(heir);
}

static void a_client_freed_while_connected_leaves_its_will(void **state)
{
    struct world *w = *state;
    struct mqtt *heir = listener(&w->plain, "heir2", "ok/will2/#", "ok/will2/probe");
    struct mqtt *m = client("testator2", 5);
    struct mqtt_will will = {.topic = "ok/will2/state", .payload = "gone", .len = 4};
    char url[64];

    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%d", w->plain.port);
    assert_int_equal(mqtt_connect(m, url, NULL, NULL, &will, NULL), 0);
    expect(m, MQTT_CONNECTED);
    mqtt_free(m);
    expect_message(heir, "ok/will2/state", "gone");
    mqtt_free(heir);
}

static void a_killed_broker_is_a_lost_connection_and_the_next_one_starts_clean(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("phoenix", 5);

    broker_start(&w->spare, "allow_anonymous true\n");
    join(m, &w->spare);
    kill(w->spare.pid, SIGSTOP); /* nothing is answered any more */
    for (int i = 0; i < 10; i++)
        publish(m, "t", "old", false);
    broker_kill(&w->spare);
    expect_text(expect(m, MQTT_LOST).text, "check the link");
    begin(m, "mqtt", "127.0.0.1", w->spare.port);
    struct mqtt_event e = expect(m, MQTT_FAILED);
    expect_text(e.text, "worked until now");
    assert_int_equal(e.reason, 0);
    begin(m, "mqtt", "127.0.0.1", w->spare.port);
    e = expect(m, MQTT_FAILED);
    expect_text(e.text, "Connection refused");
    assert_true(e.reason < 0);
    broker_again(&w->spare);
    join(m, &w->spare);
    uint32_t token = publish(m, "t", "new", false);
    e = next(m);
    assert_int_equal(e.kind, MQTT_ACKED);
    assert_int_equal(e.token, token);
    mqtt_free(m);
}

static void what_was_queued_before_a_loss_is_never_sent_on_the_next_connection(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("queued", 5);
    char *large = malloc(4000001);

    assert_non_null(large);
    memset(large, 'x', 4000000);
    large[4000000] = '\0';
    broker_start(&w->spare, "allow_anonymous true\n");
    join(m, &w->spare);
    kill(w->spare.pid, SIGSTOP); /* so that these fill the socket and Paho's queue behind it */
    for (int i = 0; i < 5; i++)
        publish(m, "t", large, false);
    broker_kill(&w->spare);
    expect(m, MQTT_LOST);
    broker_again(&w->spare);
    struct mqtt *ear = listener(&w->spare, "ear", "t", "t");
    join(m, &w->spare);
    publish(m, "t", "new", false);
    expect_message(ear, "t", "new");
    expect(m, MQTT_ACKED);
    mqtt_free(m);
    mqtt_free(ear);
    free(large);
}

static void a_second_client_of_the_same_id_ends_the_first(void **state)
{
    struct world *w = *state;
    struct mqtt *first = client("twin", 5), *second = client("twin", 5);

    join(first, &w->plain);
    join(second, &w->plain);
    expect(first, MQTT_LOST);
    mqtt_free(first);
    mqtt_free(second);
}

static void a_broker_that_ends_the_connection_is_quoted(void **state)
{
    (void)state;
    struct mqtt_fake f = {.connack = MQTT_FAKE_CONNACK5 "\xe0\x01\x8e", .connack_len = 8};
    struct mqtt *m = client("ended", 5);

    mqtt_fake_start(&f);
    begin(m, "mqtt", "127.0.0.1", f.port);
    expect(m, MQTT_CONNECTED);
    struct mqtt_event e = expect(m, MQTT_LOST);
    assert_int_equal(e.reason, 142);
    expect_text(e.text, "same client_id");
    mqtt_free(m);
    mqtt_fake_stop(&f);
}

/* MQTT 5.0, 3.1.2: flags in byte 9 behind the fixed header, then keepalive, then the properties. Without a
 * Session Expiry Interval (17) it is 0: the session ends with the connection. */
static void a_connection_asks_for_a_session_that_ends_with_it(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *connack;
        int len;
    } CASES[] = {{5, MQTT_FAKE_CONNACK5, 5}, {311, MQTT_FAKE_CONNACK311, 4}};

    for (int i = 0; i < 2; i++) {
        struct mqtt_fake f = {.connack = CASES[i].connack, .connack_len = CASES[i].len};
        struct mqtt *m = client("clean", CASES[i].version);
        mqtt_fake_start(&f);
        begin(m, "mqtt", "127.0.0.1", f.port);
        expect(m, MQTT_CONNECTED);
        mqtt_free(m);
        mqtt_fake_stop(&f);
        assert_int_equal(f.first[0], 0x10);
        assert_int_equal(f.first[8], CASES[i].version == 5 ? 5 : 4);
        assert_int_equal(f.first[9] & 2, 2); /* clean start, clean session */
        if (CASES[i].version == 5)
            assert_int_equal(f.first[12], 0); /* no properties */
    }
}

/* MQTT 5.0, 3.1.2.11: beside the Maximum Packet Size (39) nothing is asked for. In particular no Session
 * Expiry Interval (17): commands given while we are away are not kept for us. No Receive Maximum (33) either:
 * Paho acknowledges what comes in before it is read, so it would bound nothing. */
static void a_connection_that_hears_commands_bounds_their_size_and_asks_for_nothing_else(void **state)
{
    (void)state;
    static const char PROPERTIES[] = {5, 0x27, 0x00, 0x02, 0x00, 0x00};
    struct mqtt_options o = options_of("hears", 5);
    struct mqtt_fake f = {.connack = MQTT_FAKE_CONNACK5, .connack_len = 5};

    o.max_incoming = UPLINK_COMMAND_PACKET_MAX;
    mqtt_fake_start(&f);
    struct mqtt *m = client_with(&o);
    begin(m, "mqtt", "127.0.0.1", f.port);
    expect(m, MQTT_CONNECTED);
    mqtt_free(m);
    mqtt_fake_stop(&f);
    assert_int_equal(f.first[9] & 2, 2); /* clean start */
    assert_memory_equal(&f.first[12], PROPERTIES, sizeof(PROPERTIES));
}

/* The second CONNECT carries what the broker demanded (Server Keep Alive, property 19): see bytes 10 and 11.
 */
static void a_shorter_keepalive_of_the_broker_is_used_before_the_connection_is_reported(void **state)
{
    (void)state;
    struct mqtt *m = client("keepalive", 5);
    struct mqtt_fake f = {.connack = "\x20\x06\x00\x00\x03\x13\x00\x0a", .connack_len = 8};

    mqtt_fake_start(&f);
    begin(m, "mqtt", "127.0.0.1", f.port);
    assert_int_equal(expect(m, MQTT_CONNECTED).keepalive_ms, 10000);
    mqtt_free(m);
    mqtt_fake_stop(&f);
    assert_int_equal(atomic_load(&f.served), 2);
    assert_int_equal(f.first[10], 0);
    assert_int_equal(f.first[11], 10);
}

static void a_real_broker_keeps_who_uses_the_keepalive_it_demands(void **state)
{
    struct world *w = *state;
    struct mqtt *m = client("keepalive", 5);

    broker_start(&w->spare, "allow_anonymous true\n");
    broker_kill(&w->spare);
    char config[256];
    snprintf(config, sizeof(config),
             "user root\npersistence false\nmax_keepalive 10\nlistener %d 127.0.0.1\n%s", w->spare.port,
             "allow_anonymous true\n");
    broker_file(&w->spare, "mosquitto.conf", config);
    broker_again(&w->spare);
    assert_int_equal(join(m, &w->spare).keepalive_ms, 10000);
    publish(m, "t", "{}", false);
    expect(m, MQTT_ACKED);
    mqtt_free(m);
}

static void a_wake_ends_a_wait_once(void **state)
{
    (void)state;
    struct mqtt *m = client("wake", 5);
    int64_t begun = clock_mono_ms();
    struct mqtt_event e;

    mqtt_wake(m);
    assert_int_equal(next(m).kind, MQTT_NOTHING);
    assert_true(clock_mono_ms() - begun < PATIENCE_MS / 2);
    begun = clock_mono_ms();
    mqtt_wait(m, begun + 30, &e);
    assert_int_equal(e.kind, MQTT_NOTHING);
    assert_true(clock_mono_ms() - begun >= 30);
    mqtt_free(m);
}

/* ---- the world ---- */

static int start_world(void **state)
{
    static struct world w;
    char config[256];

    w.threads = unit_threads();
    quick_start(&w.quick);
    broker_prepare(&w.plain);
    broker_file(&w.plain, "acl", "topic readwrite ok/#\n");
    snprintf(config, sizeof(config), "allow_anonymous true\nacl_file %s/acl\n", w.plain.dir);
    broker_run(&w.plain, config);
    *state = &w;
    return 0;
}

static int stop_spare(void **state)
{
    struct world *w = *state;

    if (w->spare.port != 0)
        broker_stop(&w->spare);
    w->spare.port = 0;
    return 0;
}

static int stop_world(void **state)
{
    struct world *w = *state;

    broker_stop(&w->plain);
    quick_stop(&w->quick);
    unit_await_threads(w->threads);
    return 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, stop_spare)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_says_what_the_broker_allows),
        TEST(a_message_is_acknowledged_under_its_token),
        TEST(an_acknowledgement_says_whether_anybody_is_subscribed),
        TEST(a_publish_against_the_access_rules_is_refused_in_words),
        TEST(the_window_is_what_the_broker_allows_until_answers_are_read),
        TEST(a_message_larger_than_the_broker_takes_is_not_sent),
        TEST(retained_messages_reach_a_later_subscriber),
        TEST(properties_travel_with_the_message),
        TEST(how_a_message_was_sent_comes_with_it),
        TEST(a_refused_subscription_is_reported_under_token_0),
        TEST(incoming_messages_are_bounded_and_the_rest_counted),
        TEST(the_will_is_sent_after_abandon_and_not_after_disconnect),
        TEST(a_client_freed_while_connected_leaves_its_will),
        TEST(a_killed_broker_is_a_lost_connection_and_the_next_one_starts_clean),
        TEST(what_was_queued_before_a_loss_is_never_sent_on_the_next_connection),
        TEST(a_second_client_of_the_same_id_ends_the_first),
        TEST(a_broker_that_ends_the_connection_is_quoted),
        TEST(a_connection_asks_for_a_session_that_ends_with_it),
        TEST(a_connection_that_hears_commands_bounds_their_size_and_asks_for_nothing_else),
        TEST(a_shorter_keepalive_of_the_broker_is_used_before_the_connection_is_reported),
        TEST(a_real_broker_keeps_who_uses_the_keepalive_it_demands),
        TEST(a_wake_ends_a_wait_once),
    };
    if (access(BROKER_PROGRAM, X_OK) != 0) {
        printf("SKIP: %s is not installed\n", BROKER_PROGRAM);
        return 77;
    }
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
