/* SPDX-License-Identifier: Apache-2.0 */
/* A broker that takes our data while nobody is subscribed: mosquitto says so with reason 16. */
#include "uplink_fixture.h"

#include "../../gateway/uplink_unheard.h"

/* The broker, with nobody at the other end. */
static void start_lonely(struct fixture *f)
{
    broker_run(&f->broker, OPEN);
    keep_log(f);
}

static void until_acknowledged(struct fixture *f)
{
    until_committed(f);
    WATCH_UNTIL(&f->watch, progress(f).waiting == 0);
    /* The store knows before the status shows what the same acknowledgement said. */
    uint64_t messages = 0;
    WATCH_UNTIL(&f->watch, (messages = link_status(f).messages) > 0);
}

static void what_nobody_is_subscribed_to_counts_as_delivered_and_is_told_once(void **state)
{
    struct fixture *f = *state;
    start_lonely(f);
    append(f, 12); /* five of them live */
    until_committed(f);
    start_uplink(f);
    until_acknowledged(f);
    WATCH_UNTIL(&f->watch, link_status(f).unheard_records == store_newest(f->store));
    append(f, 5);
    until_acknowledged(f);
    WATCH_UNTIL(&f->watch, link_status(f).unheard_records == store_newest(f->store));
    struct uplink_status s = link_status(f);
    assert_true(s.unheard[UPLINK_LIVE] && s.unheard[UPLINK_BACKLOG]);
    assert_int_equal(progress(f).delivered, store_newest(f->store));
    assert_int_equal(progress(f).dropped, 0);
    assert_int_equal(s.refused, 0);
    assert_int_equal(logged(f, "FG-LINK-UNHEARD"), 2);
    assert_int_equal(logged(f, "topic=" TOPIC "/data/live from="), 1);
    assert_int_equal(logged(f, "topic=" TOPIC "/data/backlog from=1:"), 1);
    assert_int_equal(logged(f, "FG-LINK-HEARD"), 0);
}

static void it_is_over_when_somebody_subscribes_and_the_log_says_what_is_missing(void **state)
{
    struct fixture *f = *state;
    char line[96];
    start_lonely(f);
    start_uplink(f);
    append(f, 3);
    until_acknowledged(f);
    WATCH_UNTIL(&f->watch, link_status(f).unheard[UPLINK_LIVE]);
    const uint64_t lost = store_newest(f->store);
    WATCH_UNTIL(&f->watch, link_status(f).unheard_records == lost);
    watch_start(&f->watch, f->broker.port, TOPIC "/#");
    f->watching = true;
    append(f, 3);
    WATCH_UNTIL(&f->watch, f->watch.distinct == 3);
    WATCH_UNTIL(&f->watch, !link_status(f).unheard[UPLINK_LIVE]);
    assert_int_equal(link_status(f).unheard_records, lost);
    snprintf(line, sizeof line,
             "topic=" TOPIC "/data/live from=1 to=%llu records=%llu:", (unsigned long long)lost,
             (unsigned long long)lost);
    assert_int_equal(logged(f, line), 1);
    assert_int_equal(logged(f, "FG-LINK-UNHEARD"), 1);
    assert_int_equal(logged(f, "FG-LINK-HEARD"), 1);
}

/* It is asleep, its session is kept: the broker keeps what comes. */
static void a_subscriber_that_is_away_is_one_all_the_same(void **state)
{
    struct fixture *f = *state;
    start_broker(f, OPEN);
    keep_log(f);
    watch_stop(&f->watch);
    memset(&f->watch, 0, sizeof f->watch);
    f->watching = false;
    append(f, 12);
    start_uplink(f);
    until_acknowledged(f);
    assert_int_equal(link_status(f).unheard_records, 0);
    assert_int_equal(logged(f, "FG-LINK-UNHEARD"), 0);
}

/* 3.1.1 has no word for it. */
static void with_3_1_1_nothing_is_known_and_nothing_said(void **state)
{
    struct fixture *f = *state;
    f->options.mqtt.version = 311;
    start_lonely(f);
    append(f, 5);
    start_uplink(f);
    until_acknowledged(f);
    assert_int_equal(link_status(f).unheard_records, 0);
    assert_false(link_status(f).unheard[UPLINK_LIVE]);
    assert_int_equal(logged(f, "FG-LINK-UNHEARD"), 0);
}

static void ack(struct uplink_unheard *u, enum uplink_lane lane, uint64_t seq, int reason)
{
    const struct uplink_flight flight = {.lane = lane, .first = seq, .last = seq + 4, .records = 5};
    uplink_unheard_acked(u, &flight, lane == UPLINK_LIVE ? "t/live" : "t/backlog", reason);
}

/* After an outage: the backlog went out while nobody was subscribed, and then there is none any more. */
static void a_backlog_that_is_idle_is_not_unheard_for_ever(void **state)
{
    struct fixture *f = *state;
    char live[] = "t/live", backlog[] = "t/backlog";
    char *const topics[UPLINK_LANES] = {[UPLINK_LIVE] = live, [UPLINK_BACKLOG] = backlog};
    struct uplink_unheard u = {.options = &f->options};
    keep_log(f);
    ack(&u, UPLINK_BACKLOG, 1, 16);
    ack(&u, UPLINK_LIVE, 10, 16);
    const int64_t later = clock_mono_ms() + 2 * UPLINK_UNHEARD_IDLE_MS;
    uplink_unheard_look(&u, topics, later); /* nobody hears anything */
    assert_true(u.lanes[UPLINK_BACKLOG].on);
    while (clock_mono_ms() <= u.lanes[UPLINK_BACKLOG].acked_mono_ms)
        clock_sleep_until_us(clock_mono_us() + 500);
    ack(&u, UPLINK_LIVE, 20, 0);
    uplink_unheard_look(&u, topics, clock_mono_ms()); /* the next backlog message may be under way */
    assert_true(u.lanes[UPLINK_BACKLOG].on);
    uplink_unheard_look(&u, topics, later);
    assert_false(u.lanes[UPLINK_BACKLOG].on);
    assert_int_equal(logged(f, "FG-LINK-HEARD"), 2);
    assert_int_equal(logged(f, "topic=t/backlog from=1 to=5 records=5: the other data topic is heard"), 1);
    ack(&u, UPLINK_BACKLOG, 30, 16); /* it is known again */
    assert_int_equal(logged(f, "topic=t/backlog from=30: the broker takes"), 1);
}

static void what_could_not_be_said_is_said_by_a_later_look(void **state)
{
    struct fixture *f = *state;
    char live[] = "t/live", backlog[] = "t/backlog";
    char *const topics[UPLINK_LANES] = {[UPLINK_LIVE] = live, [UPLINK_BACKLOG] = backlog};
    struct uplink_unheard u = {.options = &f->options};
    keep_log(f);
    for (int i = 0; i < 5; i++) {
        ack(&u, UPLINK_LIVE, 10, 16);
        ack(&u, UPLINK_LIVE, 20, 0);
    }
    ack(&u, UPLINK_LIVE, 30, 16);
    assert_int_equal(logged(f, "FG-LINK-UNHEARD"), 5);
    uplink_unheard_look(&u, topics, clock_mono_ms() + 2 * 3600 * 1000);
    assert_int_equal(logged(f, "topic=t/live from=30:"), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(what_nobody_is_subscribed_to_counts_as_delivered_and_is_told_once),
        UPLINK_TEST(it_is_over_when_somebody_subscribes_and_the_log_says_what_is_missing),
        UPLINK_TEST(a_subscriber_that_is_away_is_one_all_the_same),
        UPLINK_TEST(a_backlog_that_is_idle_is_not_unheard_for_ever),
        UPLINK_TEST(what_could_not_be_said_is_said_by_a_later_look),
        UPLINK_TEST(with_3_1_1_nothing_is_known_and_nothing_said),
    };
    return parallel_tests(argc, argv, tests);
}
