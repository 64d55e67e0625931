/* SPDX-License-Identifier: Apache-2.0 */
/* Another gateway on our topic. */
#include "uplink_fixture.h"

#include "mqtt_fake.h"

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

static void until_delivered_to(struct fixture *f, struct mqtt_fake *fake)
{
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0 && atomic_load(&fake->states_asked) == 1);
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
    until_delivered_to(f, &strict);
    assert_int_equal(logged(f, "FG-COMMAND-DEAF"), 0);
    assert_int_equal(logged(f, "FG-LINK-REFUSED"), 0);
    assert_int_equal(link_status(f).refused, 0);
    stop_uplink(f);
    mqtt_fake_stop(&strict);
}

static void a_broker_that_ends_the_connection_for_it_is_asked_once(void **state)
{
    struct fixture *f = *state;
    static struct mqtt_fake rude = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .acks = true, .state_suback = -1};
    hear_commands(f);
    mqtt_fake_start(&rude);
    snprintf(f->url, sizeof f->url, "mqtt://127.0.0.1:%d", rude.port);
    append(f, 5);
    start_uplink(f);
    until_delivered_to(f, &rude);
    assert_int_equal(atomic_load(&rude.served), 2);
    stop_uplink(f);
    mqtt_fake_stop(&rude);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(another_gateway_on_our_topic_is_told_once),
        UPLINK_TEST(what_we_say_ourselves_does_not_come_back),
        UPLINK_TEST(a_broker_that_does_not_let_us_hear_it_is_left_in_peace),
        UPLINK_TEST(a_broker_that_ends_the_connection_for_it_is_asked_once),
    };
    return parallel_tests(argc, argv, tests);
}
