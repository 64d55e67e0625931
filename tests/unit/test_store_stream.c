/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <sys/wait.h>

/* The byte of the index of the WAL (-shm) on which everybody who uses it has a lock: UNIX_SHM_DMS in SQLite.
 */
#define SQLITE_IN_USE 128

static void beside(const struct fixture *f, const char *tail, char ret[128])
{
    snprintf(ret, 128, "%s%s", f->path, tail);
}

/* A store that is killed in another process: no clean stop. Appends n samples and waits for their commit. */
static void run_and_kill(struct fixture *f, uint64_t n)
{
    pid_t child = fixture_child(f, 0, n, 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The only difference a new stream makes: another id, first number after all others, an event that says why.
 */
static void expect_stream(struct fixture *f, const char *reason, const char *old_stream)
{
    struct store_batch b;
    struct store_status status;
    struct store_news_item news;
    store_batch_init(&b);
    store_status(f->store, &status);
    assert_int_equal(store_news(f->store, &news), reason != NULL);
    if (!reason) {
        assert_string_equal(status.stream, old_stream);
        return;
    }
    assert_string_not_equal(status.stream, old_stream);
    assert_int_equal(news.kind, STORE_NEWS_STREAM);
    assert_string_equal(news.text, reason);
    assert_string_equal(news.stream, status.stream);
    assert_false(store_news(f->store, &news));
    struct store_limits all = {.max_records = 100000, .max_bytes = 10000000};
    uint64_t from = 0;
    int n;
    cJSON *event = NULL;
    while ((n = store_read(f->store, 0, from, UINT64_MAX, &all, &b)) > 0) {
        from = b.records[n - 1].seq + 1;
        if (strcmp(b.stream, status.stream) == 0)
            break;
    }
    assert_string_equal(b.stream, status.stream);
    assert_int_equal(find_events(&b, "stream_opened", reason, &event), 1);
    assert_int_equal(json_int(event, "first", 0), (int64_t)b.records[0].seq);
    assert_memory_equal(b.records[0].body, "{\"event\":\"stream_opened\"", 24);
    cJSON_Delete(event);
    store_batch_fini(&b);
}

static void stream_of(struct fixture *f, char ret[STORE_STREAM_TEXT])
{
    struct store_status status;
    store_status(f->store, &status);
    memcpy(ret, status.stream, STORE_STREAM_TEXT);
}

static void a_kill_does_not_end_the_stream_and_is_told_as_a_restart(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    run_and_kill(f, 10);
    fixture_open(f);
    expect_stream(f, NULL, old);
    assert_int_equal(read_all(f, 0, &b), 14);
    cJSON *event;
    assert_int_equal(find_events(&b, "restarted", NULL, &event), 1);
    assert_int_equal(json_int(event, "last_committed_ts", 0), 9000);
    assert_true(json_int(event, "started_ts", 0) > 1600000000000);
    cJSON_Delete(event);
    store_batch_fini(&b);
}

static void a_restored_backup_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char backup[128], old[STORE_STREAM_TEXT];
    beside(f, ".backup", backup);
    fixture_open(f);
    append_and_wait(f, 5);
    fixture_close(f);
    copy_file(f->path, backup);
    fixture_open(f);
    append_and_wait(f, 20);
    stream_of(f, old);
    fixture_close(f);
    copy_file(backup, f->path); /* into the same inode */
    fixture_open(f);
    expect_stream(f, "restored", old);
    /* Records of the old stream are still delivered under its name. */
    struct store_batch b;
    struct buf json = BUF_INIT;
    store_batch_init(&b);
    assert_int_equal(read_all(f, 0, &b), 7);
    assert_string_equal(b.stream, old);
    assert_int_equal(store_streams_waiting(f->store, 0, &json), 0);
    cJSON *streams = json_parse(json.data, json.len);
    assert_int_equal(cJSON_GetArraySize(streams), 2);
    assert_string_equal(json_string(cJSON_GetArrayItem(streams, 0), "stream", ""), old);
    assert_int_equal(json_int(cJSON_GetArrayItem(streams, 1), "first", 0), 8);
    cJSON_Delete(streams);
    store_delivered(f->store, 0, 1, 7);
    buf_reset(&json);
    assert_int_equal(store_streams_waiting(f->store, 0, &json), 0);
    assert_null(strstr(json.data, old));
    buf_fini(&json);
    store_batch_fini(&b);
}

/* Whoever cuts the WAL in one boot takes back what was sent meanwhile; the index beside it still knows. */
static void a_log_that_lost_its_end_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT], log[128];
    struct stat st;
    beside(f, "-wal", log);
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    run_and_kill(f, 10);
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(truncate(log, st.st_size - 1), 0);
    fixture_open(f);
    expect_stream(f, "log_cut", old);
    stream_of(f, old);
    fixture_reopen(f);
    expect_stream(f, NULL, old);
}

static void a_power_cut_opens_a_new_stream_but_a_clean_stop_before_it_does_not(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    struct store_time time = {.boot_id = "0123456789abcdef0123456789abcdef"};
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    f->options.time = &time;
    fixture_open(f);
    expect_stream(f, NULL, old);
    fixture_close(f);
    f->options.time = NULL;
    run_and_kill(f, 10); /* in the boot of this machine */
    f->options.time = &time;
    fixture_open(f);
    expect_stream(f, "power_cut", old);
    stream_of(f, old);
    fixture_reopen(f);
    expect_stream(f, NULL, old);
}

static void another_machine_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    f->options.machine_id = "machine-two";
    fixture_open(f);
    expect_stream(f, "cloned", old);
    stream_of(f, old);
    fixture_reopen(f);
    expect_stream(f, NULL, old);
}

static void another_file_in_its_place_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT], copy[128];
    beside(f, ".copy", copy);
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    copy_file(f->path, copy);
    assert_int_equal(rename(copy, f->path), 0);
    fixture_open(f);
    expect_stream(f, "replaced", old);
}

static void a_lost_side_file_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT], side[128];
    beside(f, "-stream", side);
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    unlink(side);
    fixture_open(f);
    expect_stream(f, "unproven", old);
    stream_of(f, old);
    fixture_close(f);
    write_garbage(side, 30, 4);
    fixture_open(f);
    expect_stream(f, "unproven", old);
}

static void a_lost_database_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    unlink(f->path);
    fixture_open(f);
    expect_stream(f, "missing", old);
}

static void a_log_that_vanished_after_a_kill_opens_a_new_stream(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT], name[128];
    fixture_open(f);
    stream_of(f, old);
    fixture_close(f);
    run_and_kill(f, 10);
    beside(f, "-wal", name);
    assert_int_equal(unlink(name), 0); /* with it goes even the token of the last open */
    fixture_open(f);
    expect_stream(f, "restored", old);
    stream_of(f, old);
    fixture_close(f);
    run_and_kill(f, 10);
    /* Nothing is lost when somebody else writes the log back, but nothing proves that either. */
    run_sql(f->path, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(count_files(f, "buffer.db-wal"), 0);
    fixture_open(f);
    expect_stream(f, "log_missing", old);
}

static void numbers_that_the_side_file_has_seen_are_never_given_again(void **state)
{
    struct fixture *f = *state;
    char old[STORE_STREAM_TEXT];
    fixture_open(f);
    append_and_wait(f, 10);
    stream_of(f, old);
    fixture_close(f);
    run_sql(f->path, "DELETE FROM record WHERE seq > 8");
    fixture_open(f);
    expect_stream(f, "rolled_back", old);
}

static void expect_untouched(struct fixture *f, const char *says)
{
    struct err_note note = {{0}};
    struct stat st;
    char copy[128];
    beside(f, ".before", copy);
    copy_file(f->path, copy);
    assert_int_equal(store_open(&f->options, &f->store, &note), FG_EFOREIGN);
    assert_non_null(strstr(note.text, says));
    assert_int_equal(stat(f->path, &st), 0);
    char *before = malloc((size_t)st.st_size), *after = malloc((size_t)st.st_size);
    int a = open(copy, O_RDONLY), b = open(f->path, O_RDONLY);
    assert_int_equal(read(a, before, (size_t)st.st_size), st.st_size);
    assert_int_equal(read(b, after, (size_t)st.st_size), st.st_size);
    assert_memory_equal(before, after, (size_t)st.st_size);
    close(a);
    close(b);
    free(before);
    free(after);
    assert_int_equal(count_files(f, "buffer.db-wal"), 0);
    assert_int_equal(count_files(f, "buffer.db-shm"), 0);
    assert_int_equal(count_files(f, "buffer.db-stream"), 0);
}

static void a_foreign_database_is_refused_untouched(void **state)
{
    struct fixture *f = *state;
    run_sql(f->path, "CREATE TABLE theirs(a); INSERT INTO theirs VALUES(1)");
    expect_untouched(f, "another program");
}

static void a_file_that_is_no_database_is_refused_untouched(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "w");
    fputs("dear diary, this is not a database, and it is mine", file);
    fclose(file);
    expect_untouched(f, "not a database");
}

static void a_newer_database_is_refused_untouched(void **state)
{
    struct fixture *f = *state;
    run_sql(f->path, "PRAGMA application_id=1179074900; PRAGMA user_version=2; CREATE TABLE record(x)");
    expect_untouched(f, "newer fieldgate");
}

static void two_daemons_never_share_a_store(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    struct err_note note = {{0}};
    fixture_open(f);
    assert_int_equal(store_open(&f->options, &second, &note), FG_ERETRY);
    assert_non_null(strstr(note.text, "in use"));
    assert_null(second);
}

/* Whoever opens a database whose log nobody seems to use begins its index anew, under the feet of those who
 * do. */
static void a_store_at_work_is_seen_to_be_at_work(void **state)
{
    struct fixture *f = *state;
    char index[128];
    beside(f, "-shm", index);
    fixture_open(f);
    append_and_wait(f, 3);
    fixture_reopen(f);
    append_and_wait(f, 3);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a process is never told of its own locks */
        struct flock use = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SQLITE_IN_USE, .l_len = 1};
        int fd = open(index, O_RDWR);
        _exit(fd >= 0 && fcntl(fd, F_GETLK, &use) == 0 ? use.l_type == F_RDLCK : 7);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {{0}};
    f->options.path = "/tmp/fieldgate-no-such-folder/buffer.db";
    assert_int_equal(store_open(&f->options, &f->store, &note), FG_EIO);
    assert_non_null(strstr(note.text, "/tmp/fieldgate-no-such-folder/"));
    assert_non_null(strstr(note.text, "folder must exist"));
}

static void a_cap_too_small_to_work_with_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err_note note = {{0}};
    f->options.max_bytes = 100000;
    assert_int_equal(store_open(&f->options, &f->store, &note), FG_EINVALID);
    assert_non_null(strstr(note.text, "512KiB"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

static void run_child(char **arguments)
{
    struct fixture *f = fixture_new(arguments[2]);
    fixture_open(f);
    append_and_wait(f, strtoull(arguments[4], NULL, 10));
    _exit(0); /* without store_close(): what a kill leaves behind */
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "child") == 0)
        run_child(argv);
    const struct CMUnitTest tests[] = {
        TEST(a_kill_does_not_end_the_stream_and_is_told_as_a_restart),
        TEST(a_restored_backup_opens_a_new_stream),
        TEST(a_log_that_lost_its_end_opens_a_new_stream),
        TEST(a_power_cut_opens_a_new_stream_but_a_clean_stop_before_it_does_not),
        TEST(another_machine_opens_a_new_stream),
        TEST(another_file_in_its_place_opens_a_new_stream),
        TEST(a_lost_side_file_opens_a_new_stream),
        TEST(a_lost_database_opens_a_new_stream),
        TEST(a_log_that_vanished_after_a_kill_opens_a_new_stream),
        TEST(numbers_that_the_side_file_has_seen_are_never_given_again),
        TEST(a_foreign_database_is_refused_untouched),
        TEST(a_file_that_is_no_database_is_refused_untouched),
        TEST(a_newer_database_is_refused_untouched),
        TEST(two_daemons_never_share_a_store),
        TEST(a_store_at_work_is_seen_to_be_at_work),
        TEST(a_folder_that_is_not_there_is_named),
        TEST(a_cap_too_small_to_work_with_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
