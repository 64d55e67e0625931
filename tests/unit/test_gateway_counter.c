/* SPDX-License-Identifier: Apache-2.0 */
/* Counters on their way into a real store, and what is found there again after a restart. */
#include "store_fixture.h"

#include "../../gateway/config.h"
#include "../../gateway/gateway_counter.h"
#include "../../gateway/store_last.h"

/* The one device: a gauge of 16 bits, wind between, and an energy meter's float. */
#define RAIN 0
#define WIND 1
#define ENERGY 2

struct world {
    struct fixture *f;
    struct config config;
    struct config_device device;
    struct point points[3];
    struct buf layout;
    struct gateway_counters *counters;
    int64_t now_ms;
};

static struct decimal parsed(const char *text)
{
    struct decimal d;
    assert_int_equal(decimal_parse(text, &d), 0);
    return d;
}

static struct point point(const char *name, const char *scale, const char *wrap)
{
    struct point p = {.name = (char *)(uintptr_t)name, .type = POINT_UINT16, .scale = parsed(scale)};
    p.counter = wrap != NULL;
    p.has_wrap = wrap && wrap[0];
    if (p.has_wrap)
        p.wrap = parsed(wrap);
    return p;
}

static void make_layout(struct world *w)
{
    buf_reset(&w->layout);
    config_layout(&w->config, &w->layout);
    w->f->options.layout = w->layout.data;
    w->f->options.layout_len = w->layout.len;
}

static void open_world(struct world *w)
{
    make_layout(w);
    fixture_open(w->f);
    assert_int_equal(gateway_counters_new(&w->config, &w->counters), 0);
    assert_int_equal(gateway_counters_recall(w->counters, w->f->store), 0);
}

static void close_world(struct world *w)
{
    gateway_counters_free(w->counters);
    w->counters = NULL;
    fixture_close(w->f);
}

static void reopen(struct world *w)
{
    close_world(w);
    open_world(w);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fixture_setup((void **)&w->f);
    buf_init(&w->layout);
    w->points[RAIN] = point("rain", "0.1", "6553.6");
    w->points[WIND] = point("wind", "0.1", NULL);
    w->points[ENERGY] = point("energy", "1", "");
    w->device = (struct config_device){.name = "gauge",
                                       .own_points = true,
                                       .enabled = true,
                                       .every_ms = 1000,
                                       .points = w->points,
                                       .point_count = 3};
    w->config.devices = &w->device;
    w->config.device_count = 1;
    open_world(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    gateway_counters_free(w->counters);
    buf_fini(&w->layout);
    void *f = w->f;
    free(w);
    return fixture_teardown(&f);
}

/* NULL: not due. */
static struct reading reading(const char *text, enum quality quality)
{
    struct reading r = {.quality = text ? quality : QUALITY_NOT_DUE};
    if (text && (quality == QUALITY_GOOD || quality == QUALITY_OUT_OF_RANGE))
        r.value = (struct value){.kind = VALUE_NUMBER, .number = parsed(text)};
    return r;
}

static int append_as(struct world *w, const char *rain, enum quality quality, const char *energy)
{
    struct reading readings[3] = {reading(rain, quality), reading("1.5", QUALITY_GOOD),
                                  reading(energy, QUALITY_GOOD)};
    w->now_ms += 1000;
    struct sample s = {
        .wall_ms = w->now_ms, .mono_ms = w->now_ms, .clock_trusted = true, .count = 3, .readings = readings};
    gateway_counters_note(w->counters, w->f->store, &s);
    return gateway_counters_append(w->counters, w->f->store, &s);
}

static void append(struct world *w, const char *rain, const char *energy)
{
    assert_int_equal(append_as(w, rain, QUALITY_GOOD, energy), 0);
}

/* The text of the newest sample, once all is committed. */
static void assert_body(struct world *w, const char *expected)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    close_world(w);
    assert_int_equal(sqlite3_open_v2(w->f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT body FROM record WHERE device IS NOT NULL ORDER BY seq DESC LIMIT 1",
                           -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), expected);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    open_world(w);
}

static void increments_follow_the_points_in_the_sample(void **state)
{
    struct world *w = *state;
    append(w, "12.3", "1002.2");
    assert_body(w, "[12.3,1.5,1002.2,null,null]");
    append(w, "12.5", "1002.3");
    assert_body(w, "[12.5,1.5,1002.3,0.2,0.1]");
    append(w, "12.5", NULL);
    assert_body(w, "[12.5,1.5,null,0,null]");
    append(w, NULL, "1002.5");
    assert_body(w, "[null,1.5,1002.5,null,0.2]");
}

static void a_failed_reading_fails_the_increment_and_the_next_one_covers_the_gap(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    assert_int_equal(append_as(w, "0", QUALITY_BAD_CRC, "6"), 0);
    assert_body(w, "[\"bad_crc\",1.5,6,\"bad_crc\",1]");
    assert_int_equal(append_as(w, "9999", QUALITY_OUT_OF_RANGE, "7"), 0);
    assert_body(w, "[[\"out_of_range\",9999],1.5,7,\"out_of_range\",1]");
    append(w, "10.4", "8");
    assert_body(w, "[10.4,1.5,8,0.4,1]");
}

static void a_poll_that_failed_as_a_whole_is_stored_as_it_is(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    struct sample s = {.wall_ms = 5000, .clock_trusted = true, .failed = QUALITY_NO_REPLY};
    assert_int_equal(gateway_counters_append(w->counters, w->f->store, &s), 0);
    assert_body(w, "\"no_reply\"");
    append(w, "11", "5.5");
    assert_body(w, "[11,1.5,5.5,1,0.5]");
}

static size_t events(struct world *w, cJSON **ret)
{
    struct store_batch b;
    store_batch_init(&b);
    reopen(w);
    assert_true(read_all(w->f, 0, &b) > 0);
    size_t n = find_events(&b, "counter_restarted", NULL, ret);
    store_batch_fini(&b);
    return n;
}

static void a_wrap_is_growth_and_a_restart_is_told(void **state)
{
    struct world *w = *state;
    cJSON *event;
    append(w, "6553.5", "7");
    append(w, "0.3", "7");
    assert_body(w, "[0.3,1.5,7,0.4,0]");
    assert_int_equal(events(w, NULL), 0);
    append(w, "300", "7");
    append(w, "0.2", "7");
    assert_body(w, "[0.2,1.5,7,0.2,0]");
    assert_int_equal(events(w, &event), 1);
    assert_string_equal(json_string(event, "device", ""), "gauge");
    assert_string_equal(json_string(event, "point", ""), "rain");
    assert_int_equal(json_int(event, "before", -1), 300);
    assert_int_equal(json_int(event, "count", -1), 1);
    cJSON_Delete(event);
}

static void a_counter_that_keeps_falling_is_told_once_an_hour_with_how_often(void **state)
{
    struct world *w = *state;
    cJSON *event;
    for (int i = 0; i < 10; i++)
        append(w, "1", i % 2 ? "3" : "4");
    w->now_ms += 3600 * 1000;
    append(w, "1", "4");
    append(w, "1", "2");
    assert_int_equal(events(w, &event), 2);
    assert_int_equal(json_int(event, "count", -1), 5);
    assert_string_equal(json_string(event, "point", ""), "energy");
    cJSON_Delete(event);
}

/* Another program holds the database, so that the writer stands still and the queue fills. */
static void what_the_store_refuses_is_counted_by_the_next_sample(void **state)
{
    struct world *w = *state;
    char text[32];
    int err = 0;
    sqlite3 *lock;
    append(w, "10", "5");
    reopen(w);
    assert_int_equal(sqlite3_open(w->f->path, &lock), SQLITE_OK);
    assert_int_equal(sqlite3_exec(lock, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 1000000 && !err; i++) {
        snprintf(text, sizeof text, "%d.%d", 11 + i / 1000, i / 100 % 10);
        err = append_as(w, text, QUALITY_GOOD, "5");
    }
    assert_int_equal(err, FG_EFULL);
    assert_int_equal(sqlite3_exec(lock, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(lock);
    while ((err = append_as(w, "2000", QUALITY_GOOD, "5")) == FG_EFULL)
        clock_sleep_until_us(clock_mono_us() + 10000);
    assert_int_equal(err, 0);
    close_world(w);
    int64_t tenths = ask_sql(w->f->path, "SELECT sum(cast(round(10 * json_extract(body, '$[3]')) AS INTEGER))"
                                         " FROM record WHERE device IS NOT NULL");
    assert_int_equal(tenths, 10 * (2000 - 10));
    open_world(w);
}

static void a_start_goes_on_from_the_last_good_reading_however_long_ago(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    for (int i = 0; i < 500; i++)
        assert_int_equal(append_as(w, "0", QUALITY_NO_REPLY, "6"), 0);
    reopen(w);
    append(w, "12", "6.5");
    assert_body(w, "[12,1.5,6.5,2,0.5]");
}

static void a_point_that_now_means_something_else_begins_anew(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    w->points[RAIN].scale = parsed("0.2");
    w->points[RAIN].wrap = parsed("13107.2");
    reopen(w);
    append(w, "20", "6");
    assert_body(w, "[20,1.5,6,null,1]");
}

static void a_layout_between_in_which_the_device_was_off_does_not_matter(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    w->device.enabled = false;
    reopen(w);
    w->device.enabled = true;
    w->device.every_ms = 2000;
    reopen(w);
    append(w, "10.1", "6");
    assert_body(w, "[10.1,1.5,6,0.1,1]");
}

static void a_new_stream_begins_without_a_last_reading(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    close_world(w);
    w->f->options.machine_id = "machine-two"; /* a card that was copied into another box */
    open_world(w);
    append(w, "900", "900");
    assert_body(w, "[900,1.5,900,null,null]");
}

static void a_damaged_record_is_passed_over(void **state)
{
    struct world *w = *state;
    append(w, "10", "5");
    append(w, "11", "6");
    close_world(w);
    run_sql(w->f->path, "UPDATE record SET body = '[99,1.5,99,1,1]' WHERE body LIKE '[11,%'");
    open_world(w);
    append(w, "12", "7");
    close_world(w);
    assert_int_equal(ask_sql(w->f->path, "SELECT count(*) FROM record WHERE body = '[12,1.5,7,2,2]'"), 1);
    open_world(w);
}

static void a_look_back_is_bounded(void **state)
{
    struct world *w = *state;
    struct store_last wanted = {.device = 0, .point = RAIN};
    append(w, "10", "5");
    for (int i = 0; i < 20; i++)
        append(w, NULL, "5");
    reopen(w);
    assert_int_equal(store_last(w->f->store, &wanted, 1, 10), 0);
    assert_false(wanted.found);
    assert_int_equal(store_last(w->f->store, &wanted, 1, 1000), 0);
    assert_true(wanted.found);
    assert_int_equal(decimal_compare(wanted.value, parsed("10")), 0);
    wanted = (struct store_last){.device = 7, .point = 7};
    assert_int_equal(store_last(w->f->store, &wanted, 1, 1000), 0);
    assert_false(wanted.found);
}

static void what_is_newer_than_a_damaged_page_is_found_when_looking_back(void **state)
{
    struct world *w = *state;
    struct store_last wanted[2] = {{.device = 0, .point = RAIN}, {.device = 0, .point = ENERGY}};
    for (int i = 100; i < 300; i++) {
        char energy[8];
        snprintf(energy, sizeof energy, "%d", i);
        append(w, i == 101 ? "555" : i == 290 ? "777" : NULL, i <= 150 ? energy : NULL);
    }
    reopen(w);
    /* A tool changes the file, so that no page is left in the store's cache. */
    run_sql(w->f->path, "UPDATE meta SET value = 0 WHERE key = 'clean'; PRAGMA wal_checkpoint(TRUNCATE)");
    write_garbage(w->f->path, find_bytes(w->f->path, "[null,1.5,150") / PAGE * PAGE, PAGE);
    assert_int_equal(store_last(w->f->store, wanted, 2, 1000), FG_ECORRUPT);
    assert_true(wanted[0].found);
    assert_int_equal(decimal_compare(wanted[0].value, parsed("777")), 0);
}

int main(void)
{
#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WORLD(increments_follow_the_points_in_the_sample),
        WORLD(a_failed_reading_fails_the_increment_and_the_next_one_covers_the_gap),
        WORLD(a_poll_that_failed_as_a_whole_is_stored_as_it_is),
        WORLD(a_wrap_is_growth_and_a_restart_is_told),
        WORLD(a_counter_that_keeps_falling_is_told_once_an_hour_with_how_often),
        WORLD(what_the_store_refuses_is_counted_by_the_next_sample),
        WORLD(a_start_goes_on_from_the_last_good_reading_however_long_ago),
        WORLD(a_point_that_now_means_something_else_begins_anew),
        WORLD(a_layout_between_in_which_the_device_was_off_does_not_matter),
        WORLD(a_new_stream_begins_without_a_last_reading),
        WORLD(a_damaged_record_is_passed_over),
        WORLD(a_look_back_is_bounded),
        WORLD(what_is_newer_than_a_damaged_page_is_found_when_looking_back),
    };
    return cmocka_run_group_tests_name("gateway_counter", tests, NULL, NULL);
}
