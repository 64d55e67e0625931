/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits too long for its uplink is given up: here with a clock of our own, in which a day takes no time.
 * STORE_AGE_SEED repeats a run.
 */
#include "store_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MOST 40000 /* numbers that a ledger knows */

static _Atomic int64_t up_ms, wall_ms;

static int64_t fake_mono(void *context)
{
    (void)context;
    return atomic_load(&up_ms);
}

static int64_t fake_wall(void *context)
{
    (void)context;
    return atomic_load(&wall_ms);
}

static const struct store_time fake_time = {
    .wall_ms = fake_wall, .mono_ms = fake_mono, .boot_id = "0123456789abcdef0123456789abcdef"};

static int setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    atomic_store(&up_ms, 5000);
    atomic_store(&wall_ms, INT64_C(1795000000000));
    f->options.time = &fake_time;
    f->options.clock_trusted = true;
    f->uplinks[0].max_age_ms = 16 * HOUR; /* an hour between marks */
    return 0;
}

static void pass(int64_t ms)
{
    atomic_fetch_add(&up_ms, ms);
    atomic_fetch_add(&wall_ms, ms);
}

/* n records in one hour; returns the last number. */
static uint64_t hour_of(struct fixture *f, uint64_t n)
{
    pass(HOUR);
    append_and_wait(f, n);
    return store_newest(f->store);
}

static int64_t expire(struct fixture *f, size_t uplink)
{
    return store_expire(f->store, uplink, 1, UINT64_MAX);
}

static uint64_t first_waiting(struct fixture *f, size_t uplink)
{
    uint64_t first, last, count;
    return store_waiting(f->store, uplink, &first, &last, &count) ? first : 0;
}

/* Told at a close: what events say that the uplink lost and has not heard. */
static size_t told(struct fixture *f, size_t uplink, cJSON **ret)
{
    struct store_batch b;
    store_batch_init(&b);
    fixture_reopen(f);
    read_all(f, uplink, &b);
    size_t n = find_events(&b, "samples_dropped", "expired", ret);
    store_batch_fini(&b);
    return n;
}

static void what_waited_longer_than_max_age_is_given_up_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    uint64_t ends[41];
    fixture_open(f);
    ends[0] = store_newest(f->store);
    for (int hour = 1; hour <= 40; hour++) {
        ends[hour] = hour_of(f, 10);
        expire(f, 0);
        /* Those of an hour were certainly there when the next one began: 16 hours later they go. */
        uint64_t first = hour >= 17 ? ends[hour - 17] + 1 : 1;
        assert_int_equal(first_waiting(f, 0), first);
        assert_int_equal(status_of(f, 0).dropped, first - 1);
    }
    assert_int_equal(expire(f, 0), 0);
    assert_int_equal(status_of(f, 1).dropped, 0);
    assert_int_equal(first_waiting(f, 1), 1);
    cJSON *event;
    assert_int_equal(told(f, 0, &event), 1);
    assert_string_equal(json_string(event, "uplink", ""), "province");
    assert_int_equal(json_int(event, "from", 0), 1);
    assert_int_equal(json_int(event, "to", 0), ends[23]);
    assert_int_equal(json_int(event, "count", 0), ends[23]);
    assert_int_equal(json_int(event, "last_ts", 0), (230 - 1) * 1000);
    cJSON_Delete(event);
    assert_int_equal(status_of(f, 0).dropped, ends[23]);
}

static void age_goes_on_over_restarts_and_stands_while_the_gateway_is_off(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint64_t last = hour_of(f, 10);
    for (int i = 0; i < 15; i++) {
        pass(30 * MINUTE);
        fixture_close(f);
        pass(20 * DAY);
        fixture_open(f);
        pass(30 * MINUTE);
        append_and_wait(f, 1);
        assert_int_equal(expire(f, 0), 0);
    }
    pass(2 * HOUR);
    assert_true(expire(f, 0) >= 10);
    assert_true(first_waiting(f, 0) > last);
}

static void two_uplinks_have_two_limits(void **state)
{
    struct fixture *f = *state;
    f->uplinks[1].max_age_ms = 32 * HOUR;
    f->options.uplink_count = 3;
    fixture_open(f);
    uint64_t last = hour_of(f, 100);
    for (int i = 0; i < 18; i++)
        hour_of(f, 1);
    expire(f, 0);
    assert_int_equal(expire(f, 1), 0);
    assert_int_equal(expire(f, 2), 0);
    assert_true(first_waiting(f, 0) > last);
    assert_int_equal(first_waiting(f, 1), 1);
    pass(16 * HOUR);
    expire(f, 1);
    assert_true(first_waiting(f, 1) > last);
    assert_int_equal(first_waiting(f, 2), 1);
    assert_int_equal(status_of(f, 2).dropped, 0);
    /* Nobody waits for them but the third: for it they are there. */
    struct store_batch b;
    store_batch_init(&b);
    assert_true(read_all(f, 2, &b) > 100);
    assert_int_equal(b.records[0].seq, 1);
    store_batch_fini(&b);
}

static void a_clock_that_jumps_makes_nothing_old(void **state)
{
    static const int64_t jumps[] = {2 * HOUR, -2 * HOUR, 30 * DAY, 3650 * DAY, -20000 * DAY, 40000 * DAY};
    struct fixture *f = *state;
    f->options.hold_untrusted = true;
    fixture_open(f);
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        hour_of(f, 5);
        atomic_fetch_add(&wall_ms, jumps[i]);
        store_clock(f->store, i % 2, false);
        store_clock(f->store, true, false);
        assert_int_equal(expire(f, 0), 0);
        fixture_reopen(f);
        assert_int_equal(expire(f, 0), 0);
    }
    assert_int_equal(status_of(f, 0).dropped, 0);
}

static void records_that_are_held_for_their_time_are_not_given_up_before_they_have_it(void **state)
{
    struct fixture *f = *state;
    struct store_status s;
    f->options.hold_untrusted = true;
    f->options.clock_trusted = false;
    fixture_open(f);
    struct sample sample = {.mono_ms = fake_mono(NULL), .failed = QUALITY_NO_REPLY};
    assert_int_equal(store_append(f->store, &sample), 0);
    for (int i = 0; i < 20; i++) {
        pass(HOUR);
        assert_int_equal(store_append(f->store, &sample), 0);
        uint64_t next = (uint64_t)i + 2;
        do
            store_status(f->store, &s);
        while (s.newest < next);
    }
    assert_int_equal(expire(f, 0), 0);
    store_clock(f->store, true, false);
    wait_newest(f, s.newest);
    assert_true(expire(f, 0) > 0);
}

static void what_is_in_flight_is_left_alone(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    hour_of(f, 100);
    hour_of(f, 1);
    pass(17 * HOUR);
    assert_int_equal(store_expire(f->store, 0, 1, 39), 39);
    assert_int_equal(store_expire(f->store, 0, 61, UINT64_MAX), 42);
    assert_int_equal(status_of(f, 0).waiting, 22); /* the last of all has no mark after it yet */
    assert_int_equal(store_delivered(f->store, 0, 40, 60), 0);
    assert_int_equal(status_of(f, 0).delivered, 21);
    assert_int_equal(store_resend(f->store, 0, 1, 200), 21);
}

static void there_is_one_event_for_as_long_as_nothing_is_delivered(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    cJSON *event;
    store_batch_init(&b);
    fixture_open(f);
    for (int i = 0; i < 60; i++) {
        hour_of(f, 10);
        expire(f, 0);
        read_all(f, 0, &b);
        assert_int_equal(find_events(&b, "samples_dropped", NULL, NULL), 0);
    }
    uint64_t dropped = status_of(f, 0).dropped, newest = store_newest(f->store);
    assert_true(dropped > 400);
    assert_int_equal(store_delivered(f->store, 0, newest, newest), 0);
    pass(15000);
    wait_newest(f, newest + 1);
    read_all(f, 0, &b);
    assert_int_equal(find_events(&b, "samples_dropped", "expired", &event), 1);
    assert_int_equal(json_int(event, "from", 0), 1);
    assert_int_equal(json_int(event, "to", 0), dropped);
    cJSON_Delete(event);
    store_batch_fini(&b);
}

static void an_uplink_for_which_nothing_is_left_is_told_too(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    uint64_t last = hour_of(f, 10);
    assert_int_equal(store_delivered(f->store, 0, last + 1, UINT64_MAX), 0);
    hour_of(f, 1);
    assert_int_equal(store_delivered(f->store, 0, last + 1, last + 1), 0);
    pass(17 * HOUR);
    assert_int_equal(expire(f, 0), last);
    assert_int_equal(status_of(f, 0).waiting, 0);
    pass(15000);
    wait_newest(f, last + 2);
    assert_int_equal(read_all(f, 0, &b), 1);
    assert_int_equal(find_events(&b, "samples_dropped", "expired", NULL), 1);
    store_batch_fini(&b);
}

static void what_nobody_waits_for_any_more_frees_the_disk(void **state)
{
    struct fixture *f = *state;
    f->options.uplink_count = 1;
    f->options.keep_delivered_ms = 0;
    fixture_open(f);
    hour_of(f, 500);
    hour_of(f, 1);
    pass(17 * HOUR);
    uint64_t dropped = (uint64_t)expire(f, 0);
    assert_int_equal(dropped, 502);
    append_and_wait(f, 1);
    fixture_close(f);
    assert_int_equal(ask_sql(f->path, "SELECT min(seq) FROM record"), dropped + 1);
}

static void a_damaged_number_makes_nothing_old(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    for (int i = 0; i < 10; i++)
        hour_of(f, 10);
    fixture_close(f);
    run_sql(f->path, "UPDATE mark SET run_ms = -1000000000 WHERE seq > 60 AND seq < 75");
    run_sql(f->path, "INSERT INTO mark VALUES(4611686018427387904, 0)");
    run_sql(f->path, "UPDATE meta SET value = 4611686018427387904 WHERE key = 'run_ms'");
    fixture_open(f);
    append_and_wait(f, 1);
    assert_int_equal(expire(f, 0), 0);
}

static void refuse(rlim_t most)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most ? most : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void wait_durable(struct fixture *f, bool durable)
{
    struct store_status s;
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do {
        store_status(f->store, &s);
        clock_sleep_until_us(clock_mono_us() + 1000);
    } while (s.durable != durable && clock_mono_ms() < until);
    assert_true(s.durable == durable);
}

static void what_is_in_memory_grows_old_too_and_keeps_its_age_on_the_disk(void **state)
{
    struct fixture *f = *state;
    f->options.memory_after_ms = 20;
    fixture_open(f);
    uint64_t on_disk = hour_of(f, 10);
    refuse(1);
    append_sample(f);
    wait_durable(f, false);
    uint64_t early = hour_of(f, 10);
    pass(8 * HOUR);
    uint64_t late = hour_of(f, 10);
    hour_of(f, 1);
    pass(5 * HOUR);
    expire(f, 0); /* 16 hours ago the file was left */
    assert_int_equal(first_waiting(f, 0), on_disk + 1);
    pass(3 * HOUR);
    expire(f, 0);
    assert_true(first_waiting(f, 0) > on_disk + 1 && first_waiting(f, 0) <= early + 1);
    refuse(0);
    wait_durable(f, true);
    append_and_wait(f, 1);
    pass(6 * HOUR);
    assert_int_equal(expire(f, 0), 0);
    pass(HOUR);
    expire(f, 0);
    assert_int_equal(first_waiting(f, 0), early + 1);
    pass(HOUR);
    expire(f, 0);
    assert_int_equal(first_waiting(f, 0), late + 1);
    status_of(f, 1);
}

static void what_was_in_memory_from_the_start_is_not_older_because_the_file_is(void **state)
{
    struct fixture *f = *state;
    f->options.memory_after_ms = 20;
    fixture_open(f);
    for (int i = 0; i < 30; i++)
        hour_of(f, 2);
    store_delivered(f->store, 0, 1, UINT64_MAX);
    fixture_close(f);
    refuse(1);
    fixture_open(f);
    wait_durable(f, false);
    hour_of(f, 10);
    refuse(0);
    wait_durable(f, true);
    append_and_wait(f, 1);
    assert_int_equal(expire(f, 0), 0);
    pass(18 * HOUR);
    assert_true(expire(f, 0) >= 10);
}

/* What the receiver of one uplink knows of each number. */
struct ledger {
    unsigned char got[MOST], lost[MOST];
    uint64_t count;
};

static void hear(struct ledger *l, const struct store_record *r, const char *uplink)
{
    cJSON *event = json_parse(r->body, r->body_len);
    assert_non_null(event);
    if (strcmp(json_string(event, "event", ""), "samples_dropped") == 0 &&
        strcmp(json_string(event, "reason", ""), "queue_full") != 0 &&
        strcmp(json_string(event, "uplink", ""), uplink) == 0) {
        uint64_t from = (uint64_t)json_int(event, "from", 0), to = (uint64_t)json_int(event, "to", 0);
        assert_true(from > 0 && from <= to && to < MOST);
        l->count += (uint64_t)json_int(event, "count", 0);
        for (uint64_t i = from; i <= to; i++)
            l->lost[i] = 1;
    }
    cJSON_Delete(event);
}

static int deliver(struct fixture *f, size_t uplink, struct ledger *l, uint64_t from, size_t most)
{
    struct store_limits limits = {.max_records = most, .max_bytes = 1000000};
    struct store_batch b;
    store_batch_init(&b);
    int n = store_read(f->store, uplink, from, UINT64_MAX, &limits, &b);
    assert_true(n >= 0);
    for (size_t i = 0; i < b.count; i++) {
        uint64_t seq = b.records[i].seq;
        assert_true(seq < MOST && !l->got[seq]);
        l->got[seq] = 1;
        if (b.records[i].is_event)
            hear(l, &b.records[i], f->uplinks[uplink].name);
        store_delivered(f->store, uplink, seq, seq);
    }
    store_batch_fini(&b);
    return n;
}

static void every_number_comes_or_is_named_whatever_happens(void **state)
{
    struct fixture *f = *state;
    struct ledger *l = calloc(2, sizeof *l);
    const char *given = getenv("STORE_AGE_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL), random = seed;
    print_message("STORE_AGE_SEED=%u\n", seed);
    f->uplinks[1].max_age_ms = 40 * HOUR;
    fixture_open(f);
    for (int step = 0; step < 150; step++) {
        pass(rand_r(&random) % (3 * HOUR));
        append_and_wait(f, (uint64_t)rand_r(&random) % 60);
        size_t u = (size_t)rand_r(&random) & 1;
        uint64_t newest = store_newest(f->store), back = (uint64_t)rand_r(&random) % 200;
        if (rand_r(&random) % (u ? 12 : 4) == 0)
            deliver(f, u, &l[u], rand_r(&random) & 1 && newest > back ? newest - back : 1,
                    (size_t)rand_r(&random) % 100 + 1);
        assert_true(expire(f, u) >= 0);
        if (rand_r(&random) % 25 == 0)
            fixture_reopen(f);
        status_of(f, 0);
        status_of(f, 1);
    }
    for (int again = 0; again < 2; again++) {
        fixture_reopen(f); /* tells what was lost */
        for (size_t u = 0; u < 2; u++)
            while (deliver(f, u, &l[u], 1, 5000) > 0)
                ;
    }
    for (size_t u = 0; u < 2; u++) {
        struct store_uplink_status s = status_of(f, u);
        uint64_t got = 0;
        for (uint64_t seq = 1; seq <= store_newest(f->store); seq++) {
            got += l[u].got[seq];
            if (!l[u].got[seq] && !l[u].lost[seq])
                fail_msg("uplink %zu: seq %" PRIu64 " neither came nor was named", u, seq);
        }
        assert_true(s.dropped > 0);
        assert_int_equal(s.waiting, 0);
        assert_int_equal(s.delivered, got);
        assert_int_equal(s.dropped, l[u].count);
        print_message("uplink %zu: %" PRIu64 " came, %" PRIu64 " named\n", u, got, l[u].count);
    }
    free(l);
}

static int teardown(void **state)
{
    refuse(0);
    return fixture_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_waited_longer_than_max_age_is_given_up_and_nothing_else),
        TEST(age_goes_on_over_restarts_and_stands_while_the_gateway_is_off),
        TEST(two_uplinks_have_two_limits),
        TEST(a_clock_that_jumps_makes_nothing_old),
        TEST(records_that_are_held_for_their_time_are_not_given_up_before_they_have_it),
        TEST(what_is_in_flight_is_left_alone),
        TEST(there_is_one_event_for_as_long_as_nothing_is_delivered),
        TEST(an_uplink_for_which_nothing_is_left_is_told_too),
        TEST(what_nobody_waits_for_any_more_frees_the_disk),
        TEST(a_damaged_number_makes_nothing_old),
        TEST(what_is_in_memory_grows_old_too_and_keeps_its_age_on_the_disk),
        TEST(what_was_in_memory_from_the_start_is_not_older_because_the_file_is),
        TEST(every_number_comes_or_is_named_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
