/* SPDX-License-Identifier: Apache-2.0 */
#include "crash_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../gateway/clock.h"
#include "crash_shim.h"

#define DEADLINE_US 30000000
#define MOST_POINTS 200
/* So many records may wait to be seen: a full store drops the oldest, and of what it dropped before anybody
 * saw it nobody could say what it was. Many times fewer than what the smallest store holds. */
#define MOST_UNSEEN 100

static void give_up(const struct run *r, const char *what, const char *why)
{
    fprintf(stderr, "crash: %s: %s (%s, %" PRIu64 " samples, %" PRIu64 " records known)\n", what, why,
            r->plan->title, r->samples, r->known);
    exit(1);
}

static void write_layout(struct run *r)
{
    struct buf text = BUF_INIT;
    buf_adds(&text, "{\"models\":{\"m\":{\"points\":[");
    for (unsigned i = 0; i < r->plan->points; i++)
        buf_addf(&text, "%s{\"name\":\"p%u\",\"type\":\"number\"}", i ? "," : "", i);
    buf_adds(&text, "]}},\"devices\":[{\"name\":\"d0\",\"model\":\"m\"},{\"name\":\"d1\",\"model\":\"m\"}]}");
    snprintf(r->layout, sizeof r->layout, "%s", text.data);
    buf_fini(&text);
}

static void on_commit(void *run);

void run_init(struct run *r, const struct run_plan *plan, const char *folder, uint64_t random)
{
    memset(r, 0, sizeof *r);
    r->plan = plan;
    r->random = random;
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    snprintf(r->path, sizeof r->path, "%s/buffer.db", folder);
    pthread_mutex_init(&r->lock, NULL);
    write_layout(r);
    r->trusted = true;
    r->time.boot_id = r->boot_id;
    r->uplinks[0].name = "province";
    r->uplinks[1].name = "coop";
    r->options = (struct store_options){.path = r->path,
                                        .max_bytes = plan->max_bytes,
                                        .commit_every_ms = 1,
                                        .keep_delivered_ms = plan->keep_delivered_ms,
                                        .layout = r->layout,
                                        .layout_len = strlen(r->layout),
                                        .software = "crash",
                                        .uplinks = r->uplinks,
                                        .uplink_count = RUN_UPLINKS,
                                        .machine_id = "one",
                                        .hold_untrusted = plan->hold_ms > 0,
                                        .hold_ms = plan->hold_ms,
                                        .time = &r->time,
                                        .on_commit = on_commit,
                                        .on_commit_context = r};
    store_batch_init(&r->batch);
}

void run_go_back(struct run *r, uint64_t newest)
{
    for (; r->known > newest; r->known--) {
        free(r->records[r->known].body);
        free(r->records[r->known].extra);
    }
}

void run_boot(struct run *r)
{
    snprintf(r->boot_id, sizeof r->boot_id, "%032" PRIx64, ++r->boots);
}

void run_fini(struct run *r)
{
    run_go_back(r, 0);
    free(r->records);
    for (size_t u = 0; u < RUN_UPLINKS; u++)
        seqset_fini(&r->acked[u]);
    store_batch_fini(&r->batch);
    pthread_mutex_destroy(&r->lock);
}

const struct run_record *run_find(const struct run *r, uint64_t seq)
{
    return seq >= 1 && seq <= r->known ? &r->records[seq] : NULL;
}

/* ---- learning what was committed ---- */

static void learn_one(struct run *r, const struct store_record *rec, const char *stream)
{
    if (rec->seq != r->known + 1)
        give_up(r, "the numbers of new records", "are not dense");
    if (r->known + 2 > r->cap) {
        r->cap = r->cap ? r->cap * 2 : 4096;
        r->records = crash_alloc(r->records, r->cap * sizeof *r->records);
    }
    r->records[++r->known] = (struct run_record){.ts_ms = rec->ts_ms,
                                                 .device = rec->is_event ? UINT32_MAX : rec->device,
                                                 .body = strdup(rec->body),
                                                 .extra = strdup(rec->extra)};
    snprintf(r->records[r->known].stream, STORE_STREAM_TEXT, "%s", stream);
}

/* Nobody had the new records yet, so all of them wait for uplink 0. */
static void learn(struct run *r)
{
    struct store_limits limits = {.max_records = 10000, .max_bytes = 10000000};
    int n;
    pthread_mutex_lock(&r->lock);
    while ((n = store_read(r->store, 0, r->known + 1, UINT64_MAX, &limits, &r->batch)) > 0)
        for (int i = 0; i < n; i++)
            learn_one(r, &r->batch.records[i], r->batch.stream);
    if (n < 0)
        give_up(r, "store_read", err_text(n));
    shim_committed(r->known);
    pthread_mutex_unlock(&r->lock);
}

static void on_commit(void *run)
{
    struct run *r = run;
    /* store_open() commits before it has told us what the store is; nothing but itself is news then. */
    if (__atomic_load_n(&r->store, __ATOMIC_ACQUIRE))
        learn(r);
}

/* ---- working ---- */

int run_append(struct run *r, struct store *s)
{
    struct reading readings[MOST_POINTS];
    uint64_t i = r->samples;
    for (unsigned p = 0; p < r->plan->points; p++)
        readings[p] = (struct reading){
            .quality = QUALITY_GOOD,
            .value = {.kind = VALUE_NUMBER,
                      .number = {.magnitude = i * 7919 + p * 104729 % 1000, .exponent = -1}}};
    struct sample sample = {.device = (uint32_t)(i % 2),
                            .wall_ms = 1795230245123 + (int64_t)i * 1000,
                            .clock_trusted = r->plan->hold_ms ? r->trusted : i % 16 != 0,
                            .mono_ms = clock_mono_ms(),
                            .count = r->plan->points,
                            .readings = readings};
    int err = i % 23 == 0 ? store_append_event(s, sample.wall_ms, "{\"event\":\"clock_set\"}")
                          : store_append(s, &sample);
    if (err == 0)
        r->samples++;
    return err;
}

static uint64_t known(struct run *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t n = r->known;
    pthread_mutex_unlock(&r->lock);
    return n;
}

static void wait_known(struct run *r, uint64_t seq)
{
    int64_t end = clock_mono_us() + DEADLINE_US;
    while (known(r) < seq) {
        if (clock_mono_us() > end) {
            struct store_status status;
            store_status(r->store, &status);
            give_up(r, "the store does not commit", status.disk_note.text);
        }
        clock_sleep_until_us(clock_mono_us() + 100);
    }
}

static void append_some(struct run *r)
{
    uint64_t n = 1 + crash_below(&r->random, crash_below(&r->random, 3) ? 12 : 120), before = known(r);
    for (uint64_t i = 0; i < n; i++) {
        int err;
        while ((err = run_append(r, r->store)) == FG_EFULL)
            clock_sleep_until_us(clock_mono_us() + 500);
        if (err)
            give_up(r, "store_append", err_text(err));
    }
    r->due = (r->due > before ? r->due : before) + n;
    bool wait = crash_below(&r->random, 5);
    if (r->trusted && (wait || r->due > before + MOST_UNSEEN))
        wait_known(r, r->due);
}

/* What is read is sent, and what is sent is acknowledged: only that, not all between the first and the last
 * number. */
static void ack(struct run *r, size_t uplink, uint64_t from, uint64_t to, struct store_batch *b)
{
    struct store_limits limits = {.max_records = 100, .max_bytes = 100000};
    int n = store_read(r->store, uplink, from, to, &limits, b);
    if (n < 0)
        give_up(r, "store_read", err_text(n));
    if (n == 0)
        return;
    uint64_t first = b->records[0].seq, last = b->records[n - 1].seq;
    if (crash_below(&r->random, 100) < r->plan->refuse_percent) {
        store_refused(r->store, uplink, first, last);
        return;
    }
    for (int i = 0; i < n; i++)
        shim_acked(uplink, b->records[i].seq, b->records[i].seq);
    store_delivered(r->store, uplink, first, last);
}

/* The first uplink gets on well: the newest first, the backlog beside it. The second is mostly away. */
static void ack_some(struct run *r, struct store_batch *b)
{
    uint64_t newest = known(r), first, last, count;
    uint64_t step = 1 + crash_below(&r->random, 60);
    if (crash_below(&r->random, 5))
        ack(r, 0, newest > step ? newest - step : 1, newest, b);
    for (size_t u = 0; u < RUN_UPLINKS; u++) {
        if (crash_below(&r->random, u == 0 ? 2 : 7) || !store_waiting(r->store, u, &first, &last, &count))
            continue;
        uint64_t to = first + step < newest ? first + step : newest;
        ack(r, u, first + crash_below(&r->random, 5), to, b);
    }
}

/* The clock is lost and found again, the link comes and goes. */
static void change_clock(struct run *r)
{
    if (!r->plan->hold_ms || crash_below(&r->random, 3))
        return;
    r->trusted = crash_below(&r->random, 2);
    store_clock(r->store, r->trusted, crash_below(&r->random, 2));
}

static void send_again(struct run *r)
{
    if (crash_below(&r->random, 15))
        return;
    uint64_t first = 1 + crash_below(&r->random, known(r));
    store_resend(r->store, crash_below(&r->random, RUN_UPLINKS), first, first + crash_below(&r->random, 50));
}

void run_record(struct run *r, const struct image *start, struct history *h)
{
    struct err_note note = {{0}};
    struct store_batch b;
    struct store *s;
    r->due = 0;
    unsigned steps = 4 + (unsigned)crash_below(&r->random, 24);
    run_boot(r);
    r->options.clock_trusted = r->trusted;
    image_write(start, r->folder);
    shim_begin(r->folder, start, h);
    int err = store_open(&r->options, &s, &note);
    if (err)
        give_up(r, "store_open", note.text);
    __atomic_store_n(&r->store, s, __ATOMIC_RELEASE);
    store_batch_init(&b);
    learn(r);
    for (unsigned i = 0; i < steps; i++) {
        append_some(r);
        ack_some(r, &b);
        send_again(r);
        change_clock(r);
        shim_skip_time((int64_t)crash_below(&r->random, r->plan->skip_ms + 1));
    }
    store_close(r->store, NULL);
    __atomic_store_n(&r->store, NULL, __ATOMIC_RELEASE);
    shim_end();
    store_batch_fini(&b);
}
