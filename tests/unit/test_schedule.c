/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/schedule.h"

#define SEED 20260731
#define START 1000000 /* any instant; the machine has been up for a while */
#define MOST 64

/* A bus in simulated time: turns cost what the device costs, and dead devices do not answer. */
struct bus {
    struct schedule *s;
    size_t count;
    int64_t now;
    int64_t every[MOST];
    int64_t cost[MOST];
    bool dead[MOST];
    /* What has happened. */
    int64_t first_due[MOST], last_begin[MOST], last_probe[MOST];
    uint64_t polls[MOST], probes[MOST], missed[MOST];
    int64_t probe_time; /* taken by probes */
    struct schedule_turn turn;
};

static void bus_open_apart(struct bus *b, size_t count, int64_t every_ms, int64_t cost_ms, int64_t apart_ms,
                           uint64_t seed)
{
    struct schedule_device devices[MOST] = {{0}};
    memset(b, 0, sizeof(*b));
    b->count = count;
    b->now = START;
    for (size_t i = 0; i < count; i++) {
        b->every[i] = devices[i].every_ms = every_ms;
        b->cost[i] = cost_ms;
        b->first_due[i] = -1;
    }
    b->s = schedule_new(devices, count, apart_ms, b->now, seed);
    assert_non_null(b->s);
}

static void bus_open(struct bus *b, size_t count, int64_t every_ms, int64_t cost_ms, uint64_t seed)
{
    bus_open_apart(b, count, every_ms, cost_ms, 0, seed);
}

/* Waits for the next turn; false when it does not begin before `until`. */
static bool bus_begin(struct bus *b, int64_t until)
{
    assert_true(schedule_next(b->s, b->now, &b->turn));
    if (b->turn.due_mono_ms >= until)
        return false;
    if (b->turn.due_mono_ms > b->now) {
        b->now = b->turn.due_mono_ms;
        assert_true(schedule_next(b->s, b->now, &b->turn));
        assert_true(b->turn.due_mono_ms <= b->now);
    }
    return true;
}

/* Carries the turn out as the poller does: a probe that is answered leaves no sample. */
static void bus_end(struct bus *b)
{
    const struct schedule_turn t = b->turn;
    const size_t d = t.device;
    const bool answered = !b->dead[d];
    int64_t begin = b->now;
    if (b->first_due[d] < 0)
        b->first_due[d] = t.due_mono_ms;
    b->now += b->cost[d];
    if (t.what == SCHEDULE_PROBE) {
        b->probes[d]++;
        b->probe_time += b->cost[d];
        b->last_probe[d] = begin;
    } else {
        b->polls[d]++;
    }
    if (t.what == SCHEDULE_POLL || !answered)
        b->missed[d] += t.missed;
    b->last_begin[d] = begin;
    schedule_done(b->s, &t, b->now, answered);
}

static void bus_run(struct bus *b, int64_t until)
{
    while (b->now < until && bus_begin(b, until))
        bus_end(b);
    if (b->now < until)
        b->now = until;
}

/* Periods of the device that have begun by `at`, from the outside. */
static uint64_t periods(const struct bus *b, size_t d, int64_t at)
{
    return at < b->first_due[d] ? 0 : (uint64_t)((at - b->first_due[d]) / b->every[d]) + 1;
}

static void a_day_of_fifty_devices_never_leaves_the_grid(void **state)
{
    (void)state;
    struct bus b;
#ifdef __SANITIZE_THREAD__
    const int64_t day = 86400000 / 6; /* each step costs many times as much there, and there are no threads */
#else
    const int64_t day = 86400000;
#endif
    bus_open(&b, 50, 10000, 20, SEED);
    while (bus_begin(&b, START + day)) {
        size_t d = b.turn.device;
        if (b.first_due[d] >= 0)
            assert_int_equal((b.turn.due_mono_ms - b.first_due[d]) % 10000, 0);
        assert_true(b.now - b.turn.due_mono_ms <= 50 * 20); /* all others at most go first */
        assert_int_equal(b.turn.missed, 0);
        bus_end(&b);
    }
    for (size_t d = 0; d < 50; d++)
        assert_int_equal(b.polls[d], periods(&b, d, START + day - 1));
    schedule_free(b.s);
}

static void first_polls_come_within_two_seconds_and_spread(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 20, 600000, 0, SEED);
    int64_t last = START - 1;
    for (int i = 0; i < 20; i++) {
        assert_true(bus_begin(&b, START + 2000));
        assert_int_equal(b.turn.device, i);
        assert_true(b.turn.due_mono_ms >= START + i * 100 && b.turn.due_mono_ms < START + (i + 1) * 100);
        assert_true(b.turn.due_mono_ms > last);
        last = b.turn.due_mono_ms;
        bus_end(&b);
    }
    assert_false(bus_begin(&b, START + 600000));
    schedule_free(b.s);
}

static void a_short_period_is_spread_over_itself(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 10, 500, 0, SEED);
    bus_run(&b, START + 500);
    for (size_t d = 0; d < 10; d++)
        assert_int_equal(b.polls[d], 1);
    schedule_free(b.s);
}

static void rows_begin_apart_and_share_a_phase_inside(void **state)
{
    (void)state;
    struct bus b;
    bus_open_apart(&b, 50, 1000, 1, 200, SEED);
    bus_run(&b, START + 1000);
    for (size_t i = 0; i < 50; i++) {
        int64_t row = (int64_t)i / 10;
        assert_int_equal(b.polls[i], 1);
        assert_int_equal(b.first_due[i], b.first_due[row * 10]);
        assert_in_range(b.first_due[i] - START, row * 200, row * 200 + 199);
    }
    schedule_free(b.s);
}

static void devices_that_are_further_apart_anyway_form_no_rows(void **state)
{
    (void)state;
    struct bus b;
    bus_open_apart(&b, 5, 10000, 1, 200, SEED);
    bus_run(&b, START + 2000);
    for (int64_t i = 0; i < 5; i++)
        assert_in_range(b.first_due[i] - START, i * 400, i * 400 + 399);
    schedule_free(b.s);
}

static void the_same_seed_gives_the_same_times(void **state)
{
    (void)state;
    struct bus a, b, c;
    bus_open(&a, 20, 5000, 30, 1);
    bus_open(&b, 20, 5000, 30, 1);
    bus_open(&c, 20, 5000, 30, 2);
    a.dead[3] = b.dead[3] = c.dead[3] = true;
    bool differs = false;
    for (int i = 0; i < 5000; i++) {
        assert_true(bus_begin(&a, INT64_MAX) && bus_begin(&b, INT64_MAX) && bus_begin(&c, INT64_MAX));
        assert_int_equal(a.turn.device, b.turn.device);
        assert_int_equal(a.now, b.now);
        differs = differs || a.now != c.now;
        bus_end(&a);
        bus_end(&b);
        bus_end(&c);
    }
    assert_true(differs);
    schedule_free(a.s);
    schedule_free(b.s);
    schedule_free(c.s);
}

static void no_device_means_no_turn(void **state)
{
    (void)state;
    struct schedule_turn turn;
    struct schedule *s = schedule_new(NULL, 0, 0, START, SEED);
    assert_false(schedule_next(s, START, &turn));
    schedule_hurry(s, 0, START);
    assert_false(schedule_is_silent(s, 0));
    schedule_free(s);
    schedule_free(NULL);
}

static void looking_at_the_next_turn_changes_nothing(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 3, 1000, 10, SEED);
    struct schedule_turn first, again;
    assert_true(schedule_next(b.s, START + 5500, &first));
    for (int i = 0; i < 10; i++)
        assert_true(schedule_next(b.s, START + 5500, &again));
    assert_int_equal(first.device, again.device);
    assert_int_equal(first.due_mono_ms, again.due_mono_ms);
    assert_int_equal(first.missed, again.missed);
    schedule_free(b.s);
}

static void ten_minutes_of_standstill_cause_no_burst(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 50, 10000, 20, SEED);
    bus_run(&b, START + 60000);
    uint64_t polls[MOST], missed[MOST];
    memcpy(polls, b.polls, sizeof(polls));
    memcpy(missed, b.missed, sizeof(missed));
    b.now += 600000;
    int64_t resumed = b.now;
    bus_run(&b, resumed + 10000);
    for (size_t d = 0; d < 50; d++) {
        /* One poll for the standstill, and the one period that begins in these 10 s. */
        assert_in_range(b.polls[d] - polls[d], 1, 2);
        assert_int_equal(b.missed[d] - missed[d], 59);
    }
    schedule_free(b.s);
}

/* Takes one turn and checks `missed` against what the periods say, from the outside. */
static void expect_exact_account(struct bus *b, uint64_t *accounted)
{
    size_t d = b->turn.device;
    if (b->first_due[d] < 0)
        b->first_due[d] = b->turn.due_mono_ms;
    uint64_t begun = periods(b, d, b->now);
    assert_true(begun >= accounted[d]);
    uint64_t unserved = begun - accounted[d];
    assert_int_equal(b->turn.missed, unserved > 0 ? unserved - 1 : 0);
    if (b->turn.what == SCHEDULE_POLL || b->dead[d])
        accounted[d] = begun;
    bus_end(b);
}

static void every_period_is_served_or_counted(void **state)
{
    (void)state;
    unsigned random = SEED;
    print_message("seed %u\n", random);
    uint64_t probes = 0, missed = 0;
    for (int round = 0; round < 50; round++) {
        struct bus b;
        uint64_t accounted[MOST] = {0};
        bus_open(&b, 12, 700, 40, (uint64_t)round);
        for (int step = 0; step < 1000; step++) {
            if (rand_r(&random) % 100 == 0)
                b.now += rand_r(&random) % 9000;         /* the machine was busy */
            if (step > 50 && rand_r(&random) % 100 == 0) /* by then all grids are known */
                schedule_hurry(b.s, (size_t)rand_r(&random) % 12, b.now);
            assert_true(bus_begin(&b, INT64_MAX));
            size_t d = b.turn.device;
            if (rand_r(&random) % 10 == 0)
                b.dead[d] = rand_r(&random) % 10 < round % 10;
            b.cost[d] = 1 + rand_r(&random) % 200;
            expect_exact_account(&b, accounted);
        }
        for (size_t d = 0; d < 12; d++) {
            probes += b.probes[d];
            missed += b.missed[d];
        }
        schedule_free(b.s);
    }
    assert_true(probes > 1000 && missed > 1000); /* else this test would show little */
}

static void an_overloaded_bus_serves_all_alike(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 10, 100, 60, SEED); /* six times what the bus can do */
    bus_run(&b, START + 60000);
    for (size_t d = 0; d < 10; d++) {
        assert_in_range(b.polls[d], 99, 101);
        assert_int_equal(b.polls[d] + b.missed[d], periods(&b, d, b.last_begin[d]));
    }
    schedule_free(b.s);
}

static void nobody_is_served_twice_while_another_is_overdue(void **state)
{
    (void)state;
    unsigned random = SEED;
    print_message("seed %u\n", random);
    for (int round = 0; round < 20; round++) {
        struct schedule_device devices[8] = {{0}};
        int64_t due[8], cost[8], every[8], now = START;
        for (int i = 0; i < 8; i++) {
            every[i] = devices[i].every_ms = 50 + rand_r(&random) % 3000;
            cost[i] = 10 + rand_r(&random) % 400;
            due[i] = -1;
        }
        struct schedule *s = schedule_new(devices, 8, 0, now, (uint64_t)round);
        size_t previous = 8;
        int64_t previous_end = now;
        for (int step = 0; step < 500; step++) {
            struct schedule_turn t;
            assert_true(schedule_next(s, now, &t));
            if (t.due_mono_ms > now) {
                now = t.due_mono_ms;
                assert_true(schedule_next(s, now, &t));
            }
            if (t.device == previous)
                for (size_t i = 0; i < 8; i++)
                    assert_true(i == previous || due[i] < 0 || due[i] > previous_end);
            due[t.device] = t.due_mono_ms + ((now - t.due_mono_ms) / every[t.device] + 1) * every[t.device];
            now += cost[t.device];
            schedule_done(s, &t, now, true);
            previous = t.device;
            previous_end = now;
        }
        schedule_free(s);
    }
}

static void a_device_slower_than_its_period_starves_nobody(void **state)
{
    (void)state;
    const struct schedule_device devices[2] = {{.every_ms = 100}, {.every_ms = 1000}};
    struct schedule *s = schedule_new(devices, 2, 0, START, SEED);
    int64_t now = START;
    int served[2] = {0, 0};
    while (now < START + 100000) {
        struct schedule_turn t;
        assert_true(schedule_next(s, now, &t));
        if (t.due_mono_ms > now) {
            now = t.due_mono_ms;
            continue;
        }
        served[t.device]++;
        now += t.device == 0 ? 300 : 10;
        schedule_done(s, &t, now, true);
    }
    assert_in_range(served[1], 99, 101);
    schedule_free(s);
}

static void points_are_asked_at_their_own_intervals_and_together(void **state)
{
    (void)state;
    const int64_t every[5] = {0, 30000, 0, 60000, 15000};
    const struct schedule_device device = {.every_ms = 10000, .point_every_ms = every, .point_count = 5};
    struct schedule *s = schedule_new(&device, 1, 0, START, SEED);
    int64_t now = START, first = -1;
    int asked[5] = {0}, turns = 0;
    while (now < START + 600000) {
        struct schedule_turn t;
        assert_true(schedule_next(s, now, &t));
        if (t.due_mono_ms > now) {
            now = t.due_mono_ms;
            continue;
        }
        if (first < 0)
            first = now;
        assert_int_equal(t.missed, 0);
        for (int i = 0; i < 5; i++) {
            int64_t period = every[i] ? every[i] : 10000;
            assert_int_equal(t.due[i], (now - first) % period == 0);
            asked[i] += t.due[i];
        }
        turns++;
        schedule_done(s, &t, now, true); /* costs nothing: due times are exact */
        now++;
    }
    assert_int_equal(asked[0], 60);
    assert_int_equal(asked[1], 20);
    assert_int_equal(asked[2], 60);
    assert_int_equal(asked[3], 10);
    assert_int_equal(asked[4], 40);
    assert_int_equal(turns, 80); /* 60 of the device's, and 20 where only the fifth point is due */
    schedule_free(s);
}

static void after_three_silent_polls_a_device_is_only_probed(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 2, 1000, 10, SEED);
    b.dead[1] = true;
    while (b.polls[1] < 3) {
        assert_false(schedule_is_silent(b.s, 1));
        assert_true(bus_begin(&b, START + 10000));
        bus_end(&b);
    }
    assert_true(schedule_is_silent(b.s, 1));
    assert_false(schedule_is_silent(b.s, 0));
    bus_run(&b, START + 3600000);
    assert_int_equal(b.polls[1], 3);
    assert_in_range(b.probes[1], 3600 / 73, 3600 / 47 + 7);
    assert_in_range(b.polls[0], 3599, 3600);
    schedule_free(b.s);
}

static void an_answer_in_between_keeps_a_device_from_being_silent(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 1, 1000, 10, SEED);
    for (int i = 0; i < 30; i++) {
        b.dead[0] = i % 3 != 2;
        assert_true(bus_begin(&b, INT64_MAX));
        assert_int_equal(b.turn.what, SCHEDULE_POLL);
        bus_end(&b);
    }
    schedule_free(b.s);
}

static void probes_back_off_to_a_minute_with_jitter(void **state)
{
    (void)state;
    static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000, 60000};
    bool jittered = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct bus b;
        bus_open(&b, 2, 100, 1, seed); /* a fine grid, so that the pauses are seen as they are */
        b.dead[1] = true;
        while (b.polls[1] < 3 && bus_begin(&b, INT64_MAX))
            bus_end(&b);
        int64_t last = b.last_begin[1];
        for (uint64_t i = 0; i < 10; i++) {
            while (b.probes[1] == i && bus_begin(&b, INT64_MAX))
                bus_end(&b);
            int64_t pause = b.last_probe[1] - last;
            assert_in_range(pause, pauses[i] * 8 / 10 - 60, pauses[i] * 12 / 10 + 60);
            jittered = jittered || llabs(pause - pauses[i]) > pauses[i] / 10;
            last = b.last_probe[1];
        }
        schedule_free(b.s);
    }
    assert_true(jittered);
}

static void probes_are_never_oftener_than_the_period_and_lie_on_its_grid(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 2, 300000, 500, SEED);
    b.dead[1] = true;
    bus_run(&b, START + 2000);
    while (bus_begin(&b, START + 86400000)) {
        if (b.turn.device == 1) {
            assert_int_equal((b.turn.due_mono_ms - b.first_due[1]) % 300000, 0);
            assert_int_equal(b.turn.missed, 0);
        }
        bus_end(&b);
    }
    assert_int_equal(b.polls[1], 3);
    assert_int_equal(b.probes[1], 288 - 3);
    schedule_free(b.s);
}

static void one_probe_at_most_between_two_polls_that_are_due(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 20, 1000, 60, SEED); /* with 10 living devices: 60 % */
    for (size_t d = 10; d < 20; d++)
        b.dead[d] = true;
    bus_run(&b, START + 30000);
    bool was_probe = false;
    int tempted = 0;
    for (int turn = 0; turn < 5000; turn++) {
        if (turn % 200 == 0)
            b.now += 120000; /* after a standstill all probes are due, too, and before the polls to come */
        assert_true(bus_begin(&b, INT64_MAX));
        bool probe = b.turn.what == SCHEDULE_PROBE, living_due = false;
        for (size_t d = 0; d < 10; d++)
            living_due = living_due || periods(&b, d, b.now) > b.polls[d] + b.missed[d];
        tempted += was_probe && living_due;
        assert_false(probe && was_probe && living_due);
        was_probe = probe;
        bus_end(&b);
    }
    assert_true(tempted > 25);
    schedule_free(b.s);
}

static void the_dead_together_take_a_twentieth_of_the_bus(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 40, 1000, 20, SEED);
    for (size_t d = 10; d < 40; d++) {
        b.dead[d] = true;
        b.cost[d] = 500;
    }
    bus_run(&b, START + 120000); /* until all are known to be silent */
    for (size_t d = 10; d < 40; d++)
        assert_true(schedule_is_silent(b.s, d));
    int64_t from = b.now, before = b.probe_time;
    bus_run(&b, from + 3600000);
    int64_t taken = b.probe_time - before;
    assert_in_range(taken, 3600000 / 20 * 9 / 10,
                    3600000 / 20 + 1500); /* wanted: 25 %; given: all it may have */
    /* Each of them has its turn. */
    for (size_t d = 10; d < 40; d++)
        assert_true(b.now - b.last_probe[d] < 600000);
    schedule_free(b.s);
}

static void dead_devices_leave_the_living_their_rhythm(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 10, 1000, 60, SEED);
    for (size_t d = 7; d < 10; d++) {
        b.dead[d] = true;
        b.cost[d] = 500;
    }
    bus_run(&b, START + 3600000);
    for (size_t d = 0; d < 7; d++)
        assert_true(b.missed[d] <= 10); /* of 3600; all in the first seconds */
    schedule_free(b.s);
}

static void an_answered_probe_is_followed_by_a_whole_poll_at_once(void **state)
{
    (void)state;
    const int64_t every[3] = {0, 600000, 0};
    const struct schedule_device device = {.every_ms = 1000, .point_every_ms = every, .point_count = 3};
    struct schedule *s = schedule_new(&device, 1, 0, START, SEED);
    int64_t now = START;
    struct schedule_turn t;
    for (;;) {
        assert_true(schedule_next(s, now, &t));
        now = t.due_mono_ms > now ? t.due_mono_ms : now;
        assert_true(schedule_next(s, now, &t));
        if (t.what == SCHEDULE_PROBE && now > START + 60000)
            break;
        now += 10;
        schedule_done(s, &t, now, false);
    }
    uint32_t missed = t.missed;
    assert_true(missed > 0);
    now += 5;
    schedule_done(s, &t, now, true);
    assert_false(schedule_is_silent(s, 0));
    assert_true(schedule_next(s, now, &t));
    assert_int_equal(t.what, SCHEDULE_POLL);
    assert_int_equal(t.due_mono_ms, now);
    assert_true(t.due[0] && t.due[1] && t.due[2]);
    assert_int_equal(t.missed, missed); /* the probe was no sample: the poll counts for it */
    now += 10;
    schedule_done(s, &t, now, true);
    assert_true(schedule_next(s, now, &t));
    assert_true(t.due_mono_ms > now && t.due_mono_ms <= now + 1000);
    assert_int_equal(t.missed, 0);
    schedule_free(s);
}

static void a_device_that_answers_probes_only_still_backs_off(void **state)
{
    (void)state;
    const struct schedule_device device = {.every_ms = 1000};
    struct schedule *s = schedule_new(&device, 1, 0, START, SEED);
    int64_t now = START;
    int polls = 0;
    while (now < START + 3600000) {
        struct schedule_turn t;
        assert_true(schedule_next(s, now, &t));
        if (t.due_mono_ms > now) {
            now = t.due_mono_ms;
            continue;
        }
        polls += t.what == SCHEDULE_POLL;
        now += 500;
        schedule_done(s, &t, now, t.what == SCHEDULE_PROBE);
    }
    assert_in_range(polls, 3 * 3600 / 80, 3 * (3600 / 48 + 7));
    schedule_free(s);
}

static void when_a_silent_bus_comes_back_all_are_asked_again_soon(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 20, 1000, 50, SEED);
    memset(b.dead, true, sizeof(b.dead));
    bus_run(&b, START + 1800000);
    uint64_t polls[MOST];
    for (size_t d = 0; d < 20; d++) {
        assert_true(schedule_is_silent(b.s, d));
        polls[d] = b.polls[d];
    }
    memset(b.dead, false, sizeof(b.dead));
    while (bus_begin(&b, INT64_MAX) && b.turn.what == SCHEDULE_PROBE)
        bus_end(&b); /* the first that answers */
    bus_run(&b, b.now + 5000);
    for (size_t d = 0; d < 20; d++)
        assert_true(b.polls[d] > polls[d] && !schedule_is_silent(b.s, d));
    schedule_free(b.s);
}

static void hurry_brings_one_whole_poll_and_leaves_the_grid_alone(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 5, 60000, 10, SEED);
    bus_run(&b, START + 30000);
    schedule_hurry(b.s, 3, b.now);
    schedule_hurry(b.s, 3, b.now);
    assert_true(bus_begin(&b, INT64_MAX));
    assert_int_equal(b.turn.device, 3);
    assert_int_equal(b.turn.due_mono_ms, START + 30000);
    assert_int_equal(b.turn.missed, 0);
    bus_end(&b);
    while (bus_begin(&b, START + 600000)) {
        assert_int_equal((b.turn.due_mono_ms - b.first_due[b.turn.device]) % 60000, 0);
        assert_int_equal(b.turn.missed, 0);
        bus_end(&b);
    }
    assert_int_equal(b.polls[3], 11);
    assert_int_equal(b.polls[2], 10);
    schedule_free(b.s);
}

static void hurry_polls_a_silent_device_too(void **state)
{
    (void)state;
    struct bus b;
    bus_open(&b, 2, 1000, 10, SEED);
    b.dead[0] = true;
    bus_run(&b, START + 300000);
    assert_true(schedule_is_silent(b.s, 0));
    schedule_hurry(b.s, 0, b.now);
    assert_true(bus_begin(&b, INT64_MAX));
    assert_int_equal(b.turn.device, 0);
    assert_int_equal(b.turn.what, SCHEDULE_POLL);
    bus_end(&b);
    assert_true(schedule_is_silent(b.s, 0)); /* and it did not help */
    b.dead[0] = false;
    schedule_hurry(b.s, 0, b.now);
    assert_true(bus_begin(&b, INT64_MAX));
    bus_end(&b);
    assert_false(schedule_is_silent(b.s, 0));
    schedule_free(b.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_of_fifty_devices_never_leaves_the_grid),
        cmocka_unit_test(first_polls_come_within_two_seconds_and_spread),
        cmocka_unit_test(a_short_period_is_spread_over_itself),
        cmocka_unit_test(rows_begin_apart_and_share_a_phase_inside),
        cmocka_unit_test(devices_that_are_further_apart_anyway_form_no_rows),
        cmocka_unit_test(the_same_seed_gives_the_same_times),
        cmocka_unit_test(no_device_means_no_turn),
        cmocka_unit_test(looking_at_the_next_turn_changes_nothing),
        cmocka_unit_test(ten_minutes_of_standstill_cause_no_burst),
        cmocka_unit_test(every_period_is_served_or_counted),
        cmocka_unit_test(an_overloaded_bus_serves_all_alike),
        cmocka_unit_test(nobody_is_served_twice_while_another_is_overdue),
        cmocka_unit_test(a_device_slower_than_its_period_starves_nobody),
        cmocka_unit_test(points_are_asked_at_their_own_intervals_and_together),
        cmocka_unit_test(after_three_silent_polls_a_device_is_only_probed),
        cmocka_unit_test(an_answer_in_between_keeps_a_device_from_being_silent),
        cmocka_unit_test(probes_back_off_to_a_minute_with_jitter),
        cmocka_unit_test(probes_are_never_oftener_than_the_period_and_lie_on_its_grid),
        cmocka_unit_test(one_probe_at_most_between_two_polls_that_are_due),
        cmocka_unit_test(the_dead_together_take_a_twentieth_of_the_bus),
        cmocka_unit_test(dead_devices_leave_the_living_their_rhythm),
        cmocka_unit_test(an_answered_probe_is_followed_by_a_whole_poll_at_once),
        cmocka_unit_test(a_device_that_answers_probes_only_still_backs_off),
        cmocka_unit_test(when_a_silent_bus_comes_back_all_are_asked_again_soon),
        cmocka_unit_test(hurry_brings_one_whole_poll_and_leaves_the_grid_alone),
        cmocka_unit_test(hurry_polls_a_silent_device_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
