/* SPDX-License-Identifier: Apache-2.0 */
/* Rules between samples and a real store: what is stored, what is counted, and what is lost. */
#include "store_fixture.h"

#include "../../gateway/config.h"
#include "../../gateway/gateway_report.h"

/* The one device: a thermometer with a dead band, a hygrometer with windows, a switch, a rain gauge. */
enum { TEMPERATURE, HUMIDITY, SWITCH, RAIN, POINTS };

#define MINUTE 60000
#define NOON INT64_C(1795230000000)

struct world {
    struct fixture *f;
    struct config config;
    struct config_device device;
    struct point points[POINTS];
    struct buf layout, said;
    struct gateway_counters *counters;
    struct gateway_reports *reports;
    int64_t now_ms;
};

static struct decimal parsed(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

static struct point point(const char *name, enum point_type type)
{
    return (struct point){.name = (char *)(uintptr_t)name, .type = type, .scale = parsed("0.1")};
}

static void open_world(struct world *w)
{
    buf_reset(&w->layout);
    config_layout(&w->config, &w->layout);
    w->f->options.layout = w->layout.data;
    w->f->options.layout_len = w->layout.len;
    fixture_open(w->f);
    assert_int_equal(gateway_counters_new(&w->config, &w->counters), 0);
    assert_int_equal(gateway_counters_recall(w->counters, w->f->store), 0);
    assert_int_equal(gateway_reports_new(&w->config, w->counters, w->f->store, &w->reports), 0);
}

static void close_world(struct world *w)
{
    gateway_reports_free(w->reports);
    gateway_counters_free(w->counters);
    w->reports = NULL;
    w->counters = NULL;
    fixture_close(w->f);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fixture_setup((void **)&w->f);
    buf_init(&w->layout);
    buf_init(&w->said);
    w->points[TEMPERATURE] = point("temperature", POINT_INT16);
    w->points[TEMPERATURE].report = (struct point_report){parsed("0.2"), 15 * MINUTE, true, true};
    w->points[HUMIDITY] = point("humidity", POINT_UINT16);
    w->points[HUMIDITY].aggregate_ms = 5 * MINUTE;
    w->points[SWITCH] = point("switch", POINT_BOOL);
    w->points[SWITCH].report = (struct point_report){.at_least_ms = 15 * MINUTE, .given = true};
    w->points[RAIN] = point("rain", POINT_UINT16);
    w->points[RAIN].counter = w->points[RAIN].has_wrap = true;
    w->points[RAIN].wrap = parsed("6553.6");
    w->points[RAIN].report = (struct point_report){parsed("5"), 15 * MINUTE, true, true};
    w->device = (struct config_device){.name = "station",
                                       .own_points = true,
                                       .enabled = true,
                                       .every_ms = MINUTE,
                                       .points = w->points,
                                       .point_count = POINTS};
    w->config.devices = &w->device;
    w->config.device_count = 1;
    w->now_ms = NOON;
    open_world(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    gateway_reports_free(w->reports);
    gateway_counters_free(w->counters);
    buf_fini(&w->layout);
    buf_fini(&w->said);
    void *f = w->f;
    free(w);
    return fixture_teardown(&f);
}

/* "" : not due; a word: that quality is no_reply. */
static struct reading reading(const char *text)
{
    struct reading r = {.quality = QUALITY_GOOD, .value.kind = VALUE_NUMBER};
    if (text[0] == '\0')
        return (struct reading){.quality = QUALITY_NOT_DUE};
    if (strcmp(text, "fault") == 0)
        return (struct reading){.quality = QUALITY_SENSOR_FAULT};
    if (text[0] == 't' || text[0] == 'f')
        return (struct reading){.quality = QUALITY_GOOD,
                                .value = {.kind = VALUE_BOOL, .boolean = text[0] == 't'}};
    r.value.number = parsed(text);
    return r;
}

static void offer(struct world *w, const struct sample *s)
{
    gateway_reports_take(w->reports, s);
    w->now_ms += MINUTE;
}

static struct sample sample_now(const struct world *w)
{
    return (struct sample){.wall_ms = w->now_ms, .mono_ms = w->now_ms - NOON + MINUTE, .clock_trusted = true};
}

static void take(struct world *w, const char *temperature, const char *humidity, const char *on,
                 const char *rain)
{
    struct reading readings[POINTS] = {reading(temperature), reading(humidity), reading(on), reading(rain)};
    struct sample s = sample_now(w);
    s.count = POINTS;
    s.readings = readings;
    offer(w, &s);
}

static void take_failed(struct world *w)
{
    struct sample s = sample_now(w);
    s.failed = QUALITY_NO_REPLY;
    offer(w, &s);
}

static int add_row(void *context, int count, char **values, char **names)
{
    struct world *w = context;
    (void)count;
    (void)names;
    buf_addf(&w->said, "%s %s %s\n", values[0], values[1], values[2]);
    return 0;
}

/* Every sample in the store: minutes since noon, body, extra. */
static void assert_stored(struct world *w, const char *expected)
{
    sqlite3 *db;
    close_world(w);
    buf_reset(&w->said);
    assert_int_equal(sqlite3_open_v2(w->f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "SELECT (ts - 1795230000000) / 60000, body, coalesce(extra, '') FROM record"
                                  " WHERE device IS NOT NULL ORDER BY seq",
                                  add_row, w, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_true(buf_ok(&w->said));
    assert_string_equal(w->said.data, expected);
    open_world(w);
}

static void only_the_points_that_moved_are_stored(void **state)
{
    struct world *w = *state;
    take(w, "20", "", "true", "1");
    take(w, "20.1", "", "true", "1");
    take(w, "20.2", "", "true", "1");
    take(w, "20.3", "", "false", "1");
    assert_stored(w, "0 [20,null,true,1,null] \n"
                     "2 [20.2,null,null,null,null] {\"suppressed\":1}\n"
                     "3 [null,null,false,null,null] \n");
}

static void an_outage_is_told_once_at_once_and_its_end_too(void **state)
{
    struct world *w = *state;
    take(w, "20", "50", "true", "1");
    for (int i = 0; i < 3; i++)
        take_failed(w);
    take(w, "20", "50", "true", "1");
    take(w, "20", "50", "true", "1");
    assert_stored(w, "0 [20,null,true,1,null] \n"
                     "1 \"no_reply\" \n"
                     "4 [20,50,true,1,0] {\"suppressed\":2}\n"
                     "5 [null,{\"min\":50,\"mean\":50,\"max\":50,\"n\":2,\"bad\":3},null,null,null] "
                     "{\"span_ms\":300000,\"partial\":\"started\"}\n");
}

static void a_window_has_minimum_mean_maximum_and_counts(void **state)
{
    struct world *w = *state;
    static const char *const values[] = {"50", "51.5", "52", "fault", "50.5", "60",
                                         "60", "60",   "60", "60",    "1"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        take(w, "", values[i], "", "");
    assert_stored(w, "3 [null,\"sensor_fault\",null,null,null] {\"suppressed\":3}\n"
                     "4 [null,50.5,null,null,null] \n"
                     "5 [null,{\"min\":50,\"mean\":51,\"max\":52,\"n\":4,\"bad\":1},null,null,null] "
                     "{\"span_ms\":300000,\"partial\":\"started\"}\n"
                     "10 [null,{\"min\":60,\"mean\":60,\"max\":60,\"n\":5},null,null,null] "
                     "{\"span_ms\":300000,\"suppressed\":5}\n");
}

static void no_increment_is_lost_while_a_counter_is_held_back(void **state)
{
    struct world *w = *state;
    take(w, "", "", "", "1");
    take(w, "", "", "", "3");
    take(w, "", "", "", "5.9");
    take(w, "", "", "", "6");
    take(w, "", "", "", "8");
    take(w, "", "", "", "0.5");
    take(w, "", "", "", "1");
    assert_stored(w, "0 [null,null,null,1,null] \n"
                     "3 [null,null,null,6,5] {\"suppressed\":2}\n"
                     "5 [null,null,null,0.5,2.5] {\"suppressed\":1}\n");
    take(w, "", "", "", "2"); /* after a restart: from the last one that is stored */
    assert_stored(w, "0 [null,null,null,1,null] \n"
                     "3 [null,null,null,6,5] {\"suppressed\":2}\n"
                     "5 [null,null,null,0.5,2.5] {\"suppressed\":1}\n"
                     "7 [null,null,null,2,1.5] \n");
}

static void a_counter_is_aggregated_into_its_last_reading_and_the_whole_increment(void **state)
{
    struct world *w = *state;
    w->points[RAIN].report.given = false;
    w->points[RAIN].aggregate_ms = 5 * MINUTE;
    close_world(w);
    open_world(w);
    for (int i = 0; i < 11; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", 10 + i);
        take(w, "", "", "", text);
    }
    assert_stored(w, "0 [null,null,null,10,null] \n"
                     "5 [null,null,null,14,4] {\"span_ms\":300000,\"partial\":\"started\",\"suppressed\":4}\n"
                     "10 [null,null,null,19,5] {\"span_ms\":300000,\"suppressed\":5}\n");
}

static void an_orderly_stop_stores_what_is_open_and_what_was_held_back(void **state)
{
    struct world *w = *state;
    struct gateway_report_status status;
    take(w, "20", "50", "true", "1");
    take(w, "20.1", "51", "true", "1");
    take(w, "20.1", "52", "true", "2");
    gateway_reports_flush(w->reports, 0);
    gateway_reports_status(w->reports, 0, &status);
    assert_int_equal(status.suppressed, 1);
    assert_int_equal(status.aggregates, 1);
    assert_stored(w, "0 [20,null,true,1,null] \n"
                     "2 [20.1,null,true,2,1] {\"suppressed\":1}\n"
                     "2 [null,{\"min\":50,\"mean\":51,\"max\":52,\"n\":3},null,null,null] "
                     "{\"span_ms\":120000,\"partial\":\"stopped\"}\n");
}

static void skipped_periods_are_told_by_the_next_record(void **state)
{
    struct world *w = *state;
    struct reading readings[POINTS] = {reading("20"), reading(""), reading("true"), reading("1")};
    for (uint32_t i = 0; i < 3; i++) {
        struct sample s = sample_now(w);
        s.count = POINTS;
        s.readings = readings;
        s.missed = i;
        offer(w, &s);
    }
    take(w, "30", "", "true", "1");
    assert_stored(w, "0 [20,null,true,1,null] \n"
                     "3 [30,null,null,null,null] {\"missed\":3,\"suppressed\":2}\n");
}

static void an_untrusted_window_is_marked_like_a_sample(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 6; i++) {
        struct reading readings[POINTS] = {reading(""), reading("50"), reading(""), reading("")};
        struct sample s = sample_now(w);
        s.clock_trusted = false;
        s.wall_ms -= NOON;
        s.count = POINTS;
        s.readings = readings;
        offer(w, &s);
    }
    close_world(w);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(w->f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT ts, extra FROM record WHERE device IS NOT NULL", -1, &stmt, NULL), 0);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(stmt, 0), 4 * MINUTE); /* five minutes after the machine's start */
    const char *extra = (const char *)sqlite3_column_text(stmt, 1);
    assert_non_null(strstr(extra, "\"clock\":\"untrusted\""));
    assert_non_null(strstr(extra, "\"up_ms\":300000"));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    open_world(w);
}

/* samples taken = records that are no aggregates + suppressed, and the records say the same. */
static void every_sample_is_a_record_or_counted(void **state)
{
    struct world *w = *state;
    const char *given = getenv("FG_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
    print_message("FG_SEED=%u\n", seed);
    const int taken = 400;
    for (int i = 0; i < taken; i++) {
        char t[16], h[16], r[16];
        snprintf(t, sizeof t, "%d.%d", 20, rand_r(&seed) % 4);
        snprintf(h, sizeof h, "%d", 40 + rand_r(&seed) % 20);
        snprintf(r, sizeof r, "%d", i);
        if (rand_r(&seed) % 20 == 0)
            take_failed(w);
        else
            take(w, t, rand_r(&seed) % 30 == 0 ? "fault" : h, rand_r(&seed) % 50 ? "true" : "false", r);
    }
    gateway_reports_flush(w->reports, 0);
    struct gateway_report_status status;
    gateway_reports_status(w->reports, 0, &status);
    close_world(w);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open_v2(w->f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT count(*) FILTER (WHERE span IS NULL), count(span), sum(suppressed)"
                           " FROM (SELECT json_extract(extra, '$.span_ms') AS span,"
                           " json_extract(extra, '$.suppressed') AS suppressed FROM"
                           " (SELECT nullif(extra, '') AS extra FROM record WHERE device IS NOT NULL))",
                           -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0) + sqlite3_column_int(stmt, 2), taken);
    assert_int_equal(sqlite3_column_int(stmt, 1), status.aggregates);
    assert_int_equal(sqlite3_column_int(stmt, 2), status.suppressed);
    assert_true(status.suppressed > 50);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    open_world(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_points_that_moved_are_stored),
        TEST(an_outage_is_told_once_at_once_and_its_end_too),
        TEST(a_window_has_minimum_mean_maximum_and_counts),
        TEST(no_increment_is_lost_while_a_counter_is_held_back),
        TEST(a_counter_is_aggregated_into_its_last_reading_and_the_whole_increment),
        TEST(an_orderly_stop_stores_what_is_open_and_what_was_held_back),
        TEST(skipped_periods_are_told_by_the_next_record),
        TEST(an_untrusted_window_is_marked_like_a_sample),
        TEST(every_sample_is_a_record_or_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
