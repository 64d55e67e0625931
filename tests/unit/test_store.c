/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static void what_is_appended_is_committed_and_read_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    /* stream_opened and started come first. */
    assert_int_equal(store_newest(f->store), 2);
    append_and_wait(f, 3);
    assert_int_equal(read_all(f, 0, &b), 5);
    assert_int_equal(b.layout, 1);
    assert_int_equal(strlen(b.stream), 16);
    assert_string_equal(b.records[2].body, "[0,false]");
    assert_string_equal(b.records[3].body, "[0.1,true]");
    for (size_t i = 0; i < b.count; i++)
        assert_int_equal(b.records[i].seq, i + 1);
    assert_true(b.records[0].is_event && b.records[1].is_event && !b.records[2].is_event);
    assert_int_equal(b.records[3].device, 1);
    assert_int_equal(b.records[4].ts_ms, 2000);
    assert_int_equal(b.records[4].extra_len, 0);
    assert_int_equal(find_events(&b, "stream_opened", "created", NULL), 1);
    store_batch_fini(&b);
}

static void what_is_unusual_about_a_sample_stands_in_its_extra(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    struct sample s = {.wall_ms = 5, .mono_ms = 77, .failed = QUALITY_NO_REPLY, .missed = 2};
    store_batch_init(&b);
    fixture_open(f);
    assert_int_equal(store_append(f->store, &s), 0);
    wait_newest(f, 3);
    read_all(f, 0, &b);
    assert_string_equal(b.records[2].body, "\"no_reply\"");
    cJSON *extra = json_parse(b.records[2].extra, b.records[2].extra_len);
    assert_non_null(extra);
    assert_int_equal(json_int(extra, "missed", 0), 2);
    assert_string_equal(json_string(extra, "clock", ""), "untrusted");
    cJSON_Delete(extra);
    store_batch_fini(&b);
}

static void an_event_must_say_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    assert_int_equal(store_append_event(f->store, 5, "{\"what\":1}"), FG_EINVALID);
    assert_int_equal(store_append_event(f->store, 5, "{\"event\":\"clock_set\",\"by_ms\":7}"), 0);
    wait_newest(f, 3);
    read_all(f, 0, &b);
    assert_string_equal(b.records[2].body, "{\"event\":\"clock_set\",\"by_ms\":7}");
    assert_int_equal(b.records[2].ts_ms, 5);
    store_batch_fini(&b);
}

static void a_batch_ends_at_its_limits_but_never_before_the_first_record(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    struct store_limits few = {.max_records = 2, .max_bytes = 1000000},
                        tiny = {.max_records = 100, .max_bytes = 1};
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 50);
    assert_int_equal(store_read(f->store, 0, 10, 40, &few, &b), 2);
    assert_int_equal(b.records[0].seq, 10);
    assert_int_equal(store_read(f->store, 0, 10, 40, &tiny, &b), 1);
    assert_int_equal(store_read(f->store, 0, 52, 52, &few, &b), 1);
    assert_int_equal(store_read(f->store, 0, 53, 60, &few, &b), 0);
    store_batch_fini(&b);
}

static void each_uplink_has_its_own_progress_and_keeps_it_over_a_restart(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t first, last, count;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(store_delivered(f->store, 0, 1, 10), 0);
    assert_int_equal(store_delivered(f->store, 0, 15, 16), 0);
    assert_int_equal(store_delivered(f->store, 1, 20, 22), 0);
    for (int i = 0; i < 2; i++) {
        struct store_uplink_status a = status_of(f, 0), c = status_of(f, 1);
        assert_int_equal(a.delivered, 12);
        assert_int_equal(c.delivered, 3);
        assert_true(store_waiting(f->store, 0, &first, &last, &count));
        assert_int_equal(first, 11);
        assert_int_equal(count, a.waiting);
        assert_int_equal(a.oldest_waiting_ms, 8000); /* seq 11 is sample 8 */
        struct store_limits all = {.max_records = 100, .max_bytes = 100000};
        assert_int_equal(store_read(f->store, 0, 1, 22, &all, &b), 10);
        assert_int_equal(b.records[4].seq, 17);
        if (i == 0)
            fixture_reopen(f);
    }
    assert_int_equal(store_newest(f->store), 23); /* started */
    store_batch_fini(&b);
}

static void acknowledging_twice_counts_once(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 10);
    store_delivered(f->store, 0, 1, 8);
    store_delivered(f->store, 0, 5, 12);
    store_delivered(f->store, 0, 1, 12);
    assert_int_equal(status_of(f, 0).delivered, 12);
    assert_int_equal(status_of(f, 0).waiting, 0);
    uint64_t a, b, c;
    assert_false(store_waiting(f->store, 0, &a, &b, &c));
}

static void a_clean_stop_commits_everything_and_the_next_start_says_started(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    f->options.commit_every_ms = 60000;
    fixture_open(f);
    for (int i = 0; i < 1000; i++)
        append_sample(f);
    fixture_reopen(f);
    assert_int_equal(store_newest(f->store), 1003);
    read_all(f, 0, &b);
    assert_int_equal(find_events(&b, "started", NULL, NULL), 2);
    assert_int_equal(find_events(&b, "restarted", NULL, NULL), 0);
    assert_int_equal(find_events(&b, "stream_opened", NULL, NULL), 1);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream"), 1);
    store_batch_fini(&b);
}

static void another_layout_gets_the_next_number_and_ends_a_batch(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    struct buf text = BUF_INIT;
    uint32_t layouts[4];
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 5);
    fixture_reopen(f); /* the same layout: no new number */
    fixture_close(f);
    f->options.layout = "{\"models\":{},\"devices\":[]}";
    f->options.layout_len = strlen(f->options.layout);
    fixture_open(f);
    assert_int_equal(read_all(f, 0, &b), 8);
    assert_int_equal(b.layout, 1);
    struct store_limits all = {.max_records = 100, .max_bytes = 100000};
    assert_int_equal(store_read(f->store, 0, 9, UINT64_MAX, &all, &b), 2);
    assert_int_equal(b.layout, 2);
    cJSON *event;
    assert_int_equal(find_events(&b, "layout_changed", NULL, &event), 1);
    assert_int_equal(json_int(event, "layout", 0), 2);
    cJSON_Delete(event);
    assert_int_equal(store_layouts_waiting(f->store, 0, layouts, 4), 2);
    assert_int_equal(layouts[0], 1);
    store_delivered(f->store, 0, 1, 8);
    assert_int_equal(store_layouts_waiting(f->store, 0, layouts, 4), 1);
    assert_int_equal(layouts[0], 2);
    assert_int_equal(store_layout(f->store, 1, &text), 0);
    assert_string_equal(text.data, LAYOUT);
    assert_int_equal(store_layout(f->store, 9, &text), FG_ENOTFOUND);
    buf_fini(&text);
    store_batch_fini(&b);
}

static void what_was_delivered_can_be_sent_again_and_the_account_stays_whole(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    f->options.uplink_count = 1;
    fixture_open(f);
    append_and_wait(f, 40);
    assert_int_equal(store_refused(f->store, 0, 12, 13), 0);
    assert_int_equal(store_delivered(f->store, 0, 1, 30), 0);
    assert_int_equal(status_of(f, 0).delivered, 28);
    for (int i = 0; i < 2; i++) {
        /* 10 and 11, 14 to 30; what was refused is not asked for again, what waits is not counted. */
        assert_int_equal(store_resend(f->store, 0, 10, 35), i == 0 ? 19 : 0);
        struct store_uplink_status s = status_of(f, 0);
        assert_int_equal(s.delivered, 9);
        assert_int_equal(s.dropped, 2);
        assert_true(read_all(f, 0, &b) >= 31);
        assert_int_equal(b.records[0].seq, 10);
        assert_int_equal(b.records[2].seq, 14);
        fixture_reopen(f);
    }
    assert_int_equal(store_delivered(f->store, 0, 1, 60), 0);
    assert_int_equal(store_resend(f->store, 0, 11, 14), 2);
    assert_int_equal(store_resend(f->store, 0, 500, 900), 0);
    assert_int_equal(store_resend(f->store, 0, 9, 8), 0);
    assert_int_equal(status_of(f, 0).dropped, 2);
    store_batch_fini(&b);
}

static void what_is_no_longer_there_or_was_never_meant_for_an_uplink_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    f->options.uplink_count = 1;
    f->options.keep_delivered_ms = 0; /* what is delivered goes at once */
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(store_delivered(f->store, 0, 1, 10), 0);
    append_and_wait(f, 2);
    assert_int_equal(store_resend(f->store, 0, 1, 10), 0);
    fixture_close(f);
    f->options.keep_delivered_ms = 3600 * 1000;
    f->options.uplink_count = 2;
    f->uplinks[1].start_now = true;
    fixture_open(f);
    assert_int_equal(store_resend(f->store, 1, 1, UINT64_MAX), 0);
    assert_int_equal(status_of(f, 1).delivered, 0);
}

static void refused_records_are_dropped_and_told(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(store_refused(f->store, 0, 5, 9), 0);
    assert_int_equal(store_refused(f->store, 0, 5, 9), 0);
    assert_int_equal(status_of(f, 0).dropped, 5);
    assert_int_equal(status_of(f, 1).dropped, 0);
    fixture_reopen(f);
    assert_int_equal(status_of(f, 0).dropped, 5);
    read_all(f, 0, &b);
    cJSON *event;
    assert_int_equal(find_events(&b, "samples_dropped", "refused", &event), 1);
    assert_int_equal(status_of(f, 0).dropped_by[LOSS_REFUSED], 5);
    assert_string_equal(json_string(event, "uplink", ""), "province");
    assert_int_equal(json_int(event, "from", 0), 5);
    assert_int_equal(json_int(event, "to", 0), 9);
    assert_int_equal(json_int(event, "count", 0), 5);
    assert_int_equal(json_int(event, "first_ts", 0), 2000);
    assert_int_equal(json_int(event, "last_ts", 0), 6000);
    cJSON_Delete(event);
    store_batch_fini(&b);
}

static void a_loss_event_that_is_refused_is_told_again(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    cJSON *event;
    uint64_t told = 0;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 20);
    assert_int_equal(store_refused(f->store, 0, 5, 9), 0);
    fixture_reopen(f);
    read_all(f, 0, &b);
    assert_int_equal(find_events(&b, "samples_dropped", "refused", &event), 1);
    cJSON_Delete(event);
    for (size_t i = 0; i < b.count; i++)
        if (strstr(b.records[i].body, "samples_dropped"))
            told = b.records[i].seq;
    assert_int_equal(store_refused(f->store, 0, told, told), 0);
    assert_int_equal(status_of(f, 0).dropped, 6);
    fixture_reopen(f);
    read_all(f, 0, &b);
    uint64_t named = 0;
    for (size_t i = 0; i < b.count; i++) {
        event = b.records[i].is_event ? json_parse(b.records[i].body, b.records[i].body_len) : NULL;
        if (strcmp(json_string(event, "event", ""), "samples_dropped") == 0)
            named += (uint64_t)json_int(event, "count", 0);
        cJSON_Delete(event);
    }
    assert_int_equal(named, 6);
    store_batch_fini(&b);
}

static void a_new_uplink_begins_with_the_oldest_record_or_with_now(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    append_and_wait(f, 10);
    fixture_close(f);
    f->options.uplink_count = 3;
    f->uplinks[2].start_now = true;
    fixture_open(f);
    assert_int_equal(status_of(f, 2).accepted, 1); /* started */
    fixture_close(f);
    f->uplinks[2].name = "fourth";
    f->uplinks[2].start_now = false;
    fixture_open(f);
    assert_int_equal(status_of(f, 2).accepted, store_newest(f->store));
}

static void a_removed_uplink_frees_its_records_and_an_event_says_so(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 10);
    store_delivered(f->store, 1, 1, 4);
    fixture_close(f);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM waiting WHERE uplink = 2"), 1);
    f->options.uplink_count = 1;
    fixture_open(f);
    read_all(f, 0, &b);
    cJSON *event;
    assert_int_equal(find_events(&b, "uplink_removed", NULL, &event), 1);
    assert_string_equal(json_string(event, "uplink", ""), "coop");
    assert_int_equal(json_int(event, "waiting", 0), 8);
    cJSON_Delete(event);
    struct store_news_item news;
    assert_true(store_news(f->store, &news));
    assert_int_equal(news.kind, STORE_NEWS_UPLINK_REMOVED);
    assert_string_equal(news.text, "coop");
    assert_int_equal(news.records, 8);
    assert_false(store_news(f->store, &news));
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM uplink"), 1);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM waiting WHERE uplink = 2"), 0);
    fixture_reopen(f);
    assert_false(store_news(f->store, &news));
    store_batch_fini(&b);
}

/* A tool holds the write lock: nothing can be committed, and memory is bounded. So many samples and an event
 * are refused; returns how many samples were not. */
static uint64_t overfill(struct fixture *f, uint64_t refusals)
{
    sqlite3 *tool;
    uint64_t refused = 0, tried = 0;
    assert_int_equal(sqlite3_open(f->path, &tool), SQLITE_OK);
    assert_int_equal(sqlite3_exec(tool, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    while (refused < refusals && tried < 1000000)
        refused += try_append(f, tried++) == FG_EFULL;
    assert_int_equal(refused, refusals);
    assert_int_equal(store_append_event(f->store, (int64_t)tried * 1000, "{\"event\":\"device_lost\"}"),
                     FG_EFULL);
    sqlite3_exec(tool, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(tool);
    wait_newest(f, 2 + tried - refusals);
    return tried - refusals;
}

static void samples_that_do_not_fit_into_the_queue_are_counted_and_told(void **state)
{
    struct fixture *f = *state;
    struct store_status status;
    struct store_batch b;
    store_batch_init(&b);
    fixture_open(f);
    uint64_t taken = overfill(f, 10);
    store_status(f->store, &status);
    assert_int_equal(status.queue_dropped, 10);
    fixture_reopen(f);
    read_all(f, 0, &b);
    cJSON *event;
    assert_int_equal(find_events(&b, "samples_dropped", "queue_full", &event), 1);
    assert_int_equal(json_int(event, "count", 0), 10);
    assert_int_equal(json_int(event, "events", 0), 1);
    assert_int_equal(json_int(event, "last_ts", 0), (int64_t)(taken + 10) * 1000);
    cJSON_Delete(event);
    uint64_t samples = 0;
    for (size_t i = 0; i < b.count; i++)
        samples += !b.records[i].is_event;
    assert_int_equal(samples, taken);
    store_batch_fini(&b);
}

/* The numbers of events about what never had a number: as told to all, or again to this uplink. */
static uint64_t find_queue_event(const struct store_batch *b, const char *uplink, uint64_t after)
{
    for (size_t i = 0; i < b->count; i++) {
        if (!b->records[i].is_event || b->records[i].seq <= after)
            continue;
        cJSON *event = json_parse(b->records[i].body, b->records[i].body_len);
        bool is = strcmp(json_string(event, "reason", ""), "queue_full") == 0 &&
                  strcmp(json_string(event, "uplink", ""), uplink) == 0;
        cJSON_Delete(event);
        if (is)
            return b->records[i].seq;
    }
    return 0;
}

/* What the events in a batch say to uplink coop that was not said before. */
static void add_told_again(const struct store_batch *b, uint64_t first_told, uint64_t *samples,
                           uint64_t *events)
{
    *samples = *events = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (!b->records[i].is_event)
            continue;
        cJSON *event = json_parse(b->records[i].body, b->records[i].body_len);
        if (strcmp(json_string(event, "reason", ""), "queue_full") == 0) {
            assert_string_equal(json_string(event, "uplink", ""), "coop");
            assert_int_equal(json_int(event, "told_from", 0), first_told);
            assert_int_equal(json_int(event, "told_to", 0), first_told);
            assert_int_equal(json_int(event, "first_ts", 0) / 1000 > 0, 1);
            assert_int_equal(json_int(event, "from", 0), 0);
            *samples += (uint64_t)json_int(event, "count", 0);
            *events += (uint64_t)json_int(event, "events", 0);
        }
        cJSON_Delete(event);
    }
}

static void an_event_about_a_full_queue_that_is_lost_itself_is_told_again(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t samples, events;
    store_batch_init(&b);
    fixture_open(f);
    overfill(f, 10);
    fixture_reopen(f);
    read_all(f, 1, &b);
    const uint64_t told = find_queue_event(&b, "", 0);
    assert_true(told > 0);
    /* Twice, so that what is told again is told again, too. */
    for (int round = 0; round < 2; round++) {
        assert_int_equal(store_refused(f->store, 1, 1, store_newest(f->store)), 0);
        assert_int_equal(read_all(f, 1, &b), 0);
        append_and_wait(f, 1);
        assert_int_equal(ask_sql(f->path, "SELECT sum(count) FROM loss WHERE reason IN (4, 5)"), 11);
        fixture_reopen(f);
        read_all(f, 1, &b);
        add_told_again(&b, told, &samples, &events);
        assert_int_equal(samples, 10);
        assert_int_equal(events, 1);
    }
    /* Whoever had the first has nothing to do with the others. */
    read_all(f, 0, &b);
    assert_int_equal(find_queue_event(&b, "", 0), told);
    assert_int_equal(find_queue_event(&b, "", told), 0);
    store_batch_fini(&b);
}

static void a_kill_before_it_is_told_again_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_batch b;
    uint64_t samples, events;
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 1);
    fixture_close(f);
    run_sql(f->path, "INSERT INTO loss(uplink, reason, stream, first, last, count, first_ts, last_ts) VALUES"
                     "(2, 4, 'x', 3, 3, 7, 1000, 2000), (2, 5, 'x', 3, 3, 2, 1000, 2000)");
    fixture_open(f);
    fixture_reopen(f);
    read_all(f, 1, &b);
    add_told_again(&b, 3, &samples, &events);
    assert_int_equal(samples, 7);
    assert_int_equal(events, 2);
    store_batch_fini(&b);
}

static void closing_tells_when_the_disk_did_not_take_the_end(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, low;
    fixture_open(f);
    append_and_wait(f, 10);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    append_sample(f);
    int err = store_close(f->store, NULL);
    f->store = NULL;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, FG_EIO);
    fixture_open(f);
    err = store_close(f->store, NULL);
    f->store = NULL;
    assert_int_equal(err, 0);
}

static void a_disk_that_refuses_is_told_and_costs_nothing_once_it_accepts_again(void **state)
{
    struct fixture *f = *state;
    struct store_status status;
    struct store_batch b;
    struct rlimit before, low;
    struct stat st;
    char wal[128];
    store_batch_init(&b);
    fixture_open(f);
    append_and_wait(f, 10);
    store_delivered(f->store, 0, 1, 5);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &st), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)st.st_size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; i < 300; i++)
        append_sample(f);
    int64_t until = clock_mono_ms() + DEADLINE_S * 1000;
    do
        store_status(f->store, &status);
    while (!status.disk_failing && clock_mono_ms() < until);
    for (int i = 0; i < 300; i++)
        append_sample(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(status.disk_failing);
    assert_non_null(strstr(status.disk_note.text, f->path));
    assert_int_equal(status.newest, 12);
    wait_newest(f, 612);
    store_status(f->store, &status);
    assert_false(status.disk_failing);
    assert_string_equal(status.disk_note.text, "");
    assert_int_equal(read_all(f, 0, &b), 607);
    for (size_t i = 0; i < b.count; i++) {
        assert_int_equal(b.records[i].seq, 6 + i);
        assert_int_equal(b.records[i].ts_ms, (6 + i - 3) * 1000);
    }
    assert_int_equal(status_of(f, 0).dropped, 0);
    store_batch_fini(&b);
}

static void the_view_unfolds_readings_for_people(void **state)
{
    struct fixture *f = *state;
    struct reading readings[2] = {
        {.quality = QUALITY_OUT_OF_RANGE,
         .value = {.kind = VALUE_NUMBER, .number = {.magnitude = 65535, .exponent = -1}}},
        {.quality = QUALITY_NOT_DUE}};
    struct sample doubtful = {.device = 1, .clock_trusted = true, .count = 2, .readings = readings};
    struct sample failed = {.device = 0, .clock_trusted = true, .failed = QUALITY_NO_REPLY};
    fixture_open(f);
    append_and_wait(f, 2);
    assert_int_equal(store_append(f->store, &doubtful), 0);
    assert_int_equal(store_append(f->store, &failed), 0);
    wait_newest(f, 6);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM reading"), 7);
    assert_int_equal(ask_sql(f->path,
                             "SELECT count(*) FROM reading WHERE seq = 4 AND device = 'd1' AND point = 'a' "
                             "AND value = 0.1 AND quality = 'good' AND unit = '%' AND doubtful IS NULL AND "
                             "time = '1970-01-01T00:00:01.000Z' AND length(stream) = 16"),
                     1);
    assert_int_equal(ask_sql(f->path,
                             "SELECT count(*) FROM reading WHERE seq = 5 AND value IS NULL AND quality = "
                             "'out_of_range' AND doubtful = 6553.5"),
                     1);
    assert_int_equal(ask_sql(f->path,
                             "SELECT count(*) FROM reading WHERE seq = 6 AND value IS NULL AND quality = "
                             "'no_reply'"),
                     2);
}

static void a_reading_costs_at_most_nine_bytes_of_database(void **state)
{
    struct fixture *f = *state;
    struct reading readings[8];
    const uint64_t n = 20000;
    f->options.max_bytes = 1024 * 1024 * 1024;
    fixture_open(f);
    for (uint64_t i = 0; i < n; i++) {
        for (uint64_t k = 0; k < 8; k++)
            readings[k] = (struct reading){
                .quality = QUALITY_GOOD,
                .value = {.kind = VALUE_NUMBER,
                          .number = {.magnitude = 200 + (i * 7 + k * 31) % 100, .exponent = -1}}};
        struct sample s = {.device = (uint32_t)(i % 100),
                           .wall_ms = INT64_C(1795230245123) + (int64_t)i * 10,
                           .clock_trusted = true,
                           .count = 8,
                           .readings = readings};
        while (store_append(f->store, &s) == FG_EFULL)
            clock_sleep_until_us(clock_mono_us() + 1000);
    }
    fixture_close(f);
    int64_t pages = ask_sql(f->path, "PRAGMA page_count");
    double bytes = (double)(pages * ask_sql(f->path, "PRAGMA page_size")) / (double)(n * 8);
    print_message("%.2f bytes a reading\n", bytes);
    assert_true(bytes <= 9.0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_committed_and_read_back_in_order),
        TEST(what_is_unusual_about_a_sample_stands_in_its_extra),
        TEST(an_event_must_say_what_it_is),
        TEST(a_batch_ends_at_its_limits_but_never_before_the_first_record),
        TEST(each_uplink_has_its_own_progress_and_keeps_it_over_a_restart),
        TEST(acknowledging_twice_counts_once),
        TEST(a_clean_stop_commits_everything_and_the_next_start_says_started),
        TEST(another_layout_gets_the_next_number_and_ends_a_batch),
        TEST(what_was_delivered_can_be_sent_again_and_the_account_stays_whole),
        TEST(what_is_no_longer_there_or_was_never_meant_for_an_uplink_is_not_sent_again),
        TEST(refused_records_are_dropped_and_told),
        TEST(a_loss_event_that_is_refused_is_told_again),
        TEST(a_new_uplink_begins_with_the_oldest_record_or_with_now),
        TEST(a_removed_uplink_frees_its_records_and_an_event_says_so),
        TEST(samples_that_do_not_fit_into_the_queue_are_counted_and_told),
        TEST(an_event_about_a_full_queue_that_is_lost_itself_is_told_again),
        TEST(a_kill_before_it_is_told_again_costs_nothing),
        TEST(closing_tells_when_the_disk_did_not_take_the_end),
        TEST(a_disk_that_refuses_is_told_and_costs_nothing_once_it_accepts_again),
        TEST(the_view_unfolds_readings_for_people),
        TEST(a_reading_costs_at_most_nine_bytes_of_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
