/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pace is tried on a simulated link: messages of the backlog queue behind each other at so many bytes a
 * second, and a small live message joins the queue once a second. Its time to the PUBACK is what counts.
 */
#include "unit.h"

#include "../../gateway/uplink_pace.h"

#define LIVE_BYTES 300
#define LIVE_EVERY_MS 1000
#define BATCH_BYTES 32768
#define SLOTS 13

struct message {
    int64_t sent, due;
    size_t bytes;
    enum uplink_lane lane;
};

struct link {
    struct uplink_pace pace;
    int64_t bytes_per_s, rtt_ms;
    int64_t now, free_at; /* free_at: when what was handed over has left */
    struct message queue[64];
    size_t count;
    size_t in_flight[UPLINK_LANES], messages;
    bool live_floods; /* live data without end, instead of a little each second */
    int64_t worst_live_ms;
    uint64_t backlog_bytes;
};

static void hand_over(struct link *l, enum uplink_lane lane, size_t bytes)
{
    int64_t begins = l->free_at > l->now ? l->free_at : l->now;
    l->free_at = begins + (int64_t)bytes * 1000 / l->bytes_per_s;
    assert_true(l->count < 64);
    l->queue[l->count++] = (struct message){l->now, l->free_at + l->rtt_ms, bytes, lane};
    uplink_pace_sent(&l->pace, lane, bytes);
    l->in_flight[lane] += bytes;
    l->messages++;
}

static void take_acks(struct link *l)
{
    while (l->count > 0 && l->queue[0].due <= l->now) {
        struct message m = l->queue[0];
        memmove(l->queue, l->queue + 1, --l->count * sizeof m);
        uplink_pace_acked(&l->pace, m.lane, m.sent, l->now, m.bytes, 10);
        l->in_flight[m.lane] -= m.bytes;
        l->messages--;
        if (m.lane == UPLINK_BACKLOG)
            l->backlog_bytes += m.bytes;
        else if (l->now - m.sent > l->worst_live_ms)
            l->worst_live_ms = l->now - m.sent;
    }
}

static bool may_go(struct link *l, enum uplink_lane lane)
{
    return l->messages < SLOTS && uplink_pace_when(&l->pace, lane, l->in_flight[lane], l->now) <= l->now;
}

static void run_link(struct link *l, int64_t ms)
{
    for (int64_t end = l->now + ms; l->now < end; l->now++) {
        take_acks(l);
        while (l->live_floods && may_go(l, UPLINK_LIVE))
            hand_over(l, UPLINK_LIVE, uplink_pace_message(&l->pace, UPLINK_LIVE));
        if (!l->live_floods && l->now % LIVE_EVERY_MS == 0)
            hand_over(l, UPLINK_LIVE, LIVE_BYTES);
        while (may_go(l, UPLINK_BACKLOG))
            hand_over(l, UPLINK_BACKLOG, uplink_pace_message(&l->pace, UPLINK_BACKLOG));
    }
}

static void open_link(struct link *l, int64_t bytes_per_s, int64_t rtt_ms, int64_t max_rate)
{
    memset(l, 0, sizeof *l);
    l->bytes_per_s = bytes_per_s;
    l->rtt_ms = rtt_ms;
    l->now = 1000;
    uplink_pace_init(&l->pace, BATCH_BYTES, max_rate, l->now);
    /* The state message: small, and first. */
    uplink_pace_heard(&l->pace, l->now, l->now + rtt_ms + 250 * 1000 / bytes_per_s);
}

static void live_never_waits_five_seconds_on_any_link(void **state)
{
    (void)state;
    static const int64_t SPEEDS[] = {1250, 2500, 8000, 20000, 100000, 1000000};
    static const int64_t RTTS[] = {1, 60, 300, 800, 1500};
    for (size_t s = 0; s < 6; s++) {
        for (size_t r = 0; r < 5; r++) {
            struct link l;
            open_link(&l, SPEEDS[s], RTTS[r], 0);
            run_link(&l, 120000);
            print_message("%lld B/s, rtt %lld ms: worst live %lld ms, backlog %llu B/s\n",
                          (long long)SPEEDS[s], (long long)RTTS[r], (long long)l.worst_live_ms,
                          (unsigned long long)l.backlog_bytes / 120);
            assert_in_range(l.worst_live_ms, 1, 4999);
        }
    }
}

static void the_backlog_uses_most_of_a_slow_link(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 8000, 300, 0);
    run_link(&l, 120000);
    assert_in_range(l.backlog_bytes / 120, 8000 * 8 / 10, 8000);
}

static void a_long_fast_link_is_used_well(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 1000000, 800, 0);
    run_link(&l, 120000);
    /* 256 KiB are under way during 0.8 s and a little. */
    assert_in_range(l.backlog_bytes / 120, 200000, 1000000);
}

static void a_link_that_turns_slow_is_relieved(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 20000, 100, 0);
    run_link(&l, 60000);
    l.bytes_per_s = 4000;
    run_link(&l, 60000); /* what was under way drains at the new pace */
    l.worst_live_ms = 0;
    run_link(&l, 60000);
    assert_in_range(l.worst_live_ms, 1, 4999);
}

static void max_rate_is_a_ceiling_for_the_backlog(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 1000000, 50, 20480);
    run_link(&l, 100000);
    assert_in_range(l.backlog_bytes / 100, 20480 * 95 / 100, 20480 * 102 / 100 + BATCH_BYTES / 100);
}

static void even_a_tiny_ceiling_lets_messages_through(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 1000000, 50, 100);
    run_link(&l, 400000);
    assert_in_range(l.backlog_bytes / 400, 50, 100 + BATCH_BYTES / 400);
}

static void the_drain_estimate_follows_what_is_acknowledged(void **state)
{
    (void)state;
    struct uplink_pace p;
    uplink_pace_init(&p, BATCH_BYTES, 0, 0);
    assert_int_equal(uplink_pace_drain(&p, 0), 0);
    assert_int_equal(uplink_pace_drain(&p, 1000), -1);
    for (int64_t now = 100; now <= 30000; now += 100)
        uplink_pace_acked(&p, UPLINK_BACKLOG, now - 50, now, 1000, 10);
    assert_in_range(uplink_pace_drain(&p, 1000), 9500, 10500);
}

static void a_new_connection_starts_small_again(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 1000000, 10, 0);
    run_link(&l, 10000);
    assert_int_equal(uplink_pace_message(&l.pace, UPLINK_BACKLOG), BATCH_BYTES);
    uplink_pace_open(&l.pace, l.now);
    assert_int_equal(uplink_pace_when(&l.pace, UPLINK_BACKLOG, 4096, l.now), INT64_MAX);
    assert_in_range(uplink_pace_message(&l.pace, UPLINK_BACKLOG), 1024, 4096);
}

static void live_that_is_too_much_for_the_link_builds_no_long_queue(void **state)
{
    (void)state;
    static const int64_t SPEEDS[] = {1250, 2500, 8000, 100000};
    for (size_t i = 0; i < 4; i++) {
        struct link l;
        open_link(&l, SPEEDS[i], 300, 0);
        l.live_floods = true;
        run_link(&l, 30000);
        int64_t beginning = l.worst_live_ms;
        l.worst_live_ms = 0;
        run_link(&l, 120000);
        print_message("%lld B/s: worst live %lld ms at first, %lld ms later\n", (long long)SPEEDS[i],
                      (long long)beginning, (long long)l.worst_live_ms);
        assert_in_range(beginning, 1, 20000);
        assert_in_range(l.worst_live_ms, 1, 9000);
    }
}

/* 100 bytes a second: nothing larger than 3 KB passes within 30 s. */
static void after_timeouts_connections_begin_with_what_the_link_can_carry(void **state)
{
    (void)state;
    struct link l;
    int64_t worst = INT64_MAX;
    open_link(&l, 100, 300, 0);
    int timeouts = 0;
    for (; timeouts < 10 && worst > 30000; timeouts++) {
        l.now = l.free_at = l.free_at + 1000;
        l.count = l.messages = l.in_flight[0] = l.in_flight[1] = 0;
        uplink_pace_open(&l.pace, l.now);
        l.worst_live_ms = 0;
        hand_over(&l, UPLINK_LIVE, uplink_pace_message(&l.pace, UPLINK_LIVE));
        hand_over(&l, UPLINK_BACKLOG, uplink_pace_message(&l.pace, UPLINK_BACKLOG));
        worst = l.queue[1].due - l.now;
        uplink_pace_overdue(&l.pace);
    }
    print_message("%d connections\n", timeouts);
    assert_in_range(timeouts, 2, 5);
}

static void after_a_good_answer_connections_begin_as_usual_again(void **state)
{
    (void)state;
    struct uplink_pace p;
    uplink_pace_init(&p, BATCH_BYTES, 0, 0);
    size_t usual = uplink_pace_message(&p, UPLINK_LIVE);
    uplink_pace_overdue(&p);
    uplink_pace_open(&p, 0);
    assert_int_equal(uplink_pace_message(&p, UPLINK_LIVE), usual / 2);
    uplink_pace_acked(&p, UPLINK_LIVE, 0, 100, 500, 5);
    uplink_pace_open(&p, 200);
    assert_int_equal(uplink_pace_message(&p, UPLINK_LIVE), usual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_never_waits_five_seconds_on_any_link),
        cmocka_unit_test(the_backlog_uses_most_of_a_slow_link),
        cmocka_unit_test(a_long_fast_link_is_used_well),
        cmocka_unit_test(a_link_that_turns_slow_is_relieved),
        cmocka_unit_test(max_rate_is_a_ceiling_for_the_backlog),
        cmocka_unit_test(even_a_tiny_ceiling_lets_messages_through),
        cmocka_unit_test(the_drain_estimate_follows_what_is_acknowledged),
        cmocka_unit_test(a_new_connection_starts_small_again),
        cmocka_unit_test(live_that_is_too_much_for_the_link_builds_no_long_queue),
        cmocka_unit_test(after_timeouts_connections_begin_with_what_the_link_can_carry),
        cmocka_unit_test(after_a_good_answer_connections_begin_as_usual_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
