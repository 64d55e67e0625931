/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>

#define SMALL (512 * 1024)
#define SEQS 100000

/* What the other side of one uplink knows: each number acknowledged, told as lost, or still to come. */
struct ledger {
    unsigned char got[SEQS];
    uint64_t told; /* by loss events, as they say */
    bool exact;    /* every event named just what was lost */
};

static void take_event(struct ledger *l, const struct store_record *r, const char *uplink)
{
    cJSON *event = json_parse(r->body, r->body_len);
    assert_non_null(event);
    if (strcmp(json_string(event, "event", ""), "samples_dropped") == 0 &&
        strcmp(json_string(event, "reason", ""), "queue_full") != 0 &&
        strcmp(json_string(event, "uplink", ""), uplink) == 0) {
        uint64_t from = (uint64_t)json_int(event, "from", 0), to = (uint64_t)json_int(event, "to", 0);
        uint64_t count = (uint64_t)json_int(event, "count", 0);
        assert_true(from > 0 && from <= to && to < SEQS && count > 0 && count <= to - from + 1);
        l->told += count;
        if (count != to - from + 1)
            l->exact = false;
        for (uint64_t i = from; i <= to; i++)
            l->got[i] |= 2;
    }
    cJSON_Delete(event);
}

/* Reads a batch, acknowledges it, and notes it. */
static int deliver(struct fixture *f, size_t uplink, struct ledger *l, uint64_t from, size_t max)
{
    struct store_batch b;
    struct store_limits limits = {.max_records = max, .max_bytes = 1000000};
    store_batch_init(&b);
    int n = store_read(f->store, uplink, from, UINT64_MAX, &limits, &b);
    assert_true(n >= 0);
    for (size_t i = 0; i < b.count; i++) {
        uint64_t seq = b.records[i].seq;
        assert_true(seq < SEQS);
        /* Between reading and acknowledging room may be made: then it is told as lost as well. */
        assert_false(l->got[seq] & 1);
        l->got[seq] |= 1;
        if (b.records[i].is_event)
            take_event(l, &b.records[i], f->uplinks[uplink].name);
        assert_int_equal(store_delivered(f->store, uplink, seq, seq), 0);
    }
    store_batch_fini(&b);
    return n;
}

static void check_size(struct fixture *f)
{
    struct store_status s;
    store_status(f->store, &s);
    if (s.bytes > f->options.max_bytes)
        fail_msg("%" PRId64 " bytes, more than the cap", s.bytes);
}

static void the_cap_holds_for_ever_and_every_record_is_accounted_for(void **state)
{
    struct fixture *f = *state;
    struct ledger *l = calloc(2, sizeof *l);
    l[0].exact = l[1].exact = true;
    unsigned seed = (unsigned)time(NULL), random = seed;
    print_message("seed %u\n", seed);
    f->options.max_bytes = SMALL;
    f->options.commit_every_ms = 1;
    fixture_open(f);
    for (int step = 0; step < 80; step++) {
        append_and_wait(f, (uint64_t)rand_r(&random) % 400);
        size_t uplink = (size_t)rand_r(&random) & 1;
        /* The first uplink mostly keeps up, newest or oldest first; the second is mostly dead. */
        if (uplink == 0 || rand_r(&random) % 8 == 0) {
            uint64_t newest = store_newest(f->store), back = (uint64_t)rand_r(&random) % 600;
            deliver(f, uplink, &l[uplink], rand_r(&random) & 1 && newest > back ? newest - back : 0,
                    (size_t)rand_r(&random) % 400 + 1);
        }
        if (rand_r(&random) % 40 == 0)
            fixture_reopen(f);
        status_of(f, 0);
        status_of(f, 1);
        check_size(f);
    }
    struct store_uplink_status dead = status_of(f, 1);
    assert_true(dead.dropped > 1000);
    /* Closing tells all losses; what had to go to make room for that is told the next time. */
    for (int again = 0; again < 3; again++) {
        fixture_reopen(f);
        append_and_wait(f, 1);
        for (size_t u = 0; u < 2; u++)
            while (deliver(f, u, &l[u], 0, 5000) > 0)
                ;
    }
    for (size_t u = 0; u < 2; u++) {
        struct store_uplink_status s = status_of(f, u);
        uint64_t delivered = 0;
        assert_int_equal(s.waiting, 0);
        for (uint64_t seq = 1; seq <= store_newest(f->store); seq++) {
            delivered += l[u].got[seq] & 1;
            if (l[u].got[seq] == 0)
                fail_msg("uplink %zu: seq %" PRIu64 " neither came nor was told as lost", u, seq);
            if (l[u].exact && l[u].got[seq] == 3)
                fail_msg("uplink %zu: seq %" PRIu64 " came, and was told as lost", u, seq);
        }
        assert_int_equal(s.delivered, delivered);
        assert_int_equal(s.dropped, l[u].told);
        print_message("uplink %zu: %" PRIu64 " delivered, %" PRIu64 " dropped%s\n", u, s.delivered, s.dropped,
                      l[u].exact ? ", exactly named" : "");
    }
    free(l);
}

/* A sample of 40 readings: 280 bytes of text. */
static int try_append_fat(struct fixture *f)
{
    struct reading readings[40];
    for (size_t i = 0; i < 40; i++)
        readings[i] =
            (struct reading){.quality = QUALITY_GOOD,
                             .value = {.kind = VALUE_NUMBER, .number = {.magnitude = 12345, .exponent = -2}}};
    struct sample s = {.clock_trusted = true, .count = 40, .readings = readings};
    return store_append(f->store, &s);
}

/* Waits for their commit, returns how many bytes of text they are. */
static uint64_t append_fat(struct fixture *f, uint64_t n)
{
    uint64_t newest = store_newest(f->store);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(try_append_fat(f), 0);
    wait_newest(f, newest + n);
    return n * 280;
}

static void twenty_times_the_cap_can_be_written_with_nobody_listening(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = SMALL;
    f->options.commit_every_ms = 1;
    fixture_open(f);
    uint64_t bytes = 0, chunks = 0;
    while (bytes < 20 * SMALL) {
        bytes += append_fat(f, 800);
        /* Tells the losses so far: those events become old, must go too, and what they said must not. */
        if (++chunks % 10 == 0)
            fixture_reopen(f);
        check_size(f);
    }
    struct store_status s;
    struct store_uplink_status u = status_of(f, 0);
    store_status(f->store, &s);
    assert_true(s.records > 400);
    assert_true(u.dropped > 20000);
    assert_int_equal(u.waiting, s.records);
    uint64_t oldest, last, count;
    assert_true(store_waiting(f->store, 0, &oldest, &last, &count));
    fixture_reopen(f); /* tells all losses */
    struct ledger *l = calloc(1, sizeof *l);
    l->exact = true;
    while (deliver(f, 0, l, 0, 5000) > 0)
        ;
    assert_true(l->exact);
    for (uint64_t seq = 1; seq < oldest; seq++)
        assert_int_equal(l->got[seq], 2);
    assert_int_equal(l->told, status_of(f, 0).dropped);
    free(l);
    fixture_close(f);
    assert_int_equal(
        ask_sql(f->path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

static void room_made_in_a_commit_that_failed_was_not_made(void **state)
{
    struct fixture *f = *state;
    struct store_status status;
    struct rlimit before, low;
    uint64_t oldest, first, last, count;
    f->options.max_bytes = 4 * SMALL;
    f->options.commit_every_ms = 20; /* so that a transaction is large enough to need room */
    fixture_open(f);
    for (int i = 0; i < 9; i++)
        append_fat(f, 800);
    struct store_uplink_status full = status_of(f, 0);
    assert_true(full.dropped > 0);
    assert_true(store_waiting(f->store, 0, &oldest, &last, &count));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 16 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do {
        for (int i = 0; i < 200; i++)
            try_append_fat(f);
        store_status(f->store, &status);
    } while (!status.disk_failing && clock_mono_ms() < until);
    assert_true(status.disk_failing);
    assert_true(store_waiting(f->store, 0, &first, &last, &count));
    struct store_uplink_status failing = status_of(f, 0);
    assert_int_equal(failing.dropped, full.dropped);
    assert_int_equal(first, oldest);
    struct store_batch b;
    store_batch_init(&b);
    struct store_limits one = {.max_records = 1, .max_bytes = 1};
    assert_int_equal(store_read(f->store, 0, 0, UINT64_MAX, &one, &b), 1);
    assert_int_equal(b.records[0].seq, first);
    assert_int_equal(last - first + 1, count);
    assert_int_equal(failing.waiting, status.records);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    store_batch_fini(&b);
    wait_newest(f, status.newest + 1);
    fixture_close(f);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) = max(seq) - min(seq) + 1 FROM record"), 1);
}

static void what_is_delivered_everywhere_goes_before_what_still_waits(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = SMALL;
    fixture_open(f);
    append_and_wait(f, 1000);
    /* 1..500 wait for the first uplink; all else is delivered, again and again. */
    for (int i = 0; i < 25; i++) {
        append_and_wait(f, 1000);
        uint64_t newest = store_newest(f->store);
        store_delivered(f->store, 0, 501, newest);
        store_delivered(f->store, 1, 1, newest);
        check_size(f);
    }
    assert_int_equal(status_of(f, 0).dropped, 0);
    assert_int_equal(status_of(f, 1).dropped, 0);
    struct store_batch b;
    store_batch_init(&b);
    struct store_limits all = {.max_records = 1000, .max_bytes = 1000000};
    assert_int_equal(store_read(f->store, 0, 1, 500, &all, &b), 500);
    store_batch_fini(&b);
}

static void delivered_records_go_after_their_time_and_waiting_ones_stay(void **state)
{
    struct fixture *f = *state;
    struct store_status s;
    f->options.keep_delivered_ms = 200;
    fixture_open(f);
    append_and_wait(f, 400);
    store_delivered(f->store, 0, 1, 402);
    store_delivered(f->store, 1, 1, 300);
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do {
        append_and_wait(f, 1);
        store_status(f->store, &s);
    } while (s.newest - s.records < 300 && clock_mono_ms() < until);
    assert_true(s.newest - s.records >= 300);
    fixture_close(f);
    assert_int_equal(ask_sql(f->path, "SELECT min(seq) FROM record"), 301);
    fixture_open(f);
    assert_int_equal(status_of(f, 0).dropped + status_of(f, 1).dropped, 0);
}

static void the_room_that_is_told_is_there(void **state)
{
    struct fixture *f = *state;
    struct store_status before, after;
    f->options.max_bytes = SMALL;
    f->options.commit_every_ms = 1;
    fixture_open(f);
    append_and_wait(f, 20);
    store_status(f->store, &before);
    assert_int_equal(before.room_records, -1); /* too few to tell */
    append_and_wait(f, 480);
    store_status(f->store, &before);
    assert_true(before.room_records > 1000);
    while (status_of(f, 0).dropped == 0)
        append_and_wait(f, 100);
    store_status(f->store, &after);
    double took = (double)(after.recorded - before.recorded);
    print_message("told %" PRId64 ", were %.0f\n", before.room_records, took);
    /* Rather too little than too much: the first pages are not full. */
    assert_true(took > 0.9 * (double)before.room_records && took < 1.7 * (double)before.room_records);
    assert_int_equal(status_of(f, 0).dropped_by[LOSS_FULL], status_of(f, 0).dropped);
    store_status(f->store, &after);
    assert_true(after.room_records * 5 < before.room_records);
}

static void age_is_running_time_and_goes_on_over_a_restart(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 10);
    fixture_close(f);
    int64_t before = ask_sql(f->path, "SELECT value FROM meta WHERE key = 'run_ms'");
    fixture_open(f);
    clock_sleep_until_us(clock_mono_us() + 5000);
    fixture_close(f);
    assert_true(ask_sql(f->path, "SELECT value FROM meta WHERE key = 'run_ms'") >= before + 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_cap_holds_for_ever_and_every_record_is_accounted_for),
        TEST(twenty_times_the_cap_can_be_written_with_nobody_listening),
        TEST(room_made_in_a_commit_that_failed_was_not_made),
        TEST(what_is_delivered_everywhere_goes_before_what_still_waits),
        TEST(delivered_records_go_after_their_time_and_waiting_ones_stay),
        TEST(the_room_that_is_told_is_there),
        TEST(age_is_running_time_and_goes_on_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
