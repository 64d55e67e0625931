/* SPDX-License-Identifier: Apache-2.0 */
#include "../../gateway/heap.h"
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SAMPLES 60000

/* Files cannot grow beyond so many bytes: SQLite meets an I/O error at once, and the small side file fits or
 * not. */
static void refuse(rlim_t most)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void accept_again(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int setup(void **state)
{
    fixture_setup(state);
    ((struct fixture *)*state)->options.memory_after_ms = 20;
    return 0;
}

static int teardown(void **state)
{
    accept_again();
    return fixture_teardown(state);
}

static struct store_status wait_durable(struct fixture *f, bool durable)
{
    struct store_status s;
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do {
        store_status(f->store, &s);
        clock_sleep_until_us(clock_mono_us() + 1000);
    } while (s.durable != durable && clock_mono_ms() < until);
    assert_true(s.durable == durable);
    return s;
}

/* Appends n samples one by one and waits until all of them have numbers in memory. */
static struct store_status append_to_memory(struct fixture *f, uint64_t n)
{
    append_sample(f);
    wait_durable(f, false);
    if (n > 1)
        append_and_wait(f, n - 1);
    struct store_status s;
    store_status(f->store, &s);
    return s;
}

static int read_from(struct fixture *f, size_t uplink, uint64_t from, struct store_batch *b)
{
    struct store_limits limits = {.max_records = 100000, .max_bytes = 100000000};
    int n = store_read(f->store, uplink, from, UINT64_MAX, &limits, b);
    assert_true(n >= 0);
    return n;
}

static void while_the_disk_refuses_records_go_on_from_memory_and_move_over_when_it_works(void **state)
{
    struct fixture *f = *state;
    struct store_status before, failing, after;
    struct store_batch b;
    cJSON *event;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 10);
    store_status(f->store, &before);
    assert_true(before.durable);
    refuse(1);
    failing = append_to_memory(f, 300);
    assert_true(failing.disk_failing);
    assert_non_null(strstr(failing.disk_note.text, f->path));
    assert_null(strstr(failing.disk_note.text, "not an error"));
    assert_string_not_equal(failing.stream, before.stream);
    assert_int_equal(failing.in_memory, failing.newest - before.newest);
    /* What is in the file is still read, acknowledged, and not read again. */
    assert_int_equal(read_from(f, 0, 0, &b), 12);
    assert_true(b.durable);
    assert_string_equal(b.stream, before.stream);
    assert_int_equal(store_delivered(f->store, 0, 1, 12), 0);
    /* What is in memory too, newest first. */
    assert_int_equal(store_delivered(f->store, 0, 200, 250), 0);
    assert_int_equal(read_from(f, 0, 0, &b), 13 + 301 - 13 - 51);
    assert_false(b.durable);
    assert_string_equal(b.stream, failing.stream);
    assert_int_equal(b.records[0].seq, 13);
    assert_int_equal(find_events(&b, "stream_opened", "disk_failing", &event), 1);
    assert_int_equal(json_int(event, "first", 0), 13);
    assert_string_equal(json_string(event, "previous", ""), before.stream);
    cJSON_Delete(event);
    assert_int_equal(status_of(f, 0).dropped, 0);
    accept_again();
    after = wait_durable(f, true);
    assert_false(after.disk_failing);
    assert_int_equal(after.in_memory, 0);
    assert_string_equal(after.stream, failing.stream); /* its numbers stay what they were */
    append_and_wait(f, 1);
    assert_int_equal(read_from(f, 0, 0, &b), 301 - 51 + 2);
    assert_true(b.durable);
    assert_int_equal(find_events(&b, "disk_recovered", NULL, &event), 1);
    assert_int_equal(json_int(event, "first", 0), 13);
    assert_int_equal(json_int(event, "last", 0), 313);
    cJSON_Delete(event);
    for (uint64_t i = 0, seq = 13; i < b.count; i++, seq++) {
        seq = seq == 200 ? 251 : seq;
        assert_int_equal(b.records[i].seq, seq);
    }
    fixture_reopen(f);
    store_status(f->store, &after);
    assert_string_equal(after.stream, failing.stream);
    assert_int_equal(status_of(f, 0).delivered, 12 + 51);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) = max(seq) FROM record"), 1);
    store_batch_fini(&b);
}

static void what_memory_cannot_hold_is_lost_oldest_first_and_told(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t told = 0, told_unnumbered = 0;
    store_batch_init(&b);
    f->options.memory_bytes = 1;
    fixture_open(f);
    append_and_wait(f, 10);
    refuse(1);
    const uint64_t refused = append_to_memory(f, 20000).queue_dropped;
    struct store_uplink_status u = status_of(f, 0);
    assert_true(u.dropped > 1000);
    assert_int_equal(read_from(f, 0, 0, &b), 12);
    accept_again();
    wait_durable(f, true);
    fixture_reopen(f); /* tells all losses */
    assert_int_equal(status_of(f, 0).dropped, u.dropped);
    struct store_status s;
    store_status(f->store, &s);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM record"), s.records);
    for (uint64_t from = 0; read_from(f, 0, from, &b) > 0; from = b.records[b.count - 1].seq + 1)
        for (size_t i = 0; i < b.count; i++) {
            cJSON *event =
                b.records[i].is_event ? json_parse(b.records[i].body, b.records[i].body_len) : NULL;
            /* Also where memory had no room for the event that said it first. */
            if (event && strcmp(json_string(event, "reason", ""), "queue_full") == 0) {
                bool ours = strcmp(json_string(event, "uplink", "province"), "province") == 0;
                told_unnumbered += ours ? (uint64_t)json_int(event, "count", 0) : 0;
            } else if (event && strcmp(json_string(event, "uplink", ""), "province") == 0) {
                assert_true(json_int(event, "from", 0) > 12);
                told += (uint64_t)json_int(event, "count", 0);
            }
            cJSON_Delete(event);
        }
    assert_int_equal(told, u.dropped);
    assert_int_equal(told_unnumbered, refused);
    store_batch_fini(&b);
}

static void a_start_on_a_disk_that_refuses_measures_and_takes_up_the_rest_later(void **state)
{
    struct fixture *f = *state;
    struct store_status before, failing, s;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 100);
    store_delivered(f->store, 0, 1, 50);
    store_status(f->store, &before);
    fixture_close(f);
    refuse(1);
    fixture_open(f);
    s = failing = append_to_memory(f, 50);
    assert_true(s.disk_failing);
    assert_true(s.newest > before.newest + 51);
    assert_int_equal(read_from(f, 0, 0, &b), 52);
    assert_false(b.durable);
    assert_string_equal(b.stream, s.stream);
    assert_int_equal(find_events(&b, "stream_opened", "disk_failing", NULL), 1);
    assert_int_equal(find_events(&b, "started", NULL, NULL), 1);
    assert_int_equal(store_delivered(f->store, 0, b.records[0].seq, b.records[9].seq), 0);
    struct buf text = BUF_INIT;
    assert_int_equal(store_layout(f->store, b.layout, &text), 0);
    assert_string_equal(text.data, LAYOUT);
    buf_fini(&text);
    accept_again();
    wait_durable(f, true);
    /* The account is that of both, and what waited on the disk comes first. */
    struct store_uplink_status u = status_of(f, 0);
    assert_int_equal(u.dropped, 0);
    assert_int_equal(u.delivered, 60);
    assert_int_equal(u.waiting, 52 + 42 + (u.accepted - 102 - 52));
    assert_int_equal(read_from(f, 0, 0, &b), 52);
    assert_int_equal(b.records[0].seq, 51);
    assert_string_equal(b.stream, before.stream);
    assert_true(b.durable);
    fixture_reopen(f);
    store_status(f->store, &s);
    assert_string_equal(s.stream, failing.stream);
    assert_int_equal(status_of(f, 0).delivered, 60);
    assert_int_equal(status_of(f, 0).dropped, 0);
    assert_int_equal(read_from(f, 0, 103, &b) > 42, 1);
    assert_int_equal(find_events(&b, "disk_recovered", NULL, NULL), 1);
    store_batch_fini(&b);
}

static void the_very_first_start_may_be_on_a_disk_that_refuses(void **state)
{
    struct fixture *f = *state;
    struct store_status s;
    refuse(1);
    fixture_open(f);
    s = append_to_memory(f, 50);
    assert_int_equal(s.newest, 52);
    accept_again();
    wait_durable(f, true);
    fixture_reopen(f);
    assert_int_equal(status_of(f, 0).dropped, 0);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) = max(seq) AND min(seq) = 1 FROM record"), 1);
}

static void a_place_that_was_never_right_is_an_error_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {{0}};
    struct store *s = NULL;
    f->options.path = f->folder;
    assert_int_not_equal(store_open(&f->options, &s, &note), 0);
    assert_null(s);
}

static void closing_on_a_disk_that_refuses_counts_what_is_lost(void **state)
{
    struct fixture *f = *state;
    struct store_lost lost;
    struct store_status before, after;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 10);
    refuse(4096);
    before = append_to_memory(f, 100);
    store_delivered(f->store, 0, 13, before.newest);
    store_delivered(f->store, 1, 13, 22);
    assert_int_equal(store_close(f->store, &lost), FG_EIO);
    f->store = NULL;
    assert_int_equal(lost.records, 101);
    assert_int_equal(lost.undelivered, 91);
    accept_again();
    fixture_open(f);
    store_status(f->store, &after);
    assert_string_not_equal(after.stream, before.stream);
    read_from(f, 0, 13, &b);
    assert_int_equal(find_events(&b, "stream_opened", "memory_lost", NULL), 1);
    assert_int_equal(find_events(&b, "restarted", NULL, NULL), 1);
    store_batch_fini(&b);
}

/* Acknowledged numbers of memory's stream must not be given to other records by whoever comes after a kill.
 */
static void a_kill_while_in_memory_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    struct store_status s;
    struct store_batch b;
    int end = 0;
    store_batch_init(&b);
    assert_int_equal(waitpid(fixture_child(f, 0, 0, 0), &end, 0) > 0, 1);
    assert_int_equal(end, 0);
    fixture_open(f);
    store_status(f->store, &s);
    assert_true(s.durable);
    assert_int_equal(read_all(f, 0, &b), 12);
    assert_int_equal(read_from(f, 0, 13, &b), 2);
    assert_int_equal(find_events(&b, "stream_opened", "memory_lost", NULL), 1);
    assert_int_equal(find_events(&b, "restarted", NULL, NULL), 1);
    store_batch_fini(&b);
}

/* The child of that. */
static void run_child(const char *folder)
{
    struct fixture *f = fixture_new(folder);
    f->options.memory_after_ms = 20;
    fixture_open(f);
    append_and_wait(f, 10);
    refuse(4096);
    append_to_memory(f, 100);
    _exit(0);
}

static void spoil(struct fixture *f)
{
    struct stat st;
    run_sql(f->path, "UPDATE meta SET value = 0 WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(stat(f->path, &st), 0);
    write_garbage(f->path,
                  ask_sql(f->path, "SELECT max(pageno) - 1 FROM dbstat WHERE name = 'record' AND pagetype = "
                                   "'leaf' AND path = (SELECT max(path) FROM dbstat WHERE name = 'record')") *
                      2048,
                  2048);
}

/* After the disk works again: what the damage took is told, the rest is there, and nothing of memory was
 * lost. */
static void expect_mended(struct fixture *f, uint64_t in_memory)
{
    struct store_batch b;
    uint64_t samples = 0;
    store_batch_init(&b);
    wait_durable(f, true);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    fixture_reopen(f); /* tells all losses */
    struct store_uplink_status u = status_of(f, 0);
    assert_true(u.dropped > 0 && u.dropped < 400);
    for (uint64_t from = 0; read_from(f, 0, from, &b) > 0; from = b.records[b.count - 1].seq + 1)
        for (size_t i = 0; i < b.count; i++)
            samples += !b.records[i].is_event;
    assert_int_equal(samples, 5000 + in_memory - u.dropped);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream WHERE reason = 'disk_failing'"), 1);
    store_batch_fini(&b);
}

static void a_file_that_is_damaged_too_is_mended_once_the_disk_works(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 5000);
    spoil(f);
    refuse(1);
    append_to_memory(f, 50);
    accept_again();
    expect_mended(f, 50);
}

static void so_is_one_that_was_found_so_at_the_start(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 5000);
    fixture_close(f);
    spoil(f);
    refuse(1);
    fixture_open(f);
    append_to_memory(f, 50);
    accept_again();
    expect_mended(f, 50);
}

/* What is held for its time is corrected in memory as it is in a file. */
static void records_of_an_unknown_time_are_held_and_corrected_in_memory_too(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t first, last, count;
    store_batch_init(&b);
    f->options.hold_untrusted = true;
    f->options.hold_ms = 3600 * 1000;
    refuse(1);
    fixture_open(f);
    for (int i = 0; i < 5; i++) {
        struct reading reading = {.quality = QUALITY_GOOD, .value = {.kind = VALUE_NUMBER}};
        struct sample sample = {
            .wall_ms = 1000, .mono_ms = clock_mono_ms(), .count = 1, .readings = &reading};
        assert_int_equal(store_append(f->store, &sample), 0);
    }
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    while (status_of(f, 0).waiting < 7 && clock_mono_ms() < until)
        clock_sleep_until_us(clock_mono_us() + 1000);
    assert_false(store_waiting(f->store, 0, &first, &last, &count));
    store_clock(f->store, true, true);
    wait_newest(f, 8); /* clock_set */
    assert_int_equal(read_all(f, 0, &b), 8);
    assert_non_null(strstr(b.records[3].extra, "corrected"));
    assert_true(b.records[3].ts_ms > 1000000);
    accept_again();
    wait_durable(f, true);
    assert_int_equal(read_all(f, 0, &b) >= 8, 1);
    assert_true(b.records[3].ts_ms > 1000000);
    store_batch_fini(&b);
}

/* Of each sample: which key it came under. */
struct seen {
    char stream[STORE_STREAM_TEXT];
    uint64_t seq;
};

static void take(struct fixture *f, size_t uplink, uint64_t from, struct seen *seen, uint64_t *ret_last)
{
    struct store_batch b;
    struct store_limits limits = {.max_records = 50, .max_bytes = 100000};
    store_batch_init(&b);
    int n = store_read(f->store, uplink, from, UINT64_MAX, &limits, &b);
    assert_true(n >= 0);
    for (size_t i = 0; i < b.count; i++) {
        if (b.records[i].is_event)
            continue;
        uint64_t number = (uint64_t)b.records[i].ts_ms / 1000;
        assert_true(number < SAMPLES);
        if (seen[number].seq) {
            assert_string_equal(seen[number].stream, b.stream);
            assert_int_equal(seen[number].seq, b.records[i].seq);
        }
        memcpy(seen[number].stream, b.stream, sizeof b.stream);
        seen[number].seq = b.records[i].seq;
    }
    if (n > 0) {
        assert_int_equal(store_delivered(f->store, uplink, b.records[0].seq, b.records[b.count - 1].seq), 0);
        *ret_last = b.records[b.count - 1].seq;
    }
    store_batch_fini(&b);
}

/* Disk failing and recovering at any moment, starts and stops in between: each sample comes under one key,
 * and only what a stop counted as lost never comes. */
static void at_whatever_moment_the_disk_fails_every_sample_keeps_its_key_and_is_accounted_for(void **state)
{
    struct fixture *f = *state;
    static struct seen seen[2][SAMPLES];
    const char *given = getenv("FG_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)(clock_wall_ms() & 0xffffffff);
    uint64_t lost = 0, last = 0, missing = 0;
    unsigned episodes = 0;
    printf("FG_SEED=%u\n", seed);
    memset(seen, 0, sizeof seen);
    f->options.memory_after_ms = 1;
    f->options.max_bytes = 4 * 1024 * 1024;
    fixture_open(f);
    for (int step = 0; step < 300; step++) {
        unsigned dice = (unsigned)rand_r(&seed) % 100;
        if (dice < 40) {
            for (int i = rand_r(&seed) % 60; i > 0; i--)
                append_sample(f);
        } else if (dice < 70) {
            size_t uplink = dice % 2;
            uint64_t newest = store_newest(f->store);
            take(f, uplink, dice % 3 || newest < 40 ? 0 : newest - 20, seen[uplink], &last);
        } else if (dice < 78) {
            refuse((rlim_t)(rand_r(&seed) % 3 == 0 ? 1 : 4096 + rand_r(&seed) % 200000));
            episodes++;
        } else if (dice < 90) {
            accept_again();
        } else if (dice < 93) {
            struct store_lost now = {0};
            store_close(f->store, &now);
            lost += now.records;
            fixture_open(f);
        } else {
            clock_sleep_until_us(clock_mono_us() + rand_r(&seed) % 20000);
        }
    }
    accept_again();
    wait_durable(f, true);
    fixture_reopen(f);
    for (size_t uplink = 0; uplink < 2; uplink++) {
        uint64_t first, end, count;
        while (store_waiting(f->store, uplink, &first, &end, &count))
            take(f, uplink, 0, seen[uplink], &last);
        assert_int_equal(status_of(f, uplink).dropped, 0);
        missing = 0;
        for (uint64_t i = 0; i < f->appended; i++)
            missing += seen[uplink][i].seq == 0;
        assert_true(missing <= lost);
    }
    printf("%" PRIu64 " samples, %u episodes, %" PRIu64 " records told as lost by stops, %" PRIu64
           " samples missing\n",
           f->appended, episodes, lost, missing);
    for (uint64_t i = 0; i < f->appended; i++)
        if (seen[0][i].seq && seen[1][i].seq) {
            assert_int_equal(seen[0][i].seq, seen[1][i].seq);
            assert_string_equal(seen[0][i].stream, seen[1][i].stream);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A sanitizer's allocator keeps what was freed. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void the_memory_that_records_took_is_given_back_when_the_disk_works_again(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 5000);
    long before = unit_anonymous_kb();
    refuse(1);
    append_to_memory(f, SAMPLES);
    append_to_memory(f, SAMPLES); /* beyond what ordinary work takes, which is there and stays */
    long most = unit_anonymous_kb();
    accept_again();
    wait_durable(f, true);
    append_and_wait(f, 1000);
    assert_true(most > before + 1024);
    assert_true(unit_anonymous_kb() < before + (most - before) / 3);
}
#endif

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "child") == 0)
        run_child(argv[2]);
    heap_begin();
    const struct CMUnitTest tests[] = {
/* First: what other tests have freed would hide what it takes. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        TEST(the_memory_that_records_took_is_given_back_when_the_disk_works_again),
#endif
        TEST(while_the_disk_refuses_records_go_on_from_memory_and_move_over_when_it_works),
        TEST(what_memory_cannot_hold_is_lost_oldest_first_and_told),
        TEST(a_start_on_a_disk_that_refuses_measures_and_takes_up_the_rest_later),
        TEST(the_very_first_start_may_be_on_a_disk_that_refuses),
        TEST(a_place_that_was_never_right_is_an_error_at_the_start),
        TEST(closing_on_a_disk_that_refuses_counts_what_is_lost),
        TEST(a_kill_while_in_memory_opens_a_new_stream),
        TEST(records_of_an_unknown_time_are_held_and_corrected_in_memory_too),
        TEST(a_file_that_is_damaged_too_is_mended_once_the_disk_works),
        TEST(so_is_one_that_was_found_so_at_the_start),
        TEST(at_whatever_moment_the_disk_fails_every_sample_keeps_its_key_and_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
