/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window is tried against a model of a store that knows of each record whether it is committed, under way
 * and delivered. UPLINK_WINDOW_SEED repeats a run.
 */
#include "unit.h"

#include "../../gateway/uplink_window.h"

#define RECORDS 20000

struct record {
    bool hole; /* dropped, or delivered long ago */
    bool delivered;
    bool under_way; /* in a message that is not decided */
    bool sent;      /* on this connection, and not refused since */
    enum uplink_lane lane;
};

struct model {
    struct uplink_window w;
    struct record records[RECORDS + 1];
    uint64_t newest, oldest;
    uint32_t token;
    uint64_t random;
    unsigned receive_max;
    uint64_t last_backlog; /* newest record sent in the backlog lane since the last rewind */
};

static uint64_t next(struct model *m)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct model *m, uint64_t n)
{
    return next(m) % n;
}

static bool is_waiting(const struct model *m, uint64_t seq)
{
    return seq >= 1 && seq <= m->newest && !m->records[seq].hole && !m->records[seq].delivered;
}

static uint64_t first_waiting(const struct model *m)
{
    for (uint64_t seq = 1; seq <= m->newest; seq++)
        if (is_waiting(m, seq))
            return seq;
    return 0;
}

static void commit(struct model *m, uint64_t count, bool holes)
{
    for (uint64_t i = 0; i < count && m->newest < RECORDS; i++)
        m->records[++m->newest].hole = holes && below(m, 10) == 0;
}

static void connect_model(struct model *m, unsigned receive_max, size_t live_depth, bool oldest_first)
{
    for (uint64_t seq = 1; seq <= m->newest; seq++)
        m->records[seq].under_way = m->records[seq].sent = false;
    m->receive_max = receive_max;
    m->last_backlog = 0;
    uplink_window_open(&m->w, receive_max, live_depth, oldest_first, first_waiting(m), m->newest);
}

/* What the store would read: at most `most` undelivered records; the count, 0: none. */
static size_t read_model(const struct model *m, uint64_t from, uint64_t to, size_t most, uint64_t *ret_first,
                         uint64_t *ret_last)
{
    size_t n = 0;
    for (uint64_t seq = from; seq <= to && n < most; seq++) {
        if (!is_waiting(m, seq))
            continue;
        if (n++ == 0)
            *ret_first = seq;
        *ret_last = seq;
    }
    return n;
}

static void check_sending(struct model *m, enum uplink_lane lane, uint64_t first, uint64_t last)
{
    assert_true(lane == UPLINK_LIVE ? first >= m->w.live_from : last < m->w.live_from);
    for (uint64_t seq = first; seq <= last; seq++) {
        if (!is_waiting(m, seq))
            continue;
        assert_false(m->records[seq].under_way);
        assert_false(m->records[seq].sent);
        m->records[seq].under_way = m->records[seq].sent = true;
        m->records[seq].lane = lane;
        if (lane == UPLINK_BACKLOG) {
            assert_true(seq > m->last_backlog);
            m->last_backlog = seq;
        }
    }
}

/* Sends one message of the lane; false when it has none now. */
static bool send_model(struct model *m, enum uplink_lane lane, size_t most)
{
    uint64_t from, to, first = 0, last = 0;
    while (uplink_window_has_slot(&m->w, lane) && uplink_window_next(&m->w, lane, m->newest, &from, &to)) {
        assert_true(from <= to && to <= m->newest);
        size_t n = read_model(m, from, to, most, &first, &last);
        if (n == 0) {
            uplink_window_empty(&m->w, lane, to);
            continue;
        }
        check_sending(m, lane, first, last);
        struct uplink_flight f = {
            .token = ++m->token, .lane = lane, .first = first, .last = last, .records = n, .bytes = n * 100};
        uplink_window_sent(&m->w, &f);
        assert_in_range(m->w.in_flight, 1, m->receive_max > 1 ? m->receive_max - 1 : 1);
        return true;
    }
    return false;
}

/* The idle ranges and the messages in flight are all numbers there are, and none is in both. */
static void check_idle(const struct model *m)
{
    uint64_t first, last = 0, end = 0;
    while (last < UINT64_MAX) {
        uplink_window_idle(&m->w, last + 1, &first, &last);
        assert_true(first <= last);
        for (uint64_t seq = end + 1; seq < first; seq++)
            assert_true(!is_waiting(m, seq) || m->records[seq].under_way);
        for (size_t i = 0; i < m->w.in_flight; i++)
            assert_true(m->w.flights[i].last < first || m->w.flights[i].first > last);
        end = last;
    }
}

static void send_all(struct model *m, size_t most)
{
    uplink_window_keep_up(&m->w, m->newest);
    while (send_model(m, UPLINK_LIVE, most) || send_model(m, UPLINK_BACKLOG, most))
        ;
}

static struct uplink_flight take(struct model *m, size_t which)
{
    struct uplink_flight f;
    assert_true(which < m->w.in_flight);
    assert_true(uplink_window_take(&m->w, m->w.flights[which].token, &f));
    return f;
}

/* The broker took the message: every undelivered record of the range must have been in it. */
static void ack_model(struct model *m, size_t which)
{
    struct uplink_flight f = take(m, which);
    size_t n = 0;
    for (uint64_t seq = f.first; seq <= f.last; seq++) {
        if (!is_waiting(m, seq))
            continue;
        assert_true(m->records[seq].under_way);
        m->records[seq].under_way = false;
        m->records[seq].delivered = true;
        n++;
    }
    assert_int_equal(n, f.records);
}

static void refuse_model(struct model *m, size_t which)
{
    struct uplink_flight f = take(m, which);
    for (uint64_t seq = f.first; seq <= f.last; seq++)
        m->records[seq].under_way = m->records[seq].sent = false;
    uplink_window_rewind(&m->w, f.first);
    m->last_backlog = 0;
}

static void drain(struct model *m)
{
    for (int rounds = 0; rounds < 10 * RECORDS; rounds++) {
        send_all(m, 50);
        if (m->w.in_flight == 0)
            return;
        ack_model(m, 0);
    }
    fail_msg("the window never comes to an end");
}

static int set_up(void **state)
{
    static struct model m;
    memset(&m, 0, sizeof m);
    m.random = 1;
    *state = &m;
    return 0;
}

static void the_newest_round_is_live_and_the_rest_is_backlog_in_order(void **state)
{
    struct model *m = *state;
    commit(m, 1000, false);
    connect_model(m, 20, 10, false);
    send_all(m, 100);
    assert_int_equal(m->w.flights[0].lane, UPLINK_LIVE);
    assert_int_equal(m->w.flights[0].first, 991);
    assert_int_equal(m->w.flights[0].last, 1000);
    assert_int_equal(m->w.flights[1].lane, UPLINK_BACKLOG);
    assert_int_equal(m->w.flights[1].first, 1);
    drain(m);
    for (uint64_t seq = 1; seq <= 1000; seq++)
        assert_int_equal(m->records[seq].lane, seq > 990 ? UPLINK_LIVE : UPLINK_BACKLOG);
}

static void live_always_finds_a_slot_however_long_the_backlog(void **state)
{
    struct model *m = *state;
    commit(m, 10000, false);
    connect_model(m, 65535, 1, false);
    send_all(m, 10);
    assert_true(m->w.in_flight > 4);
    assert_false(uplink_window_has_slot(&m->w, UPLINK_BACKLOG));
    ack_model(m, 0); /* the live one */
    for (int i = 0; i < 2; i++) {
        commit(m, 1, false);
        assert_true(send_model(m, UPLINK_LIVE, 10));
        assert_int_equal(m->w.flights[m->w.in_flight - 1].last, m->newest);
    }
}

static void a_broker_that_takes_one_message_at_a_time_gets_one(void **state)
{
    struct model *m = *state;
    commit(m, 300, false);
    connect_model(m, 1, 5, false);
    send_all(m, 10);
    assert_int_equal(m->w.in_flight, 1);
    assert_int_equal(m->w.flights[0].lane, UPLINK_LIVE);
    drain(m);
    assert_int_equal(first_waiting(m), 0);
}

static void the_backlog_leaves_live_records_alone_while_live_is_held_up(void **state)
{
    struct model *m = *state;
    commit(m, 50, false);
    connect_model(m, 20, 10, false);
    while (send_model(m, UPLINK_BACKLOG, 7))
        ;
    for (uint64_t seq = 1; seq <= 50; seq++)
        assert_int_equal(m->records[seq].sent, seq <= 40);
}

static void oldest_first_opens_the_live_lane_when_it_has_caught_up(void **state)
{
    struct model *m = *state;
    commit(m, 500, false);
    connect_model(m, 20, 10, true);
    drain(m);
    for (uint64_t seq = 1; seq <= 500; seq++)
        assert_int_equal(m->records[seq].lane, UPLINK_BACKLOG);
    commit(m, 3, false);
    drain(m);
    for (uint64_t seq = 501; seq <= 503; seq++)
        assert_int_equal(m->records[seq].lane, UPLINK_LIVE);
}

static void with_nothing_waiting_what_comes_is_live(void **state)
{
    struct model *m = *state;
    connect_model(m, 20, 10, false);
    send_all(m, 10);
    assert_int_equal(m->w.in_flight, 0);
    commit(m, 1, false);
    send_all(m, 10);
    assert_int_equal(m->w.in_flight, 1);
    assert_int_equal(m->w.flights[0].lane, UPLINK_LIVE);
}

static void live_that_falls_behind_leaves_what_it_missed_to_the_backlog(void **state)
{
    struct model *m = *state;
    commit(m, 100, false);
    connect_model(m, 3, 10, false);
    send_all(m, 5);
    commit(m, 1000, false); /* nothing is acknowledged meanwhile */
    uplink_window_keep_up(&m->w, m->newest);
    ack_model(m, 0);
    assert_true(send_model(m, UPLINK_LIVE, 50));
    assert_int_equal(m->w.flights[m->w.in_flight - 1].last, m->newest);
    drain(m);
    assert_int_equal(first_waiting(m), 0);
    assert_int_equal(m->records[500].lane, UPLINK_BACKLOG);
}

static void what_was_refused_is_sent_again_and_nothing_else(void **state)
{
    struct model *m = *state;
    commit(m, 400, false);
    connect_model(m, 20, 10, false);
    send_all(m, 20);
    size_t before = m->w.in_flight;
    refuse_model(m, 2);
    send_all(m, 20); /* check_sending() fails when one under way is sent again */
    assert_int_equal(m->w.in_flight, before);
    ack_model(m, 1); /* of the backlog */
    send_all(m, 20); /* the backlog goes on behind what is under way */
    assert_int_equal(m->w.in_flight, before);
    drain(m);
    assert_int_equal(first_waiting(m), 0);
}

static void records_marked_for_sending_again_are_found(void **state)
{
    struct model *m = *state;
    commit(m, 400, false);
    connect_model(m, 20, 10, false);
    drain(m);
    for (uint64_t seq = 100; seq < 120; seq++)
        m->records[seq].delivered = m->records[seq].sent = false;
    m->last_backlog = 0;
    uplink_window_look_back(&m->w, first_waiting(m));
    drain(m);
    assert_int_equal(first_waiting(m), 0);
}

static void what_was_live_and_is_asked_for_again_is_backlog(void **state)
{
    struct model *m = *state;
    connect_model(m, 20, 10, false);
    commit(m, 40, false);
    drain(m);
    assert_int_equal(m->records[20].lane, UPLINK_LIVE);
    for (uint64_t seq = 15; seq < 25; seq++)
        m->records[seq].delivered = m->records[seq].sent = false;
    uplink_window_look_back(&m->w, first_waiting(m));
    commit(m, 5, false);
    drain(m);
    assert_int_equal(first_waiting(m), 0);
    for (uint64_t seq = 1; seq <= 45; seq++)
        assert_int_equal(m->records[seq].lane, seq >= 15 && seq < 25 ? UPLINK_BACKLOG : UPLINK_LIVE);
}

static void the_earliest_deadline_counts(void **state)
{
    struct model *m = *state;
    struct uplink_flight f;
    connect_model(m, 20, 10, false);
    assert_int_equal(uplink_window_deadline(&m->w), INT64_MAX);
    uplink_window_sent(&m->w,
                       &(struct uplink_flight){.token = 1, .first = 1, .last = 1, .deadline_mono_ms = 500});
    uplink_window_sent(&m->w,
                       &(struct uplink_flight){.token = 2, .first = 2, .last = 2, .deadline_mono_ms = 300});
    assert_int_equal(uplink_window_deadline(&m->w), 300);
    assert_true(uplink_window_take(&m->w, 2, &f));
    assert_int_equal(uplink_window_deadline(&m->w), 500);
    assert_false(uplink_window_take(&m->w, 2, &f));
}

/* Anything in any order: commits, holes, answers in any order, refusals, lost connections. */
static void a_day_of_trouble(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->random = seed;
    commit(m, below(m, 3000), true);
    bool oldest_first = below(m, 4) == 0;
    size_t depth = 1 + below(m, 60);
    connect_model(m, 1 + (unsigned)below(m, 25), depth, oldest_first);
    for (int step = 0; step < 2000; step++) {
        uint64_t dice = below(m, 100);
        if (dice < 30)
            commit(m, below(m, 20), true);
        else if (dice < 31)
            commit(m, 500 + below(m, 500), true);
        else if (dice < 80 && m->w.in_flight > 0)
            ack_model(m, below(m, m->w.in_flight));
        else if (dice < 85 && m->w.in_flight > 0)
            refuse_model(m, below(m, m->w.in_flight));
        else if (dice < 86)
            connect_model(m, 1 + (unsigned)below(m, 25), depth, oldest_first);
        else
            send_all(m, 1 + below(m, 80));
        if (step % 16 == 0)
            check_idle(m);
    }
    drain(m);
    assert_int_equal(first_waiting(m), 0);
}

static void through_any_trouble_every_record_is_sent_and_none_twice_at_a_time(void **state)
{
    struct model *m = *state;
    const char *given = getenv("UPLINK_WINDOW_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20261122;
    print_message("UPLINK_WINDOW_SEED=%llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 5; i++)
        a_day_of_trouble(m, seed + i);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_round_is_live_and_the_rest_is_backlog_in_order),
        TEST(live_always_finds_a_slot_however_long_the_backlog),
        TEST(a_broker_that_takes_one_message_at_a_time_gets_one),
        TEST(the_backlog_leaves_live_records_alone_while_live_is_held_up),
        TEST(oldest_first_opens_the_live_lane_when_it_has_caught_up),
        TEST(with_nothing_waiting_what_comes_is_live),
        TEST(live_that_falls_behind_leaves_what_it_missed_to_the_backlog),
        TEST(what_was_refused_is_sent_again_and_nothing_else),
        TEST(records_marked_for_sending_again_are_found),
        TEST(what_was_live_and_is_asked_for_again_is_backlog),
        TEST(the_earliest_deadline_counts),
        TEST(through_any_trouble_every_record_is_sent_and_none_twice_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
