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
    size_t bytes; /* 0: live */
};

struct link {
    struct uplink_pace pace;
    int64_t bytes_per_s, rtt_ms;
    int64_t now, free_at; /* free_at: when what was handed over has left */
    struct message queue[64];
    size_t count;
    size_t in_flight, messages;
    int64_t worst_live_ms;
    uint64_t backlog_bytes;
};

static void hand_over(struct link *l, size_t bytes, bool live)
{
    int64_t begins = l->free_at > l->now ? l->free_at : l->now;
    l->free_at = begins + (int64_t)bytes * 1000 / l->bytes_per_s;
    assert_true(l->count < 64);
    l->queue[l->count++] = (struct message){l->now, l->free_at + l->rtt_ms, live ? 0 : bytes};
}

static void take_acks(struct link *l)
{
    while (l->count > 0 && l->queue[0].due <= l->now) {
        struct message m = l->queue[0];
        memmove(l->queue, l->queue + 1, --l->count * sizeof m);
        uplink_pace_acked(&l->pace, m.sent, l->now, m.bytes, m.bytes ? 10 : 0);
        if (m.bytes == 0) {
            l->worst_live_ms = l->now - m.sent > l->worst_live_ms ? l->now - m.sent : l->worst_live_ms;
            continue;
        }
        l->in_flight -= m.bytes;
        l->messages--;
        l->backlog_bytes += m.bytes;
    }
}

static void run_link(struct link *l, int64_t ms)
{
    for (int64_t end = l->now + ms; l->now < end; l->now++) {
        take_acks(l);
        if (l->now % LIVE_EVERY_MS == 0)
            hand_over(l, LIVE_BYTES, true);
        while (l->messages < SLOTS && uplink_pace_when(&l->pace, l->in_flight, l->now) <= l->now) {
            size_t bytes = uplink_pace_message(&l->pace);
            uplink_pace_sent(&l->pace, bytes);
            l->in_flight += bytes;
            l->messages++;
            hand_over(l, bytes, false);
        }
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
    uplink_pace_acked(&l->pace, l->now, l->now + rtt_ms + 250 * 1000 / bytes_per_s, 0, 0);
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
        uplink_pace_acked(&p, now - 50, now, 1000, 10);
    assert_in_range(uplink_pace_drain(&p, 1000), 9500, 10500);
}

static void a_new_connection_starts_small_again(void **state)
{
    (void)state;
    struct link l;
    open_link(&l, 1000000, 10, 0);
    run_link(&l, 10000);
    assert_true(l.pace.budget > UPLINK_PACE_START);
    uplink_pace_open(&l.pace, l.now);
    assert_int_equal(uplink_pace_when(&l.pace, UPLINK_PACE_START, l.now), INT64_MAX);
    assert_true(uplink_pace_message(&l.pace) <= UPLINK_PACE_START);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
