/* SPDX-License-Identifier: Apache-2.0 */
/* One lane and a broker that is a function: what becomes of the records it does not take. */
#include "unit.h"

#include "../../gateway/uplink_refusal.h"

enum { QUOTA = 151, FORMAT = 153, HALF_AN_HOUR_MS = 30 * 60 * 1000, BATCH = 8, RECORDS = 400 };

struct lane {
    struct uplink_refusal r;
    struct uplink_window w;
    bool done[RECORDS + 1], given_up[RECORDS + 1];
    uint64_t newest;
    uint32_t token;
    int64_t now, answer_ms;
    unsigned sent;
    int64_t longest_pause_ms, last_sent_ms;
    int (*judge)(const struct lane *l, uint64_t first, uint64_t last); /* the broker: 0 or a reason */
};

static struct uplink_flight flight(uint64_t first, uint64_t last, int64_t sent_ms)
{
    return (struct uplink_flight){.lane = UPLINK_LIVE,
                                  .first = first,
                                  .last = last,
                                  .records = last - first + 1,
                                  .sent_mono_ms = sent_ms};
}

static void begin(struct lane *l, uint64_t newest, int (*judge)(const struct lane *, uint64_t, uint64_t))
{
    *l = (struct lane){.now = 1000, .answer_ms = 2, .last_sent_ms = 1000, .newest = newest, .judge = judge};
    uplink_refusal_init(&l->r, 0);
    uplink_window_open(&l->w, 10, RECORDS, false, 1, newest);
}

static void decide(struct lane *l, const struct uplink_flight *f)
{
    uint64_t again = 0;
    int reason = l->judge(l, f->first, f->last);
    for (uint64_t seq = f->first; reason == 0 && seq <= f->last; seq++)
        l->done[seq] = true;
    if (reason == 0)
        uplink_refusal_taken(&l->r, f, l->now);
    else if (uplink_refusal_refused(&l->r, f, reason, l->now, &again) == UPLINK_REFUSAL_PROVEN) {
        assert_int_equal(f->first, f->last);
        l->given_up[f->first] = l->done[f->first] = true;
        uplink_refusal_forget(&l->r, f->first, f->last);
    }
    if (again > 0)
        uplink_window_rewind(&l->w, again);
}

static void send_range(struct lane *l, uint64_t from, uint64_t to, struct uplink_suspect *q)
{
    while (from <= to && l->done[from])
        from++;
    if (from > to && q) {
        uplink_refusal_forget(&l->r, q->first, q->last);
        return;
    }
    if (from > to) {
        uplink_window_empty(&l->w, UPLINK_LIVE, to);
        return;
    }
    size_t most = q ? 0 : l->r.lanes[UPLINK_LIVE].most_records;
    most = most > 0 && most < BATCH ? most : BATCH;
    struct uplink_flight f = flight(from, to - from < most ? to : from + most - 1, l->now);
    f.token = ++l->token;
    f.apart = q != NULL;
    uplink_window_sent(&l->w, &f);
    uplink_refusal_sent(&l->r, UPLINK_LIVE, q);
    if (l->now - l->last_sent_ms > l->longest_pause_ms)
        l->longest_pause_ms = l->now - l->last_sent_ms;
    l->last_sent_ms = l->now;
    l->sent++;
    l->now += l->answer_ms;
    assert_true(uplink_window_take(&l->w, f.token, &f));
    decide(l, &f);
}

/* As a session does it; false when nothing can be sent now. */
static bool step(struct lane *l, int64_t *wake)
{
    uint64_t from, to, end;
    if (l->now < l->r.lanes[UPLINK_LIVE].hold_mono_ms) {
        *wake = l->r.lanes[UPLINK_LIVE].hold_mono_ms;
        return false;
    }
    struct uplink_suspect *q = uplink_refusal_due(&l->r, UPLINK_LIVE, l->now, wake);
    bool other = false;
    while (!other && uplink_window_next(&l->w, UPLINK_LIVE, l->newest, &from, &to)) {
        end = uplink_refusal_clip(&l->r, from, &to);
        other = end == 0;
        if (end > 0)
            uplink_window_empty(&l->w, UPLINK_LIVE, end < to ? end : to);
    }
    if (q && !(other && l->r.lanes[UPLINK_LIVE].others_turn))
        send_range(l, q->first, q->last, q);
    else if (other)
        send_range(l, from, to, NULL);
    return q || other;
}

/* A new record every second, until all is decided or the time is over. */
static void run(struct lane *l, uint64_t records, int64_t for_ms)
{
    const int64_t until = l->now + for_ms;
    int64_t next_record = l->now;
    while (l->now < until) {
        int64_t wake = INT64_MAX;
        for (; l->now >= next_record && l->newest < records; next_record += 1000)
            l->newest++;
        if (step(l, &wake))
            continue;
        if (l->newest < records && next_record < wake)
            wake = next_record;
        l->now = wake < until ? (wake > l->now ? wake : l->now + 1) : until;
    }
}

static unsigned count(const bool *what)
{
    unsigned n = 0;
    for (uint64_t seq = 1; seq <= RECORDS; seq++)
        n += what[seq];
    return n;
}

static bool covers(uint64_t first, uint64_t last, uint64_t seq)
{
    return first <= seq && seq <= last;
}

/* ---- brokers ---- */

static int takes_all_but_13(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l;
    return covers(first, last, 13) ? FORMAT : 0;
}

static int takes_no_seventh(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l;
    return last / 7 != (first - 1) / 7 ? FORMAT : 0;
}

static int takes_none_of_the_first_20(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l, (void)last;
    return first <= 20 ? FORMAT : 0;
}

static int takes_nothing(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l, (void)first, (void)last;
    return FORMAT;
}

static int is_over_quota(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l, (void)first, (void)last;
    return QUOTA;
}

static int takes_all(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)l, (void)first, (void)last;
    return 0;
}

/* For minutes everything is refused, then for minutes nothing is. */
static int has_good_and_bad_times(const struct lane *l, uint64_t first, uint64_t last)
{
    (void)first, (void)last;
    return l->now / (3 * 60 * 1000) % 2 == 0 ? FORMAT : 0;
}

/* ---- sentences ---- */

static void the_one_record_that_is_never_taken_is_found_and_all_others_are_delivered(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 40, takes_all_but_13);
    run(&l, RECORDS, HALF_AN_HOUR_MS);
    assert_int_equal(count(l.done), RECORDS);
    assert_int_equal(count(l.given_up), 1);
    assert_true(l.given_up[13]);
    assert_in_range(l.longest_pause_ms, 0, 1500); /* the others never wait for it */
}

static void records_in_every_message_that_are_never_taken_do_not_keep_the_others(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 40, takes_no_seventh);
    run(&l, RECORDS, 4 * HALF_AN_HOUR_MS);
    for (uint64_t seq = 1; seq <= RECORDS; seq++)
        assert_int_equal(l.done[seq] && !l.given_up[seq], seq % 7 != 0);
    assert_in_range(count(l.given_up), 40, 57); /* the last are alone: there is no proof against them */
}

static void on_a_slow_link_what_was_never_refused_takes_turns_with_what_was(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, RECORDS, takes_none_of_the_first_20);
    l.answer_ms = 5000; /* a dozen of these are as long as the longest pause */
    run(&l, RECORDS, HALF_AN_HOUR_MS);
    for (uint64_t seq = 21; seq <= 40; seq++)
        assert_true(l.done[seq]);
}

static void a_broker_that_refuses_everything_gets_nothing_thrown_away(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 200, takes_nothing);
    run(&l, RECORDS, 10 * HALF_AN_HOUR_MS);
    assert_int_equal(count(l.done), 0);
    assert_in_range(l.sent, 50, 10 * 30 * (UPLINK_REFUSAL_SUSPECTS + 2));
    l.judge = takes_all; /* and soon has all when it has come to its senses */
    run(&l, RECORDS, 2 * 60 * 1000);
    assert_int_equal(count(l.done), RECORDS);
    assert_int_equal(count(l.given_up), 0);
}

static void a_broker_with_good_and_bad_times_gets_nothing_thrown_away(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 1, has_good_and_bad_times);
    run(&l, RECORDS, 2 * HALF_AN_HOUR_MS);
    assert_int_equal(count(l.done), RECORDS);
    assert_int_equal(count(l.given_up), 0);
}

static void a_lone_record_is_never_given_up_without_another_that_was_taken(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 1, takes_nothing);
    run(&l, 1, 10 * HALF_AN_HOUR_MS);
    assert_int_equal(count(l.given_up), 0);
    assert_in_range(l.sent, 300, 320); /* once a minute */
}

static void a_quota_pauses_the_lane_longer_each_time_and_splits_nothing(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 100, is_over_quota);
    run(&l, 100, 10 * 60 * 1000);
    assert_in_range(l.sent, 12, 14);
    assert_in_range(l.longest_pause_ms, UPLINK_REFUSAL_LAST_MS, UPLINK_REFUSAL_LAST_MS + 10);
    assert_int_equal(l.r.lanes[UPLINK_LIVE].count, 0);
    l.judge = takes_all;
    run(&l, 100, 61 * 1000);
    assert_int_equal(count(l.done), 100);
    assert_int_equal(l.r.lanes[UPLINK_LIVE].hold_mono_ms, 0);
}

static void the_late_yes_to_an_older_message_ends_no_pause(void **state)
{
    (void)state;
    struct uplink_refusal r;
    uint64_t again;
    uplink_refusal_init(&r, 0);
    struct uplink_flight older = flight(1, 8, 1000), refused = flight(9, 16, 1001),
                         newer = flight(9, 16, 6100);
    uplink_refusal_refused(&r, &refused, QUOTA, 1100, &again);
    assert_int_equal(again, 9);
    uplink_refusal_taken(&r, &older, 1101);
    assert_int_equal(r.lanes[UPLINK_LIVE].hold_mono_ms, 1100 + UPLINK_REFUSAL_FIRST_MS);
    assert_true(uplink_refusal_is_doubtful(&r, UPLINK_LIVE));
    uplink_refusal_taken(&r, &newer, 6200);
    assert_int_equal(r.lanes[UPLINK_LIVE].hold_mono_ms, 0);
    assert_false(uplink_refusal_is_doubtful(&r, UPLINK_LIVE));
}

static void one_lane_pauses_without_the_other(void **state)
{
    (void)state;
    struct uplink_refusal r;
    uint64_t again;
    uplink_refusal_init(&r, 0);
    struct uplink_flight live = flight(100, 101, 2000), backlog = flight(1, 8, 1000);
    backlog.lane = UPLINK_BACKLOG;
    uplink_refusal_refused(&r, &backlog, QUOTA, 1100, &again);
    uplink_refusal_taken(&r, &live, 2100);
    assert_int_equal(r.lanes[UPLINK_BACKLOG].hold_mono_ms, 1100 + UPLINK_REFUSAL_FIRST_MS);
    assert_int_equal(r.lanes[UPLINK_LIVE].hold_mono_ms, 0);
}

static void what_the_live_topic_takes_is_no_proof_against_a_record_of_the_backlog(void **state)
{
    (void)state;
    struct uplink_refusal r;
    struct uplink_flight record = flight(7, 7, 0);
    uplink_refusal_init(&r, 0);
    record.lane = UPLINK_BACKLOG;
    for (int64_t now = 1000; now < 1000 * 1000; now += 100 * 1000) {
        uint64_t again;
        struct uplink_flight live = flight(100 + (uint64_t)now, 100 + (uint64_t)now, now + 500);
        record.sent_mono_ms = now;
        assert_int_equal(uplink_refusal_refused(&r, &record, FORMAT, now + 1, &again), UPLINK_REFUSAL_WAIT);
        uplink_refusal_taken(&r, &live, now + 501);
    }
}

static void the_late_yes_to_an_older_message_is_no_proof(void **state)
{
    (void)state;
    struct uplink_refusal r;
    uint64_t again;
    uplink_refusal_init(&r, 0);
    for (int64_t now = 1000; now < 1000 * 1000; now += 100 * 1000) {
        struct uplink_flight record = flight(7, 7, now), older = flight(1, 6, now);
        assert_int_equal(uplink_refusal_refused(&r, &record, FORMAT, now + 1, &again), UPLINK_REFUSAL_WAIT);
        uplink_refusal_taken(&r, &older, now + 2);
    }
}

static void a_new_connection_begins_without_suspects(void **state)
{
    (void)state;
    struct lane l;
    begin(&l, 40, takes_nothing);
    run(&l, 40, HALF_AN_HOUR_MS);
    assert_in_range(l.r.lanes[UPLINK_LIVE].count, 1, UPLINK_REFUSAL_SUSPECTS);
    uplink_refusal_open(&l.r);
    uint64_t to = 40;
    assert_int_equal(uplink_refusal_clip(&l.r, 1, &to), 0);
    assert_int_equal(to, 40);
    assert_int_equal(l.r.lanes[UPLINK_LIVE].hold_mono_ms, 0);
}

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_record_that_is_never_taken_is_found_and_all_others_are_delivered),
        cmocka_unit_test(records_in_every_message_that_are_never_taken_do_not_keep_the_others),
        cmocka_unit_test(on_a_slow_link_what_was_never_refused_takes_turns_with_what_was),
        cmocka_unit_test(a_broker_that_refuses_everything_gets_nothing_thrown_away),
        cmocka_unit_test(a_broker_with_good_and_bad_times_gets_nothing_thrown_away),
        cmocka_unit_test(a_lone_record_is_never_given_up_without_another_that_was_taken),
        cmocka_unit_test(a_quota_pauses_the_lane_longer_each_time_and_splits_nothing),
        cmocka_unit_test(the_late_yes_to_an_older_message_ends_no_pause),
        cmocka_unit_test(one_lane_pauses_without_the_other),
        cmocka_unit_test(what_the_live_topic_takes_is_no_proof_against_a_record_of_the_backlog),
        cmocka_unit_test(the_late_yes_to_an_older_message_is_no_proof),
        cmocka_unit_test(a_new_connection_begins_without_suspects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
