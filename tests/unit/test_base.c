/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts everything stands on: err, clock, pulse, json, log, health. */
#include "unit.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "../../gateway/clock.h"
#include "../../gateway/err.h"
#include "../../gateway/health.h"
#include "../../gateway/json.h"
#include "../../gateway/log.h"
#include "../../gateway/pulse.h"
#include "../../gateway/rate.h"

static void every_error_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = FG_ERANGE; a < 0; a++) {
        assert_string_not_equal(err_text(a), "unknown error");
        for (int b = FG_ERANGE; b < a; b++)
            assert_string_not_equal(err_text(a), err_text(b));
    }
    assert_string_equal(err_text(3), "success");
    assert_string_equal(err_text(-1000), "unknown error");
}

static void a_note_is_cut_to_fit_and_returns_the_error(void **state)
{
    (void)state;
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct err_note note;
    assert_int_equal(err_note(&note, FG_EIO, "%s", longer), FG_EIO);
    assert_int_equal(strlen(note.text), sizeof note.text - 1);
    assert_int_equal(err_note(NULL, FG_EFULL, "nobody listens"), FG_EFULL);
}

static void monotonic_time_never_runs_back_and_sleep_reaches_its_instant(void **state)
{
    (void)state;
    int64_t before = clock_mono_us();
    clock_sleep_until_us(before + 2000);
    int64_t after = clock_mono_us();
    assert_true(after >= before + 2000);
    clock_sleep_until_us(before); /* already past: returns */
    assert_true(clock_mono_ms() >= after / 1000);
}

static void a_clock_somebody_vouches_for_is_trusted(void **state)
{
    (void)state;
    assert_true(clock_trusted(CLOCK_TRUST_ALWAYS));
    assert_true(clock_wall_ms() > 1767225600000);
}

static void the_boot_id_is_hexadecimal_and_stays(void **state)
{
    (void)state;
    char a[33], b[33];
    clock_boot_id(a);
    clock_boot_id(b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
}

static void a_pulse_is_late_only_after_its_promise(void **state)
{
    (void)state;
    struct pulse p = {0};
    assert_false(pulse_late(&p, INT64_MAX)); /* not started */
    pulse_expect(&p, 100);
    int64_t now = clock_mono_ms();
    assert_false(pulse_late(&p, now));
    assert_true(pulse_late(&p, now + 200));
    pulse_end(&p);
    assert_false(pulse_late(&p, INT64_MAX));
}

static void json_members_of_another_type_give_the_default(void **state)
{
    (void)state;
    const char *text = "{\"n\":5,\"s\":\"x\",\"b\":true,\"big\":9223372036854775807}";
    cJSON *j = json_parse(text, strlen(text));
    assert_non_null(j);
    assert_int_equal(json_int(j, "n", -1), 5);
    assert_int_equal(json_int(j, "s", -1), -1);
    assert_int_equal(json_int(j, "big", -1), -1); /* would not be exact */
    assert_string_equal(json_string(j, "s", "-"), "x");
    assert_string_equal(json_string(j, "n", "-"), "-");
    assert_true(json_bool(j, "b", false));
    assert_false(json_bool(j, "missing", false));
    cJSON_Delete(j);
    assert_null(json_parse("{", 1));
}

static void a_rate_is_judged_by_the_last_day(void **state)
{
    (void)state;
    const int64_t minute = 60000, day = 1440 * minute;
    struct rate r = {0};
    int64_t value = 0;
    assert_int_equal(rate_per_day(&r, 0, 0), -1);
    rate_note(&r, 0, 0);
    assert_int_equal(rate_per_day(&r, minute - 1, 9), -1);
    for (int64_t now = 0; now <= 3 * day; now += minute, value += 4) /* fast for three days */
        rate_note(&r, now, value);
    assert_in_range(rate_per_day(&r, 3 * day, value), 5700, 5800);
    for (int64_t now = 3 * day; now <= 5 * day; now += minute, value += 1) /* then slow for two */
        rate_note(&r, now, value);
    assert_in_range(rate_per_day(&r, 5 * day, value), 1430, 1450);
    rate_note(&r, 5 * day + 1, 3); /* it begins anew */
    assert_int_equal(rate_per_day(&r, 5 * day + 1 + minute, 4), 1440);
}

static void what_is_written_to_a_medium_is_counted_and_what_goes_to_a_pipe_is_not(void **state)
{
    (void)state;
    char path[] = "unit-written-XXXXXX", bytes[65536];
    struct statfs fs;
    int ends[2], fd = mkstemp(path); /* beside us, where a file system with a medium is likely */
    int64_t before = health_written_bytes();
    assert_true(fd >= 0 && pipe(ends) == 0);
    unlink(path);
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(write(ends[1], bytes, 4096), 4096);
    int64_t after_pipe = health_written_bytes();
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(fsync(fd), 0);
    if (before >= 0) {
        assert_int_equal(after_pipe, before);
        print_message("%lld bytes written, the kernel counts %lld\n", (long long)sizeof bytes,
                      (long long)(health_written_bytes() - before));
        if (fstatfs(fd, &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC)
            assert_in_range(health_written_bytes() - before, sizeof bytes, 4 * sizeof bytes);
    }
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

static void a_runtime_file_is_replaced_whole_and_readable_by_all(void **state)
{
    (void)state;
    char dir[64], path[128], back[32] = "";
    unit_folder(dir);
    struct buf text = BUF_INIT;
    struct err_note note;
    for (int i = 0; i < 2; i++) {
        buf_reset(&text);
        buf_addf(&text, "version %d", i);
        assert_int_equal(health_write_file(dir, "status.json", &text, &note), 0);
    }
    snprintf(path, sizeof path, "%s/status.json", dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, back, sizeof back - 1), 9);
    close(fd);
    assert_string_equal(back, "version 1");
    assert_int_equal(health_write_file("/nonexistent/folder", "x", &text, &note), FG_EIO);
    assert_non_null(strstr(note.text, "/nonexistent/folder"));
    buf_fini(&text);
    unit_remove_folder(dir);
}

/* What log_line() writes to stderr, caught in a file. */
static void logged(const char *text, char *ret, size_t cap)
{
    char name[] = "/tmp/fieldgate-log-XXXXXX";
    int file = mkstemp(name), old = dup(STDERR_FILENO);
    assert_true(file >= 0 && old >= 0);
    unlink(name);
    dup2(file, STDERR_FILENO);
    log_init(0);
    log_line(LOG_PRI_WARNING, "FG-TEST", "device=%s: %s", "d", text);
    log_line(LOG_PRI_DEBUG, "FG-TEST", "not shown");
    dup2(old, STDERR_FILENO);
    close(old);
    ssize_t n = pread(file, ret, cap - 1, 0);
    close(file);
    assert_true(n >= 0);
    ret[n] = '\0';
}

static void a_log_line_is_one_line_whatever_it_carries(void **state)
{
    (void)state;
    char line[4096], longer[3000];
    logged("two\nlines \x1b[31m", line, sizeof line);
    assert_string_equal(line, "<4>FG-TEST device=d: two lines  [31m\n");
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    logged(longer, line, sizeof line);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_true(strlen(line) < 1152);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_text_of_its_own),
        cmocka_unit_test(a_note_is_cut_to_fit_and_returns_the_error),
        cmocka_unit_test(monotonic_time_never_runs_back_and_sleep_reaches_its_instant),
        cmocka_unit_test(a_clock_somebody_vouches_for_is_trusted),
        cmocka_unit_test(the_boot_id_is_hexadecimal_and_stays),
        cmocka_unit_test(a_pulse_is_late_only_after_its_promise),
        cmocka_unit_test(json_members_of_another_type_give_the_default),
        cmocka_unit_test(a_rate_is_judged_by_the_last_day),
        cmocka_unit_test(what_is_written_to_a_medium_is_counted_and_what_goes_to_a_pipe_is_not),
        cmocka_unit_test(a_runtime_file_is_replaced_whole_and_readable_by_all),
        cmocka_unit_test(a_log_line_is_one_line_whatever_it_carries),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
