/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../gateway/cmd.h"
#include "../../gateway/cmd_export_format.h"
#include "../../gateway/cmd_export_time.h"
#include "../../gateway/layout.h"
#include "../../gateway/store_export.h"

/* ---- times ---- */

#define NOW INT64_C(1795230245123) /* 2026-11-21T03:04:05.123Z */

static int64_t time_of(const char *text, bool end)
{
    int64_t ms;
    if (cmd_export_time_parse(text, NOW, end, &ms) != 0)
        fail_msg("\"%s\" was refused", text);
    return ms;
}

static void in_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void a_time_with_a_zone_means_the_same_everywhere(void **state)
{
    (void)state;
    in_zone("Asia/Ho_Chi_Minh");
    assert_int_equal(time_of("2026-11-21T03:04:05.123Z", false), NOW);
    assert_int_equal(time_of("2026-11-21t10:04:05.123+07:00", false), NOW);
    assert_int_equal(time_of("2026-11-20 22:34:05.1239-04:30", false), NOW);
    assert_int_equal(time_of("2026-11-21T03:04:05Z", true), NOW - 123);
    assert_int_equal(time_of("1970-01-01T00:00:00Z", false), 0);
    assert_int_equal(time_of("2028-02-29T00:00:00Z", false), INT64_C(1835395200000));
}

static void a_time_without_a_zone_is_that_of_this_box(void **state)
{
    (void)state;
    in_zone("<+07>-7");
    assert_int_equal(time_of("2026-11-21 10:04", false), NOW - 5123);
    assert_int_equal(time_of("2026-11-21T10:04:05", true), NOW - 123);
    in_zone("UTC");
    assert_int_equal(time_of("2026-11-21 03:04", false), NOW - 5123);
}

static void a_day_alone_is_its_beginning_and_as_an_end_includes_the_day(void **state)
{
    (void)state;
    in_zone("<+07>-7");
    assert_int_equal(time_of("2026-11-21", false), time_of("2026-11-20T17:00:00Z", false));
    assert_int_equal(time_of("2026-11-21", true), time_of("2026-11-21T17:00:00Z", false));
    assert_int_equal(time_of("2026-12-31", true), time_of("2027-01-01", false));
    /* The day on which these clocks go forward has 23 hours. */
    in_zone("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_equal(time_of("2026-03-29", true) - time_of("2026-03-29", false), 23 * 3600 * 1000);
}

static void so_long_ago_is_counted_from_now(void **state)
{
    (void)state;
    assert_int_equal(time_of("now", false), NOW);
    assert_int_equal(time_of("90s", false), NOW - 90 * 1000);
    assert_int_equal(time_of("30min", true), NOW - 30 * 60 * 1000);
    assert_int_equal(time_of("24h", false), NOW - 24 * 3600 * 1000);
    assert_int_equal(time_of("7d", false), NOW - INT64_C(7) * 24 * 3600 * 1000);
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "24",
                                        "24 h",
                                        "-1h",
                                        "1w",
                                        "h",
                                        "99999999999h",
                                        "2026",
                                        "2026-11",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-11-31",
                                        "2026-1-1",
                                        "2026-11-21T",
                                        "2026-11-21 7:00",
                                        "2026-11-21 24:00",
                                        "2026-11-21 07:60",
                                        "2026-11-21 07:00x",
                                        "2026-11-21T07:00:00.Z",
                                        "2026-11-21T07:00:00+7",
                                        "2026-11-21Z",
                                        "2026-11-21T07:00:00ZZ",
                                        "21/11/2026"};
    int64_t ms = 42;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (cmd_export_time_parse(texts[i], NOW, false, &ms) != FG_EINVALID)
            fail_msg("\"%s\" was taken for %" PRId64, texts[i], ms);
    assert_int_equal(ms, 42);
}

static void times_are_written_in_utc_with_milliseconds(void **state)
{
    char text[CMD_EXPORT_TIME_TEXT];
    (void)state;
    in_zone("Asia/Ho_Chi_Minh");
    cmd_export_time_format(NOW, text);
    assert_string_equal(text, "2026-11-21T03:04:05.123Z");
    cmd_export_time_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    cmd_export_time_format(INT64_MAX, text);
    assert_string_equal(text, "");
    cmd_export_time_format(INT64_MIN, text);
    assert_string_equal(text, "");
}

/* ---- lines ---- */

#define POINTS                                                                                               \
    "{\"models\":{\"m\":{\"points\":[{\"name\":\"a\",\"type\":\"number\",\"unit\":\"%\"},{\"name\":\"b\"},"  \
    "{\"name\":\"c\",\"unit\":\"a,\\\"b\\\"\"},{\"name\":\"d\"},{\"name\":\"e\"}]}},"                        \
    "\"devices\":[{\"name\":\"soil-a1\",\"model\":\"m\"}]}"

static struct store_export_record record_of(const char *body, const char *extra)
{
    return (struct store_export_record){.seq = 12,
                                        .ts_ms = NOW,
                                        .layout = 3,
                                        .is_event = body[0] == '{',
                                        .stream = "9c1f0a52e0b14c7d",
                                        .body = body,
                                        .body_len = strlen(body),
                                        .extra = extra,
                                        .extra_len = strlen(extra)};
}

static void expect_lines(enum cmd_export_format format, const struct store_export_record *r, bool known,
                         const char *expected)
{
    struct layout *layout = NULL;
    struct buf out = BUF_INIT;
    if (known)
        assert_int_equal(layout_parse(POINTS, strlen(POINTS), &layout), 0);
    size_t lines = cmd_export_format_record(format, layout, r, &out), found = 0;
    assert_true(buf_ok(&out));
    for (const char *p = out.data; p && *p; p++)
        found += *p == '\n';
    assert_int_equal(lines, found);
    assert_string_equal(out.data ? out.data : "", expected);
    buf_fini(&out);
    layout_free(layout);
}

#define CSV_HEAD(clock) "9c1f0a52e0b14c7d,12,2026-11-21T03:04:05.123Z,1795230245123," clock ",3,"
#define JSON_HEAD(clock)                                                                                     \
    "{\"stream\":\"9c1f0a52e0b14c7d\",\"seq\":12,\"time\":\"2026-11-21T03:04:05.123Z\",\"ts\":"              \
    "1795230245123,"                                                                                         \
    "\"clock\":\"" clock "\",\"layout\":3,"

static void every_kind_of_reading_has_its_line_of_csv(void **state)
{
    struct store_export_record r = record_of("[23.40,true,\"bad_crc\",[\"out_of_range\",6553.5],null]",
                                             "{\"missed\":2,\"clock\":\"corrected\"}");
    (void)state;
    expect_lines(
        CMD_EXPORT_CSV, &r, true,
        CSV_HEAD("corrected") "soil-a1,a,23.40,%,good,,2,\r\n" CSV_HEAD(
            "corrected") "soil-a1,b,true,,good,,,\r\n" CSV_HEAD("corrected") "soil-a1,c,,\"a,\"\"b\"\"\",bad_"
                                                                             "crc,,,\r\n" CSV_HEAD("correcte"
                                                                                                   "d") "soil"
                                                                                                        "-a1,"
                                                                                                        "d,,,"
                                                                                                        "out_"
                                                                                                        "of_"
                                                                                                        "rang"
                                                                                                        "e,"
                                                                                                        "6553"
                                                                                                        ".5,,"
                                                                                                        "\r"
                                                                                                        "\n");
}

static void every_kind_of_reading_has_its_line_of_json(void **state)
{
    struct store_export_record r =
        record_of("[18446744073709551615,true,\"bad_crc\",[\"out_of_range\",6553.5],null]",
                  "{\"missed\":2,\"clock\":\"untrusted\",\"boot\":\"00\",\"up_ms\":1}");
    (void)state;
    expect_lines(
        CMD_EXPORT_JSONL, &r, true,
        JSON_HEAD(
            "untrusted") "\"device\":\"soil-a1\",\"point\":\"a\",\"value\":18446744073709551615,"
                         "\"unit\":\"%\",\"quality\":\"good\",\"missed\":2}\n" JSON_HEAD(
                             "untrusted") "\"device\":\"soil-a1\",\"point\":\"b\",\"value\":true,\"quality\":"
                                          "\"good\"}\n" JSON_HEAD("untrusted") "\"device\":\"soil-a1\","
                                                                               "\"point\":\"c\",\"value\":"
                                                                               "null,"
                                                                               "\"unit\":\"a,\\\"b\\\"\","
                                                                               "\"quality\":\"bad_crc\"}"
                                                                               "\n" JSON_HEAD(
                                                                                   "untrusted") "\"device\":"
                                                                                                "\"soil-a1\","
                                                                                                "\"point\":"
                                                                                                "\"d\","
                                                                                                "\"value\":"
                                                                                                "null,"
                                                                                                "\"quality\":"
                                                                                                "\"out_of_"
                                                                                                "range\","
                                                                                                "\"doubtful\""
                                                                                                ":6553.5}\n");
}

static void an_event_is_a_line_of_its_own(void **state)
{
    struct store_export_record r = record_of("{\"event\":\"started\",\"software\":\"0.1, \\\"x\\\"\"}", "");
    (void)state;
    expect_lines(CMD_EXPORT_CSV, &r, true,
                 CSV_HEAD("trusted") ",,,,,,,\"{\"\"event\"\":\"\"started\"\",\"\"software\"\":\"\"0.1, "
                                     "\\\"\"x\\\"\"\"\"}\"\r\n");
    expect_lines(CMD_EXPORT_JSONL, &r, true,
                 JSON_HEAD("trusted") "\"event\":{\"event\":\"started\",\"software\":\"0.1, \\\"x\\\"\"}}\n");
}

static void a_poll_that_failed_says_so_for_every_point(void **state)
{
    struct store_export_record r = record_of("\"no_reply\"", "{\"missed\":1}");
    (void)state;
    expect_lines(
        CMD_EXPORT_CSV, &r, true,
        CSV_HEAD("trusted") "soil-a1,a,,%,no_reply,,1,\r\n" CSV_HEAD(
            "trusted") "soil-a1,b,,,no_"
                       "reply,,,"
                       "\r\n" CSV_HEAD(
                           "tru"
                           "ste"
                           "d") "soil-a1,c,,\"a,\"\"b\"\"\",no_reply,,,\r\n" CSV_HEAD("trusted") "soil"
                                                                                                 "-a1,"
                                                                                                 "d,,,"
                                                                                                 "no_"
                                                                                                 "repl"
                                                                                                 "y,,,"
                                                                                                 "\r"
                                                                                                 "\n" CSV_HEAD(
                                                                                                     "truste"
                                                                                                     "d") "so"
                                                                                                          "il"
                                                                                                          "-a"
                                                                                                          "1,"
                                                                                                          "e,"
                                                                                                          ",,"
                                                                                                          "no"
                                                                                                          "_r"
                                                                                                          "ep"
                                                                                                          "ly"
                                                                                                          ",,"
                                                                                                          ","
                                                                                                          "\r"
                                                                                                          "\n");
}

static void a_lost_layout_takes_the_names_not_the_numbers(void **state)
{
    struct store_export_record r = record_of("[1,2]", ""), failed = record_of("\"no_reply\"", "");
    (void)state;
    expect_lines(CMD_EXPORT_CSV, &r, false,
                 CSV_HEAD("trusted") "unknown-0,unknown-0,1,,good,,,\r\n" CSV_HEAD(
                     "trusted") "unknown-0,unknown-1,2,,good,,,\r\n");
    expect_lines(CMD_EXPORT_CSV, &failed, false, CSV_HEAD("trusted") "unknown-0,,,,no_reply,,,\r\n");
}

#define CSV_LINE(rest) CSV_HEAD("trusted") "soil-a1," rest "\r\n"

static void every_statistic_has_a_line_of_its_own(void **state)
{
    struct store_export_record r =
        record_of("[{\"min\":1.5,\"mean\":2,\"max\":3,\"n\":29,\"bad\":1},true]", "{\"span_ms\":300000}");
    static const char lines[] =
        CSV_LINE("a.min,1.5,%,good,,,") CSV_LINE("a.mean,2,%,good,,,") CSV_LINE("a.max,3,%,good,,,")
            CSV_LINE("a.n,29,,good,,,") CSV_LINE("a.bad,1,,good,,,") CSV_LINE("b,true,,good,,,");
    (void)state;
    expect_lines(CMD_EXPORT_CSV, &r, true, lines);
}

static void what_nobody_understands_is_a_config_error(void **state)
{
    struct store_export_record object = record_of("[{\"x\":1}]", ""),
                               broken = record_of("\"no reply, <>\"", "");
    (void)state;
    expect_lines(CMD_EXPORT_CSV, &object, true, CSV_HEAD("trusted") "soil-a1,a,,%,config_error,,,\r\n");
    expect_lines(CMD_EXPORT_CSV, &broken, false, CSV_HEAD("trusted") "unknown-0,,,,config_error,,,\r\n");
}

/* ---- the command on a real store ---- */

/* Runs `fieldgate export --database ...` with up to six more words; what it says is dropped. */
static int run_export(struct fixture *f, const char *const *words, size_t count)
{
    char *argv[12] = {"export", "--database", f->path, NULL};
    int argc = 3;
    for (size_t i = 0; i < count; i++)
        argv[argc++] = (char *)words[i];
    int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)}, null = open("/dev/null", O_WRONLY);
    fflush(NULL);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    int code = cmd_export(argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i == 0 ? STDOUT_FILENO : STDERR_FILENO);
        close(saved[i]);
    }
    close(null);
    return code;
}

#define EXPORT(f, ...)                                                                                       \
    run_export(f, (const char *const[]){__VA_ARGS__}, sizeof(const char *[]){__VA_ARGS__} / sizeof(char *))

static char *slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    close(fd);
    return text;
}

static void output_of(const struct fixture *f, char ret[128])
{
    snprintf(ret, 128, "%s/export", f->folder);
}

/* Samples i of store_fixture.h in a JSONL export, from `first` on without a hole; returns the number after.
 */
static uint64_t check_samples(const char *text, uint64_t first, size_t *ret_lines)
{
    uint64_t next = first;
    *ret_lines = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1, ++*ret_lines) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        cJSON *row = json_parse(line, (size_t)(end - line));
        assert_non_null(row);
        const char *point = json_string(row, "point", "");
        if (strcmp(point, "a") == 0) {
            char value[40];
            snprintf(value, sizeof value, "\"value\":%" PRIu64 "%s%s,", next / 10, next % 10 ? "." : "",
                     next % 10 ? (char[]){(char)('0' + next % 10), 0} : "");
            const char *found = strstr(line, value);
            if (!found || found > end)
                fail_msg("%s is not in %.*s", value, (int)(end - line), line);
            assert_int_equal(json_int(row, "ts", -1), (int64_t)next * 1000);
            assert_string_equal(json_string(row, "device", ""), next % 2 ? "d1" : "d0");
        } else if (strcmp(point, "b") == 0) {
            assert_int_equal(json_bool(row, "value", false), next & 1);
            next++;
        }
        cJSON_Delete(row);
    }
    return next;
}

static void a_store_at_work_is_exported_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    char path[128];
    size_t lines;
    output_of(f, path);
    fixture_open(f);
    append_and_wait(f, 1700);
    store_delivered(f->store, 0, 1, 900);
    assert_int_equal(EXPORT(f, "--format", "jsonl", "--output", path), CMD_DONE);
    char *text = slurp(path);
    assert_int_equal(check_samples(text, 0, &lines), 1700);
    assert_int_equal(lines, 2 + 2 * 1700); /* stream_opened and started */
    free(text);
    append_and_wait(f, 1);
    assert_int_equal(EXPORT(f, "--format", "jsonl", "--output", path, "--from", "1970-01-01T00:28:20Z"),
                     CMD_DONE);
    text = slurp(path);
    assert_int_equal(check_samples(text, 1700, &lines), 1701);
    free(text);
}

static void from_is_included_and_to_is_not(void **state)
{
    struct fixture *f = *state;
    char path[128];
    output_of(f, path);
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(
        EXPORT(f, "--output", path, "--from", "1970-01-01T00:00:03Z", "--to", "1970-01-01T00:00:05Z"),
        CMD_DONE);
    char *text = slurp(path), *second = strstr(text, "\r\n") + 2;
    assert_memory_equal(
        text, "stream,seq,time,ts,clock,layout,device,point,value,unit,quality,doubtful,missed,event\r\n",
        (size_t)(second - text));
    size_t lines = 0;
    for (char *p = second; *p; p = strstr(p, "\r\n") + 2, lines++) {
        assert_int_equal(p[16], ',');
        memset(p, 's', 16); /* the stream is random */
    }
    assert_int_equal(lines, 4);
    assert_string_equal(second,
                        "ssssssssssssssss,6,1970-01-01T00:00:03.000Z,3000,trusted,1,d1,a,0.3,%,good,,,\r\n"
                        "ssssssssssssssss,6,1970-01-01T00:00:03.000Z,3000,trusted,1,d1,b,true,,good,,,\r\n"
                        "ssssssssssssssss,7,1970-01-01T00:00:04.000Z,4000,trusted,1,d0,a,0.4,%,good,,,\r\n"
                        "ssssssssssssssss,7,1970-01-01T00:00:04.000Z,4000,trusted,1,d0,b,false,,good,,,\r\n");
    free(text);
}

static void one_device_comes_alone_and_an_unknown_one_not_at_all(void **state)
{
    struct fixture *f = *state;
    char path[128];
    output_of(f, path);
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(EXPORT(f, "--output", path, "--device", "d1"), CMD_DONE);
    char *text = slurp(path);
    assert_non_null(strstr(text, ",d1,"));
    assert_null(strstr(text, ",d0,"));
    assert_null(strstr(text, "started"));
    free(text);
    unlink(path);
    assert_int_equal(EXPORT(f, "--output", path, "--device", "d2"), CMD_FAILED);
    assert_int_equal(access(path, F_OK), -1);
}

static void wrong_words_are_wrong_usage(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    assert_int_equal(EXPORT(f, "--from", "yesterday"), CMD_USAGE);
    assert_int_equal(EXPORT(f, "--format", "xml"), CMD_USAGE);
    assert_int_equal(EXPORT(f, "--from", "1h", "--to", "2h"), CMD_USAGE);
    assert_int_equal(EXPORT(f, "--from", "2026-11-21", "07:00"), CMD_USAGE);
    assert_int_equal(EXPORT(f, "--nonsense"), CMD_USAGE);
    assert_int_equal(EXPORT(f, "--help"), CMD_DONE);
}

static void a_full_medium_keeps_whole_records(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct rlimit before, low;
    size_t lines;
    output_of(f, path);
    fixture_open(f);
    append_and_wait(f, 1500);
    fixture_close(f);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100 * 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int code = EXPORT(f, "--format", "jsonl", "--output", path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(code, CMD_FAILED);
    char *text = slurp(path);
    assert_true(strlen(text) > 90 * 1000 && strlen(text) <= 100 * 1000);
    uint64_t whole = check_samples(text, 0, &lines); /* both lines of a sample, or none */
    assert_int_equal(lines, 2 + 2 * whole);
    free(text);
    assert_int_equal(EXPORT(f, "--output", "/dev/full"), CMD_FAILED);
}

static void the_database_is_never_written_over(void **state)
{
    struct fixture *f = *state;
    char wal[128], link[128];
    fixture_open(f);
    append_and_wait(f, 10);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    snprintf(link, sizeof link, "%s/link", f->folder);
    assert_int_equal(symlink(f->path, link), 0);
    assert_int_equal(EXPORT(f, "--output", f->path), CMD_FAILED);
    assert_int_equal(EXPORT(f, "--output", wal), CMD_FAILED);
    assert_int_equal(EXPORT(f, "--output", link), CMD_FAILED);
    append_and_wait(f, 10);
    fixture_reopen(f);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream"), 1);
    assert_int_equal(status_of(f, 0).accepted, 23);
}

static void damaged_records_are_left_out_and_the_exit_code_says_so(void **state)
{
    struct fixture *f = *state;
    char path[128];
    output_of(f, path);
    fixture_open(f);
    append_and_wait(f, 20);
    fixture_close(f);
    run_sql(f->path, "UPDATE record SET body = '[9999,true]' WHERE seq = 10");
    assert_int_equal(EXPORT(f, "--output", path), CMD_FAILED);
    char *text = slurp(path);
    /* The stream's random name may have four nines, too. */
    assert_null(strstr(text, ",9999,"));
    assert_null(strstr(text, ",10,"));
    assert_non_null(strstr(text, ",11,"));
    free(text);
}

static void what_is_no_database_of_ours_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    output_of(f, path);
    assert_int_equal(EXPORT(f, "--output", path), CMD_FAILED); /* there is none */
    run_sql(f->path, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    assert_int_equal(EXPORT(f, "--output", path), CMD_FAILED);
    assert_int_equal(truncate(f->path, 0), 0);
    assert_int_equal(EXPORT(f, "--output", path), CMD_FAILED);
    write_garbage(f->path, 0, 5000);
    assert_int_equal(EXPORT(f, "--output", path), CMD_FAILED);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- others' databases, and those left by a crash ---- */

/* Commits 50 samples and ends without a word. */
static void run_child(struct fixture *f)
{
    fixture_open(f);
    append_and_wait(f, 50);
    _exit(0);
}

static void crash(struct fixture *f)
{
    int status;
    pid_t pid = fixture_child(f, 0, 0, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void after_a_crash_all_is_exported_and_the_log_stays(void **state)
{
    struct fixture *f = *state;
    char path[128], wal[128];
    struct stat before, after;
    size_t lines;
    output_of(f, path);
    crash(f);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &before), 0);
    assert_int_equal(EXPORT(f, "--format", "jsonl", "--output", path), CMD_DONE);
    char *text = slurp(path);
    assert_int_equal(check_samples(text, 0, &lines), 50);
    free(text);
    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    f->appended = 50;
    fixture_open(f);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream"), 1);
}

static void a_copy_with_its_log_is_exported_whole(void **state)
{
    struct fixture *f = *state;
    char path[128], from[128], to[128];
    size_t lines;
    output_of(f, path);
    crash(f);
    snprintf(from, sizeof from, "%s-wal", f->path);
    snprintf(to, sizeof to, "%s/copy.db-wal", f->folder);
    copy_file(from, to);
    snprintf(from, sizeof from, "%s", f->path);
    snprintf(to, sizeof to, "%s/copy.db", f->folder);
    copy_file(from, to);
    snprintf(f->path, sizeof f->path, "%s/copy.db", f->folder);
    assert_int_equal(EXPORT(f, "--format", "jsonl", "--output", path), CMD_DONE);
    char *text = slurp(path);
    assert_int_equal(check_samples(text, 0, &lines), 50);
    free(text);
}

/* As somebody who is not root, in a program of its own; a count of lines, or -1. */
static int export_as_nobody(struct fixture *f)
{
    int ends[2], status, lines = 0;
    char bytes[4096];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fixture_child(f, 1, (uint64_t)ends[1], 0);
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += bytes[i] == '\n';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == CMD_DONE ? lines : -1;
}

static void run_nobody(struct fixture *f, int out)
{
    char *argv[] = {"export", "--database", f->path, NULL};
    dup2(out, STDOUT_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(99);
    int code = cmd_export(3, argv);
    fflush(NULL);
    _exit(code);
}

static void chmod_all(const struct fixture *f, mode_t folder, mode_t files)
{
    char path[512];
    DIR *dir = opendir(f->folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", f->folder, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(chmod(path, files), 0);
    }
    closedir(dir);
    assert_int_equal(chmod(f->folder, folder), 0);
}

static void a_long_export_lets_the_log_start_over(void **state)
{
    struct fixture *f = *state;
    struct store_export *e;
    const struct store_export_batch *b;
    struct err_note note;
    struct stat st;
    char wal[128];
    uint64_t next = 1, records = 0;
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    f->options.max_bytes = 1024 * 1024;
    fixture_open(f);
    append_and_wait(f, 600);
    assert_int_equal(store_export_open(f->path, &e, &note), 0);
    /* 200 commits of several pages each, and somebody who reads 500 records now and then. */
    for (int i = 0; i < 200; i++) {
        append_and_wait(f, 10);
        if (i % 50 > 0)
            continue;
        assert_int_equal(store_export_read(e, next, UINT64_MAX, &b, &note), 0);
        assert_true(b->count > 0 && b->records[0].seq == next && b->damaged == 0);
        next = b->records[b->count - 1].seq + 1;
        records += b->count;
    }
    assert_int_equal(records, next - 1);
    store_export_close(e);
    assert_int_equal(stat(wal, &st), 0);
    assert_true(st.st_size < 256 * 1024);
}

static void who_may_only_read_can_export(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 20);
    chmod_all(f, 0555, 0444); /* at work: log and shared memory are there */
    assert_int_equal(export_as_nobody(f), 1 + 2 + 2 * 20);
    chmod_all(f, 0755, 0644);
    fixture_close(f);
    chmod_all(f, 0555, 0444); /* stopped: no log, and no place for one */
    assert_int_equal(export_as_nobody(f), 1 + 2 + 2 * 20);
    chmod_all(f, 0555, 0000);
    assert_int_equal(export_as_nobody(f), -1);
    chmod_all(f, 0755, 0644);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "child") == 0) {
        struct fixture *f = fixture_new(argv[2]);
        if (strcmp(argv[3], "1") == 0)
            run_nobody(f, atoi(argv[4]));
        run_child(f);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_with_a_zone_means_the_same_everywhere),
        cmocka_unit_test(a_time_without_a_zone_is_that_of_this_box),
        cmocka_unit_test(a_day_alone_is_its_beginning_and_as_an_end_includes_the_day),
        cmocka_unit_test(so_long_ago_is_counted_from_now),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(times_are_written_in_utc_with_milliseconds),
        cmocka_unit_test(every_kind_of_reading_has_its_line_of_csv),
        cmocka_unit_test(every_kind_of_reading_has_its_line_of_json),
        cmocka_unit_test(an_event_is_a_line_of_its_own),
        cmocka_unit_test(a_poll_that_failed_says_so_for_every_point),
        cmocka_unit_test(a_lost_layout_takes_the_names_not_the_numbers),
        cmocka_unit_test(every_statistic_has_a_line_of_its_own),
        cmocka_unit_test(what_nobody_understands_is_a_config_error),
        TEST(a_store_at_work_is_exported_whole_and_in_order),
        TEST(from_is_included_and_to_is_not),
        TEST(one_device_comes_alone_and_an_unknown_one_not_at_all),
        TEST(wrong_words_are_wrong_usage),
        TEST(a_full_medium_keeps_whole_records),
        TEST(the_database_is_never_written_over),
        TEST(damaged_records_are_left_out_and_the_exit_code_says_so),
        TEST(what_is_no_database_of_ours_is_refused),
        TEST(after_a_crash_all_is_exported_and_the_log_stays),
        TEST(a_copy_with_its_log_is_exported_whole),
        TEST(a_long_export_lets_the_log_start_over),
        TEST(who_may_only_read_can_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
