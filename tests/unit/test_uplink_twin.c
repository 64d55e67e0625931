/* SPDX-License-Identifier: Apache-2.0 */
/* Another gateway on our topic. */
#include "uplink_fixture.h"

#include "../../gateway/damp.h"
#include "../../gateway/uplink_twin.h"
#include "mqtt_world.h"

static const char *const WORDS[] = {"status"};

static void hear_commands(struct fixture *f)
{
    f->options.commands = WORDS;
    f->options.command_count = 1;
}

/* What another gateway would publish; by an ordinary client. */
static void say(struct fixture *f, const char *stream, const char *online, int64_t age_ms)
{
    char line[512];
    snprintf(line, sizeof line,
             "mosquitto_pub -V 5 -h 127.0.0.1 -p %d -q 1 -t " TOPIC "/state "
             "-m '{\"v\":1,\"gateway\":\"gw-test\",\"stream\":\"%s\",\"online\":%s,\"ts\":%lld}'",
             f->broker.port, stream, online, (long long)(clock_wall_ms() - age_ms));
    assert_int_equal(system(line), 0);
}

static void another_gateway_on_our_topic_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct store_status mine;
    hear_commands(f);
    start_broker(f, OPEN);
    keep_log(f);
    start_uplink(f);
    append(f, 5);
    until_delivered(f);
    store_status(f->store, &mine);
    /* Of these none is another gateway: our other uplink, an old will, what a bridge kept for an hour. */
    say(f, mine.stream, "true", 0);
    say(f, "0123456789abcdef", "false", 0);
    say(f, "0123456789abcdef", "true", 3600 * 1000);
    assert_false(link_status(f).topic_clash);
    say(f, "0123456789abcdef", "true", 0);
    WATCH_UNTIL(&f->watch, link_status(f).topic_clash);
    say(f, "0123456789abcdef", "true", 0);
    append(f, 5);
    until_delivered(f);
    check_ledger(f, false);
    assert_int_equal(logged(f, "FG-ID-CLASH"), 1);
    assert_int_equal(logged(f, "topic=" TOPIC " gateway=gw-test stream=0123456789abcdef: another gateway"),
                     1);
    assert_int_equal(link_status(f).commands.received, 0);
    assert_false(link_status(f).id_clash);
}

static void what_we_say_ourselves_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    hear_commands(f);
    start_broker(f, OPEN);
    keep_log(f);
    for (int i = 0; i < 2; i++) { /* the second time a retained state is there */
        start_uplink(f);
        append(f, 3);
        until_delivered(f);
        uplink_rebirth(f->uplink);
        unsigned states = f->watch.states;
        WATCH_UNTIL(&f->watch, f->watch.states > states);
        assert_false(link_status(f).topic_clash);
        stop_uplink(f);
    }
    assert_int_equal(logged(f, "FG-ID-CLASH"), 0);
}

static void until_delivered_to(struct fixture *f, struct mqtt_fake *fake, unsigned asked)
{
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0 && atomic_load(&fake->states_asked) == asked);
}

static void a_broker_that_does_not_let_us_hear_it_is_left_in_peace(void **state)
{
    struct fixture *f = *state;
    static struct mqtt_fake strict = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .acks = true, .state_suback = 0x87};
    hear_commands(f);
    mqtt_fake_start(&strict);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", strict.port);
    keep_log(f);
    append(f, 5);
    start_uplink(f);
    until_delivered_to(f, &strict, 1);
    assert_int_equal(logged(f, "FG-COMMAND-DEAF"), 0);
    assert_int_equal(logged(f, "FG-LINK-REFUSED"), 0);
    assert_int_equal(link_status(f).refused, 0);
    stop_uplink(f);
    mqtt_fake_stop(&strict);
}

static void a_broker_that_ends_the_connection_for_it_is_asked_twice(void **state)
{
    struct fixture *f = *state;
    static struct mqtt_fake rude = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .acks = true, .state_suback = -1};
    hear_commands(f);
    mqtt_fake_start(&rude);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", rude.port);
    append(f, 5);
    start_uplink(f);
    until_delivered_to(f, &rude, 2);
    assert_int_equal(atomic_load(&rude.served), 3);
    stop_uplink(f);
    mqtt_fake_stop(&rude);
}

static void a_broker_that_ends_it_is_asked_twice_whatever_another_one_allowed(void **state)
{
    struct fixture *f = *state;
    static struct mqtt_fake rude = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .acks = true, .state_suback = -1};
    hear_commands(f);
    mqtt_fake_start(&rude);
    f->urls[1] = f->dead_url;
    f->options.url_count = 2;
    snprintf(f->dead_url, sizeof f->dead_url, "mqtt://127.0.0.1:%d", rude.port);
    start_broker(f, OPEN);
    start_uplink(f);
    append(f, 3);
    until_delivered(f);
    broker_kill(&f->broker);
    append(f, 5);
    until_delivered_to(f, &rude, 2);
    assert_int_equal(atomic_load(&rude.served), 3);
    stop_uplink(f);
    mqtt_fake_stop(&rude);
}

static void a_link_that_breaks_before_the_answer_is_no_refusal(void **state)
{
    struct fixture *f = *state;
    static struct mqtt_fake patchy = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .acks = true, .hang_ups = 1};
    hear_commands(f);
    mqtt_fake_start(&patchy);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", patchy.port);
    append(f, 5);
    start_uplink(f);
    until_delivered_to(f, &patchy, 2);
    assert_int_equal(atomic_load(&patchy.served), 2);
    stop_uplink(f);
    mqtt_fake_stop(&patchy);
}

/* ---- by itself, with a clock of the test's own ---- */

static void hear(struct uplink_twin *t, const char *stream, int64_t now_mono_ms)
{
    char text[256];
    snprintf(text, sizeof text, "{\"gateway\":\"gw-test\",\"stream\":\"%s\",\"online\":true,\"ts\":%lld}",
             stream, (long long)clock_wall_ms());
    const struct mqtt_incoming message = {.topic = TOPIC "/state", .payload = text, .len = strlen(text)};
    assert_true(uplink_twin_take(t, &message, now_mono_ms));
}

/* A connection on which the broker lets us hear. */
static void listen_again(struct uplink_twin *t, struct mqtt *m, int64_t now_mono_ms)
{
    uplink_twin_open(t, m, 0);
    struct mqtt_event e = expect(m, MQTT_ACKED);
    assert_true(uplink_twin_answered(t, e.token, 0, now_mono_ms));
}

static void init_twin(struct fixture *f, struct uplink_twin *t)
{
    hear_commands(f);
    keep_log(f);
    assert_int_equal(uplink_twin_init(t, &f->options, TOPIC "/state"), 0);
}

static void a_stream_that_the_store_has_just_opened_is_ours(void **state)
{
    struct fixture *f = *state;
    struct uplink_twin t;
    struct store_status mine;
    init_twin(f, &t);
    store_status(f->store, &mine);
    hear(&t, mine.stream, 1000); /* by way of our other uplink, before the session has learnt of it */
    assert_false(uplink_twin_is_on(&t));
    hear(&t, "0123456789abcdef", 1000);
    assert_true(uplink_twin_is_on(&t));
    assert_int_equal(logged(f, "FG-ID-CLASH"), 1);
    uplink_twin_fini(&t);
}

static void silence_counts_only_where_we_hear(void **state)
{
    struct fixture *f = *state;
    struct uplink_twin t;
    int64_t now = 1000;
    init_twin(f, &t);
    start_broker(f, OPEN);
    struct mqtt *m = client("ears", 5);
    join(m, &f->broker);
    listen_again(&t, m, now);
    hear(&t, "0123456789abcdef", now);
    uplink_twin_lost(&t, true);
    now += UPLINK_TWIN_WINDOW_MS * 4; /* offline */
    uplink_twin_open(&t, m, 0);
    uplink_twin_look(&t, now); /* not allowed to hear yet */
    assert_true(uplink_twin_is_on(&t));
    assert_true(uplink_twin_answered(&t, expect(m, MQTT_ACKED).token, 0, now));
    uplink_twin_look(&t, now + UPLINK_TWIN_WINDOW_MS - 1);
    assert_true(uplink_twin_is_on(&t));
    assert_int_equal(logged(f, "FG-ID-CLASH-OVER"), 0);
    uplink_twin_look(&t, now + UPLINK_TWIN_WINDOW_MS);
    assert_false(uplink_twin_is_on(&t));
    assert_int_equal(logged(f, "FG-ID-CLASH-OVER"), 1);
    mqtt_free(m);
    uplink_twin_fini(&t);
}

static void what_changes_all_the_time_is_told_four_times_and_then_seldom(void **state)
{
    struct fixture *f = *state;
    struct uplink_twin t;
    int64_t now = 1000;
    init_twin(f, &t);
    start_broker(f, OPEN);
    struct mqtt *m = client("ears", 5);
    join(m, &f->broker);
    listen_again(&t, m, now);
    for (int i = 0; i < 10; i++) { /* in five hours */
        hear(&t, "0123456789abcdef", now);
        now += UPLINK_TWIN_WINDOW_MS;
        uplink_twin_look(&t, now);
        now += UPLINK_TWIN_WINDOW_MS;
    }
    assert_int_equal(logged(f, "FG-ID-CLASH"), 4); /* two of them -OVER */
    hear(&t, "fedcba9876543210", now);
    uplink_twin_look(&t, now += 3600 * 1000); /* the state that lasts: nobody */
    uplink_twin_look(&t, now += 6 * 3600 * 1000);
    hear(&t, "fedcba9876543210", now += 6 * 3600 * 1000);
    assert_int_equal(logged(f, "uplink=province changes=19 topic=" TOPIC " gateway=gw-test stream=fedc"), 1);
    mqtt_free(m);
    uplink_twin_fini(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(another_gateway_on_our_topic_is_told_once),
        UPLINK_TEST(what_we_say_ourselves_does_not_come_back),
        UPLINK_TEST(a_broker_that_does_not_let_us_hear_it_is_left_in_peace),
        UPLINK_TEST(a_broker_that_ends_the_connection_for_it_is_asked_twice),
        UPLINK_TEST(a_broker_that_ends_it_is_asked_twice_whatever_another_one_allowed),
        UPLINK_TEST(a_link_that_breaks_before_the_answer_is_no_refusal),
        UPLINK_TEST(a_stream_that_the_store_has_just_opened_is_ours),
        UPLINK_TEST(silence_counts_only_where_we_hear),
        UPLINK_TEST(what_changes_all_the_time_is_told_four_times_and_then_seldom),
    };
    return parallel_tests(argc, argv, tests);
}
