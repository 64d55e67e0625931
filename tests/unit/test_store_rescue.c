/* SPDX-License-Identifier: Apache-2.0 */
/* A large damaged database is saved beside the work: here every database is large. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

static int setup(void **state)
{
    fixture_setup(state);
    ((struct fixture *)*state)->options.salvage_at_once_bytes = 1;
    ((struct fixture *)*state)->options.memory_after_ms = 200;
    return 0;
}

static struct store_status wait_durable(struct fixture *f)
{
    struct store_status s;
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do {
        clock_sleep_until_us(clock_mono_us() + 1000);
        store_status(f->store, &s);
    } while (!s.durable && clock_mono_ms() < until);
    assert_true(s.durable);
    return s;
}

/* All samples that wait for an uplink, and how many are told as lost to it; acknowledged. */
static uint64_t take(struct fixture *f, size_t uplink, uint64_t *told_corrupt)
{
    struct store_limits all = {.max_records = 1000, .max_bytes = 1000000};
    struct store_batch b;
    uint64_t samples = 0;
    int n;
    store_batch_init(&b);
    while ((n = store_read(f->store, uplink, 0, UINT64_MAX, &all, &b)) > 0) {
        for (int i = 0; i < n; i++) {
            cJSON *event =
                b.records[i].is_event ? json_parse(b.records[i].body, b.records[i].body_len) : NULL;
            samples += !event;
            if (event && strcmp(json_string(event, "uplink", ""), f->uplinks[uplink].name) == 0 &&
                strcmp(json_string(event, "reason", ""), "corrupt") == 0)
                *told_corrupt += (uint64_t)json_int(event, "count", 0);
            cJSON_Delete(event);
        }
        store_delivered(f->store, uplink, b.records[0].seq, b.records[n - 1].seq);
    }
    assert_int_equal(n, 0);
    store_batch_fini(&b);
    return samples;
}

static void expect_all(struct fixture *f, uint64_t samples, uint64_t most_lost)
{
    uint64_t told = 0, given[2];
    for (size_t u = 0; u < 2; u++) {
        given[u] = take(f, u, &told);
        struct store_uplink_status s = status_of(f, u);
        assert_int_equal(s.waiting, 0);
        assert_int_equal(s.accepted, s.delivered + s.dropped);
        assert_true(s.dropped <= most_lost);
        assert_true(given[u] <= samples && given[u] + s.dropped >= samples);
    }
    uint64_t dropped = status_of(f, 0).dropped;
    fixture_reopen(f);
    take(f, 0, &told);
    take(f, 1, &told);
    assert_int_equal(told, 2 * dropped);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    assert_int_equal(count_files(f, "buffer.db-salvaged"), 0);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream WHERE reason = 'damaged'"), 1);
}

static void damage(struct fixture *f)
{
    fixture_open(f);
    append_and_wait(f, 8000);
    fixture_close(f);
    write_garbage(f->path, find_bytes(f->path, "[300.1,true]") / PAGE * PAGE, PAGE);
}

static void at_the_start_records_go_on_in_memory_until_the_damaged_file_is_saved(void **state)
{
    struct fixture *f = *state;
    struct store_status s;
    cJSON *event;
    struct store_batch b;
    struct store_limits all = {.max_records = 1000, .max_bytes = 1000000};
    damage(f);
    fixture_open(f);
    /* The first look at the file comes 100 ms later at the earliest. */
    store_status(f->store, &s);
    assert_false(s.durable);
    assert_true(s.disk_failing);
    assert_non_null(strstr(s.disk_note.text, "damaged"));
    append_and_wait(f, 10);
    wait_durable(f);
    append_and_wait(f, 1);
    store_batch_init(&b);
    assert_true(store_read(f->store, 1, s.newest, UINT64_MAX, &all, &b) > 0);
    assert_int_equal(find_events(&b, "disk_recovered", NULL, &event), 1);
    assert_int_equal(strncmp(json_string(event, "kept_as", ""), "buffer.db.damaged-", 18), 0);
    cJSON_Delete(event);
    store_batch_fini(&b);
    expect_all(f, 8011, 2 * PAGE / 25);
}

static void while_running_records_go_on_in_memory_until_the_damaged_file_is_saved(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 5000);
    /* A tool writes the log back and changes the file, so that no page is left in the store's cache. */
    run_sql(f->path, "UPDATE meta SET value = 0 WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)");
    write_garbage(f->path, find_bytes(f->path, "[499.9,true]") / PAGE * PAGE, PAGE);
    append_and_wait(f, 10);
    wait_durable(f);
    append_and_wait(f, 10);
    expect_all(f, 5020, 2 * PAGE / 10);
}

static void a_stop_meanwhile_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_lost lost = {0};
    damage(f);
    fixture_open(f);
    append_and_wait(f, 10);
    assert_int_equal(store_close(f->store, &lost), 0);
    f->store = NULL;
    assert_int_equal(lost.records, 0);
    fixture_open(f);
    expect_all(f, 8010, 2 * PAGE / 25);
}

/* Where the stop cannot wait any longer: the damaged file is still there, and the next start begins again. */
static void a_kill_meanwhile_costs_only_what_was_in_memory(void **state)
{
    struct fixture *f = *state;
    damage(f);
    int status;
    pid_t pid = fixture_child(f, 1, 0, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    fixture_open(f);
    wait_durable(f);
    append_and_wait(f, 10);
    expect_all(f, 8010, 2 * PAGE / 25);
}

static int child(const char *folder)
{
    struct fixture *f = fixture_new(folder);
    f->options.salvage_at_once_bytes = 1;
    f->options.memory_after_ms = 20000;
    fixture_open(f);
    append_and_wait(f, 3);
    raise(SIGKILL);
    return 1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "child") == 0)
        return child(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(at_the_start_records_go_on_in_memory_until_the_damaged_file_is_saved),
        TEST(while_running_records_go_on_in_memory_until_the_damaged_file_is_saved),
        TEST(a_stop_meanwhile_loses_nothing),
        TEST(a_kill_meanwhile_costs_only_what_was_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
