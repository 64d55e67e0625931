/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

/* Everything that waits for the first uplink, batch by batch, acknowledged; returns how many samples. */
struct harvest {
    uint64_t samples, told_corrupt;
    char first_stream[STORE_STREAM_TEXT], last_stream[STORE_STREAM_TEXT];
};

static struct harvest harvest(struct fixture *f)
{
    struct harvest h = {0};
    struct store_batch b;
    struct store_limits all = {.max_records = 1000, .max_bytes = 1000000};
    store_batch_init(&b);
    while (store_read(f->store, 0, 0, UINT64_MAX, &all, &b) > 0) {
        if (!h.first_stream[0])
            memcpy(h.first_stream, b.stream, sizeof b.stream);
        memcpy(h.last_stream, b.stream, sizeof b.stream);
        for (size_t i = 0; i < b.count; i++) {
            const struct store_record *r = &b.records[i];
            char expected[40];
            /* A sample's body follows from its time: what was not appended is never delivered. */
            uint64_t n = (uint64_t)r->ts_ms / 1000;
            if (!r->is_event) {
                if (n % 10)
                    snprintf(expected, sizeof expected, "[%" PRIu64 ".%" PRIu64 ",%s]", n / 10, n % 10,
                             n & 1 ? "true" : "false");
                else
                    snprintf(expected, sizeof expected, "[%" PRIu64 ",false]", n / 10);
                assert_string_equal(r->body, expected);
                h.samples++;
                continue;
            }
            cJSON *event = json_parse(r->body, r->body_len);
            if (strcmp(json_string(event, "uplink", ""), "province") == 0 &&
                strcmp(json_string(event, "reason", ""), "corrupt") == 0)
                h.told_corrupt += (uint64_t)json_int(event, "count", 0);
            cJSON_Delete(event);
        }
        store_delivered(f->store, 0, b.records[0].seq, b.records[b.count - 1].seq);
    }
    store_batch_fini(&b);
    return h;
}

static void a_flipped_bit_in_a_value_is_a_loss_and_not_a_reading(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 50);
    fixture_close(f);
    write_garbage(f->path, find_bytes(f->path, "[2.3,true]") + 1, 1);
    fixture_open(f);
    assert_int_equal(harvest(f).samples, 49);
    struct store_uplink_status s = status_of(f, 0);
    assert_int_equal(s.dropped, 1);
    fixture_reopen(f);
    assert_int_equal(harvest(f).told_corrupt, 1);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 0);
}

static void a_record_that_vanished_is_told_as_lost(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 50);
    fixture_close(f);
    run_sql(f->path, "DELETE FROM record WHERE seq BETWEEN 10 AND 14");
    fixture_open(f);
    assert_int_equal(harvest(f).samples, 45);
    assert_int_equal(status_of(f, 0).dropped, 5);
}

/* Told once; returns how many records were lost. */
static uint64_t expect_news(struct fixture *f, uint64_t least)
{
    struct store_news_item news;
    assert_true(store_news(f->store, &news));
    assert_int_equal(news.kind, STORE_NEWS_SALVAGED);
    assert_non_null(strstr(news.text, "buffer.db.damaged-"));
    assert_int_equal(access(news.text, F_OK), 0);
    assert_true(news.records >= least);
    uint64_t lost = news.lost;
    assert_false(store_news(f->store, &news));
    return lost;
}

/* After salvaging: the account is whole, the rest is there, a new stream has begun, the damaged file is kept.
 */
static void expect_salvaged(struct fixture *f, uint64_t appended, uint64_t least)
{
    struct harvest h = harvest(f);
    print_message("%" PRIu64 " of %" PRIu64 " samples saved\n", h.samples, appended);
    assert_true(h.samples >= least && h.samples <= appended);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    struct store_uplink_status s = status_of(f, 0), other = status_of(f, 1);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.dropped, other.dropped);
    assert_int_equal(expect_news(f, least), s.dropped);
    assert_true(s.dropped >= appended - h.samples);
    if (h.samples > 0)
        assert_string_not_equal(h.first_stream, h.last_stream);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream WHERE reason = 'damaged'"), 1);
    append_and_wait(f, 10);
    fixture_reopen(f);
    struct harvest rest = harvest(f);
    assert_int_equal(rest.samples, 10);
    assert_int_equal(rest.told_corrupt, s.dropped);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    struct store_news_item news;
    assert_false(store_news(f->store, &news));
}

static void damaged_pages_cost_their_records_and_no_more(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 8000);
    fixture_close(f);
    write_garbage(f->path, find_bytes(f->path, "[300.1,true]") / PAGE * PAGE, PAGE);
    write_garbage(f->path, find_bytes(f->path, "[500.1,true]") / PAGE * PAGE, 2 * PAGE);
    fixture_open(f);
    expect_salvaged(f, 8000, 8000 - 3 * PAGE / 30);
}

static void a_damaged_first_page_costs_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 3000);
    fixture_close(f);
    write_garbage(f->path, 0, PAGE);
    fixture_open(f);
    expect_salvaged(f, 3000, 3000);
    assert_int_equal(count_files(f, "buffer.db-page1"), 1);
}

static void a_damaged_end_is_accounted_for_and_its_numbers_are_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 3000);
    uint64_t newest = store_newest(f->store);
    fixture_close(f);
    assert_int_equal(stat(f->path, &st), 0);
    write_garbage(f->path, find_bytes(f->path, "[299.9,true]") / PAGE * PAGE, PAGE);
    fixture_open(f);
    struct store_limits all = {.max_records = 100, .max_bytes = 100000};
    assert_true(store_read(f->store, 0, newest + 1, UINT64_MAX, &all, &b) > 0);
    assert_int_equal(find_events(&b, "stream_opened", "damaged", NULL), 1);
    assert_int_equal(b.records[0].seq, newest + 1);
    expect_salvaged(f, 3000, 2800);
    store_batch_fini(&b);
}

static void a_file_of_nothing_but_garbage_is_replaced_and_its_numbers_are_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    fixture_open(f);
    append_and_wait(f, 3000);
    fixture_close(f);
    assert_int_equal(stat(f->path, &st), 0);
    write_garbage(f->path, 0, (size_t)st.st_size);
    fixture_open(f);
    struct store_status s;
    store_status(f->store, &s);
    assert_true(s.newest > 3002); /* numbers that were given are not given again */
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    append_and_wait(f, 10);
    assert_int_equal(harvest(f).samples, 10);
    assert_int_equal(status_of(f, 0).dropped, 3002);
    fixture_reopen(f);
    assert_int_equal(harvest(f).told_corrupt, 3002);
}

static void a_damaged_table_of_uplinks_makes_everything_wait_again(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 100);
    store_delivered(f->store, 0, 1, 50);
    fixture_close(f);
    int64_t page = ask_sql(f->path, "SELECT rootpage FROM sqlite_schema WHERE name = 'uplink'");
    write_garbage(f->path, (off_t)(page - 1) * PAGE, PAGE);
    fixture_open(f);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    assert_int_equal(harvest(f).samples, 100);
    assert_int_equal(status_of(f, 0).dropped, 0);
}

/* A sector that cannot be read: reads of one file that touch its offsets fail with an I/O error. */
static struct {
    sqlite3_vfs vfs, *real;
    sqlite3_io_methods methods;
    const sqlite3_io_methods *real_methods;
    ino_t inode;
    sqlite3_int64 first, last;
} sector;

static int read_around_sector(sqlite3_file *file, void *bytes, int n, sqlite3_int64 offset)
{
    if (offset <= sector.last && offset + n > sector.first)
        return SQLITE_IOERR_READ;
    return sector.real_methods->xRead(file, bytes, n, offset);
}

static int open_with_sector(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct stat st;
    (void)vfs;
    int rc = sector.real->xOpen(sector.real, name, file, flags, ret_flags);
    if (rc == SQLITE_OK && name && stat(name, &st) == 0 && st.st_ino == sector.inode) {
        sector.real_methods = file->pMethods;
        sector.methods = *file->pMethods;
        sector.methods.xRead = read_around_sector;
        file->pMethods = &sector.methods;
    }
    return rc;
}

static void a_sector_that_cannot_be_read_costs_its_records_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    fixture_open(f);
    append_and_wait(f, 8000);
    fixture_close(f);
    assert_int_equal(stat(f->path, &st), 0);
    sector.inode = st.st_ino;
    sector.first = find_bytes(f->path, "[300.1,true]") / PAGE * PAGE;
    sector.last = sector.first + 2 * PAGE - 1;
    sector.real = sqlite3_vfs_find(NULL);
    sector.vfs = *sector.real;
    sector.vfs.zName = "sector";
    sector.vfs.xOpen = open_with_sector;
    assert_int_equal(sqlite3_vfs_register(&sector.vfs, 1), SQLITE_OK);
    fixture_open(f);
    sqlite3_vfs_unregister(&sector.vfs);
    expect_salvaged(f, 8000, 8000 - 2 * PAGE / 25);
}

static void damage_met_while_running_is_repaired_without_a_stop(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    struct store_status s;
    fixture_open(f);
    append_and_wait(f, 5000);
    store_delivered(f->store, 0, 1, 1000);
    store_status(f->store, &s);
    memcpy(old, s.stream, sizeof old);
    /* A tool writes the log back and changes the file, so that no page is left in the store's cache. */
    run_sql(f->path, "UPDATE meta SET value = 0 WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)");
    write_garbage(f->path, find_bytes(f->path, "[499.9,true]") / PAGE * PAGE, PAGE);
    append_and_wait(f, 10);
    store_status(f->store, &s);
    assert_false(s.disk_failing);
    assert_string_not_equal(s.stream, old);
    assert_int_equal(count_files(f, "buffer.db.damaged-"), 1);
    struct store_uplink_status u = status_of(f, 0);
    assert_true(u.dropped > 0 && u.dropped < 300);
    assert_int_equal(expect_news(f, 4700), u.dropped);
    struct harvest h = harvest(f);
    assert_int_equal(h.samples, 5010 - 998 - u.dropped);
    fixture_reopen(f);
    assert_int_equal(harvest(f).told_corrupt, u.dropped);
    store_status(f->store, &s);
    assert_string_not_equal(s.stream, old);
}

/* The damaged file is away, the new one not in its place yet: the power went between. */
static void a_salvage_that_was_interrupted_is_finished_and_told(void **state)
{
    struct fixture *f = *state;
    struct store_news_item news;
    char fresh[128];
    fixture_open(f);
    append_and_wait(f, 50);
    fixture_close(f);
    snprintf(fresh, sizeof fresh, "%s-salvaged", f->path);
    assert_int_equal(rename(f->path, fresh), 0);
    fixture_open(f);
    assert_true(store_news(f->store, &news));
    assert_int_equal(news.kind, STORE_NEWS_SALVAGED);
    assert_string_equal(news.text, "");
    assert_int_equal(news.lost, 0);
    assert_false(store_news(f->store, &news));
    assert_int_equal(harvest(f).samples, 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flipped_bit_in_a_value_is_a_loss_and_not_a_reading),
        TEST(a_record_that_vanished_is_told_as_lost),
        TEST(damaged_pages_cost_their_records_and_no_more),
        TEST(a_damaged_first_page_costs_nothing),
        TEST(a_damaged_end_is_accounted_for_and_its_numbers_are_not_given_again),
        TEST(a_file_of_nothing_but_garbage_is_replaced_and_its_numbers_are_not_given_again),
        TEST(a_damaged_table_of_uplinks_makes_everything_wait_again),
        TEST(a_sector_that_cannot_be_read_costs_its_records_and_no_more),
        TEST(damage_met_while_running_is_repaired_without_a_stop),
        TEST(a_salvage_that_was_interrupted_is_finished_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
