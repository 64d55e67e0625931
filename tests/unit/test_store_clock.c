/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <stdatomic.h>

#define BOOT "0123456789abcdef0123456789abcdef"
#define OTHER_BOOT "fedcba9876543210fedcba9876543210"
#define TRUE_START INT64_C(1795000000000) /* the true time when the machine was switched on */
#define HOLD_MS 30000

/* A machine that wakes up in 1970 and learns the time later. */
static _Atomic int64_t up_ms, wall_error_ms;

static int64_t fake_mono(void *context)
{
    (void)context;
    return atomic_load(&up_ms);
}

static int64_t fake_wall(void *context)
{
    (void)context;
    return TRUE_START + atomic_load(&up_ms) + atomic_load(&wall_error_ms);
}

static struct store_time fake_time = {.wall_ms = fake_wall, .mono_ms = fake_mono, .boot_id = BOOT};

static int setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    atomic_store(&up_ms, 5000);
    atomic_store(&wall_error_ms, -TRUE_START);
    fake_time.boot_id = BOOT;
    f->options.time = &fake_time;
    f->options.hold_untrusted = true;
    f->options.hold_ms = HOLD_MS;
    return 0;
}

static uint64_t committed(struct fixture *f)
{
    struct store_status status;
    store_status(f->store, &status);
    return status.newest;
}

static void wait_committed(struct fixture *f, uint64_t seq)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&f->lock);
    while (committed(f) < seq)
        if (pthread_cond_timedwait(&f->committed, &f->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&f->lock);
    assert_true(committed(f) >= seq);
}

/* One sample with the machine's own idea of the time, a second after the last. */
static void append_now(struct fixture *f, bool trusted)
{
    atomic_fetch_add(&up_ms, 1000);
    struct sample s = {.wall_ms = fake_wall(NULL),
                       .mono_ms = fake_mono(NULL),
                       .clock_trusted = trusted,
                       .missed = 3,
                       .failed = QUALITY_NO_REPLY};
    uint64_t next = committed(f) + 1;
    assert_int_equal(store_append(f->store, &s), 0);
    wait_committed(f, next);
}

static void set_clock(struct fixture *f, bool link_up)
{
    atomic_store(&wall_error_ms, 0);
    store_clock(f->store, true, link_up);
}

static int64_t up_of(const struct store_record *r)
{
    cJSON *extra = json_parse(r->extra, r->extra_len);
    int64_t up = json_int(extra, "up_ms", -1);
    assert_string_equal(json_string(extra, "clock", ""), "untrusted");
    assert_string_equal(json_string(extra, "boot", ""), BOOT);
    cJSON_Delete(extra);
    return up;
}

static void records_of_an_unknown_time_wait_and_count_as_waiting(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t first, last, count;
    store_batch_init(&b);
    f->options.clock_trusted = true;
    fixture_open(f);
    store_clock(f->store, false, true);
    append_now(f, false);
    append_now(f, true); /* what follows waits behind them */
    atomic_fetch_add(&up_ms, HOLD_MS - 3001);
    store_clock(f->store, false, true);
    append_now(f, false);
    assert_int_equal(read_all(f, 0, &b), 2);
    assert_true(store_waiting(f->store, 0, &first, &last, &count));
    assert_int_equal(last, 2);
    assert_int_equal(count, 2);
    assert_int_equal(store_newest(f->store), 2);
    assert_int_equal(status_of(f, 0).waiting, 5);
    store_delivered(f->store, 0, 1, 2);
    assert_false(store_waiting(f->store, 0, &first, &last, &count));
    assert_int_equal(status_of(f, 0).waiting, 3);
    store_batch_fini(&b);
}

static void a_clock_that_is_set_corrects_what_waits_once(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    cJSON *event;
    store_batch_init(&b);
    fixture_open(f);
    for (int i = 0; i < 20; i++)
        append_now(f, false);
    assert_int_equal(store_append_event(f->store, fake_wall(NULL), "{\"event\":\"device_lost\"}"), 0);
    wait_committed(f, 23);
    store_clock(f->store, false, true);
    assert_int_equal(store_newest(f->store), 0);
    set_clock(f, true);
    wait_newest(f, 24);
    assert_int_equal(read_all(f, 0, &b), 24);
    for (size_t i = 2; i < 22; i++) {
        assert_int_equal(b.records[i].ts_ms, TRUE_START + 5000 + 1000 * ((int64_t)i - 1));
        assert_string_equal(b.records[i].extra, "{\"missed\":3,\"clock\":\"corrected\"}");
    }
    assert_int_equal(b.records[0].ts_ms, TRUE_START + 5000); /* stream_opened */
    assert_int_equal(b.records[22].ts_ms, TRUE_START + 25000);
    assert_string_equal(b.records[22].extra, "{\"clock\":\"corrected\"}");
    assert_int_equal(find_events(&b, "clock_set", NULL, &event), 1);
    assert_int_equal(json_int(event, "offset_ms", 0), TRUE_START);
    assert_int_equal(json_int(event, "up_ms", 0), 25000);
    assert_string_equal(json_string(event, "boot", ""), BOOT);
    cJSON_Delete(event);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM record WHERE flags <> 0"), 0);
    /* Nothing is told or changed again. */
    store_clock(f->store, true, true);
    append_now(f, true);
    assert_int_equal(store_newest(f->store), 25);
    f->options.clock_trusted = true;
    fixture_reopen(f);
    assert_int_equal(read_all(f, 0, &b), 26);
    assert_int_equal(find_events(&b, "clock_set", NULL, NULL), 1);
    assert_int_equal(b.records[2].ts_ms, TRUE_START + 6000);
    store_batch_fini(&b);
}

/* Who measures hears of it a moment later than the store. */
static void
what_was_marked_when_the_clock_had_just_been_set_is_corrected_and_tells_nothing_again(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    store_clock(f->store, false, true);
    set_clock(f, true);
    wait_newest(f, 4); /* clock_set */
    append_now(f, false);
    store_clock(f->store, true, true);
    append_now(f, true);
    wait_newest(f, 6);
    store_clock(f->store, true, true);
    append_now(f, true);
    wait_newest(f, 7);
    assert_int_equal(read_all(f, 0, &b), 7);
    assert_int_equal(b.records[4].ts_ms, TRUE_START + 7000);
    assert_string_equal(b.records[4].extra, "{\"missed\":3,\"clock\":\"corrected\"}");
    assert_int_equal(find_events(&b, "clock_set", NULL, NULL), 1);
    /* A clock that is lost and set again is told of again. */
    store_clock(f->store, false, true);
    append_now(f, false);
    store_clock(f->store, true, true);
    wait_newest(f, 9);
    assert_int_equal(read_all(f, 0, &b), 9);
    assert_int_equal(find_events(&b, "clock_set", NULL, NULL), 2);
    store_batch_fini(&b);
}

static void more_than_one_transaction_corrects_is_corrected_in_order(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    for (int i = 0; i < 3000; i++) {
        struct sample s = {.wall_ms = i, .mono_ms = i, .failed = QUALITY_NO_REPLY};
        while (store_append(f->store, &s) == FG_EFULL)
            clock_sleep_until_us(clock_mono_us() + 1000);
    }
    wait_committed(f, 3002);
    set_clock(f, false);
    wait_newest(f, 3003);
    assert_int_equal(read_all(f, 0, &b), 3003);
    for (size_t i = 2; i < 3002; i++)
        assert_int_equal(b.records[i].ts_ms, TRUE_START + (int64_t)i - 2);
    store_batch_fini(&b);
}

static void after_the_hold_they_go_out_marked_and_never_change(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    store_clock(f->store, false, true);
    atomic_fetch_add(&up_ms, HOLD_MS - 1);
    store_clock(f->store, false, true);
    assert_int_equal(store_newest(f->store), 0);
    atomic_fetch_add(&up_ms, 1);
    store_clock(f->store, false, true);
    wait_newest(f, 3);
    append_now(f, false); /* given out at once from now on */
    assert_int_equal(store_newest(f->store), 4);
    assert_int_equal(read_all(f, 0, &b), 4);
    assert_int_equal(up_of(&b.records[2]), 6000);
    assert_int_equal(b.records[2].ts_ms, 6000);
    set_clock(f, true);
    wait_newest(f, 5);
    assert_int_equal(read_all(f, 0, &b), 5);
    assert_int_equal(b.records[2].ts_ms, 6000);
    assert_int_equal(up_of(&b.records[3]), 7000 + HOLD_MS);
    assert_int_equal(find_events(&b, "clock_set", NULL, NULL), 1);
    store_batch_fini(&b);
}

static void without_a_link_what_comes_after_the_hold_can_still_be_corrected(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    store_clock(f->store, false, true);
    atomic_fetch_add(&up_ms, HOLD_MS);
    store_clock(f->store, false, true);
    wait_newest(f, 3);
    store_clock(f->store, false, false);
    append_now(f, false);
    assert_int_equal(store_newest(f->store), 3);
    set_clock(f, false);
    wait_newest(f, 5);
    assert_int_equal(read_all(f, 0, &b), 5);
    assert_int_equal(b.records[2].ts_ms, 6000);
    assert_int_equal(b.records[3].ts_ms, TRUE_START + 7000 + HOLD_MS);
    store_batch_fini(&b);
}

static void a_restart_in_the_same_boot_neither_forgets_nor_begins_to_wait_again(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    store_clock(f->store, false, true);
    atomic_fetch_add(&up_ms, HOLD_MS / 2);
    fixture_reopen(f);
    assert_int_equal(store_newest(f->store), 0);
    atomic_fetch_add(&up_ms, HOLD_MS / 2);
    store_clock(f->store, false, true);
    wait_newest(f, 4);
    /* Given out: a clock that is set during the next start changes nothing. */
    fixture_close(f);
    atomic_store(&wall_error_ms, 0);
    f->options.clock_trusted = true;
    fixture_open(f);
    assert_int_equal(read_all(f, 0, &b), 5);
    assert_int_equal(b.records[2].ts_ms, 6000);
    assert_int_equal(up_of(&b.records[2]), 6000);
    store_clock(f->store, true, true);
    wait_newest(f, 6);
    assert_int_equal(read_all(f, 0, &b), 6);
    assert_int_equal(find_events(&b, "clock_set", NULL, NULL), 1);
    store_batch_fini(&b);
}

static void a_restart_with_a_good_clock_corrects_what_was_never_sent(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    fixture_close(f);
    atomic_store(&wall_error_ms, 0);
    f->options.clock_trusted = true;
    fixture_open(f);
    assert_int_equal(read_all(f, 0, &b), 4);
    assert_int_equal(b.records[2].ts_ms, TRUE_START + 6000);
    store_batch_fini(&b);
}

static void records_of_an_earlier_boot_are_given_out_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_now(f, false);
    fixture_close(f);
    fake_time.boot_id = OTHER_BOOT;
    f->options.clock_trusted = true;
    atomic_store(&wall_error_ms, 0);
    fixture_open(f);
    assert_int_equal(read_all(f, 0, &b), 4);
    assert_int_equal(b.records[2].ts_ms, 6000);
    assert_int_equal(up_of(&b.records[2]), 6000);
    assert_int_equal(b.records[3].extra_len, 0);
    store_batch_fini(&b);
}

static void a_gateway_that_knows_the_time_holds_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    f->options.clock_trusted = true;
    atomic_store(&wall_error_ms, 0);
    fixture_open(f);
    append_now(f, true);
    store_clock(f->store, true, true);
    assert_int_equal(read_all(f, 0, &b), 3);
    assert_string_equal(b.records[2].extra, "{\"missed\":3}");
    store_batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
        TEST(records_of_an_unknown_time_wait_and_count_as_waiting),
        TEST(a_clock_that_is_set_corrects_what_waits_once),
        TEST(what_was_marked_when_the_clock_had_just_been_set_is_corrected_and_tells_nothing_again),
        TEST(more_than_one_transaction_corrects_is_corrected_in_order),
        TEST(after_the_hold_they_go_out_marked_and_never_change),
        TEST(without_a_link_what_comes_after_the_hold_can_still_be_corrected),
        TEST(a_restart_in_the_same_boot_neither_forgets_nor_begins_to_wait_again),
        TEST(a_restart_with_a_good_clock_corrects_what_was_never_sent),
        TEST(records_of_an_earlier_boot_are_given_out_as_they_are),
        TEST(a_gateway_that_knows_the_time_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
