/* SPDX-License-Identifier: Apache-2.0 */
#include "store_writer.h"

#include <inttypes.h>
#include <sqlite3.h>

#include "clock.h"
#include "store_clock.h"
#include "store_group.h"
#include "store_loss.h"
#include "store_memory.h"
#include "store_progress.h"
#include "store_salvage.h"
#include "store_salvage_job.h"
#include "store_space.h"
#include "text.h"

#define GROUP_RECORDS 4096
/* Once a group has begun the writer looks up when it is due, or when so much waits. */
#define WAKE_BYTES (64 * 1024)
#define RETRY_FIRST_MS 250
#define RETRY_MOST_MS 10000
#define COMMIT_LIMIT_MS 120000 /* a worn card can take tens of seconds for one sync */
#define CLOSE_TRIES 5
#define CLOSE_WAIT_MS 200
#define CLOSE_SALVAGE_MS 10000 /* the service has 20 s to stop */
#define EXPIRE_LEAST 512

/* Numbers are reserved ahead, so that this file is written once in 100,000 records. */
static int reserve_numbers(struct store *s)
{
    uint64_t last = s->newest + s->group.count;
    if (s->memory.on || last <= s->side.reserved)
        return 0;
    struct store_side side = s->side;
    side.reserved = last + STORE_RESERVE;
    side.committed = s->newest;
    side.oldest = s->oldest;
    int err = store_side_write(s->path, &side);
    if (!err)
        s->side = side;
    else
        store_failure(s, NULL, err);
    return err;
}

static int64_t pages_needed(const struct store *s)
{
    /* Rows are shorter than entries by their heads; half a page more per page is ample. */
    return (int64_t)(s->group.data.len / STORE_PAGE_SIZE) * 3 / 2 + 4;
}

static int fill(struct store *s, int64_t more_pages, store_also *also, void *context)
{
    int64_t now = clock_mono_ms();
    int err = also ? also(s, context) : 0;
    if (!err)
        err = store_space_expire(s, s->group.count * 2 + EXPIRE_LEAST);
    if (!err)
        err = store_space_make(s, pages_needed(s) + more_pages);
    if (!err)
        err = store_space_mark(s);
    if (!err)
        err = store_group_insert(&s->group, &s->db, s->newest + 1, s->layout);
    if (!err)
        err = store_clock_write(s);
    /* What is lost must be remembered in the transaction that removes it; acknowledgements may wait. */
    s->writing_progress =
        s->losses_dirty || s->holes_dirty || also || now - s->progress_mono_ms >= STORE_PROGRESS_MS;
    if (!err && s->writing_progress)
        err = store_progress_write(s);
    return err;
}

static int transaction(struct store *s, int64_t more_pages, store_also *also, void *context)
{
    s->snapshot_taken = false;
    int err = store_progress_reserve(s);
    if (!err)
        err = reserve_numbers(s);
    if (err)
        return err;
    err = store_db_run(&s->db, STMT_BEGIN);
    if (!err)
        err = fill(s, more_pages, also, context);
    if (!err)
        err = store_db_run(&s->db, STMT_COMMIT);
    if (err) {
        store_failure(s, &s->db, err);
        /* SQLite may already have rolled back by itself. */
        if (s->db.db && !sqlite3_get_autocommit(s->db.db))
            store_db_run(&s->db, STMT_ROLLBACK);
        store_snapshot_restore(s);
    }
    return err;
}

/* After a commit: what was tried is now so. */
static void take_over(struct store *s)
{
    if (s->writing_progress)
        store_progress_written(s, clock_mono_ms());
    store_progress_commit(s, s->newest + s->group.count);
    store_clock_committed(s);
    store_group_reset(&s->group);
    s->commits++;
    s->stuck = false;
    s->retry_wait_ms = 0;
    s->retry_mono_ms = 0;
    if (s->memory.on)
        return;
    s->disk_failing = false;
    s->failing_mono_ms = 0;
    s->disk_note.text[0] = 0;
}

static bool at_cap(struct store *s)
{
    int64_t pages;
    return store_db_get_int(&s->db, STMT_PAGE_COUNT, 0, &pages) == 0 &&
           pages + pages_needed(s) * 2 >= s->sizes.soft_pages;
}

void store_failure(struct store *s, const struct store_db *d, int err)
{
    const char *next = err == FG_EFULL    ? _("free space on this partition")
                       : err == FG_ERETRY ? _("another program holds the database; close it")
                                          : _("check the card or disk (dmesg) and its mount");
    bool told = d && d->db && store_db_error(sqlite3_errcode(d->db)) == err;
    const char *said = told              ? sqlite3_errmsg(d->db)
                       : err == FG_EFULL ? _("no space is left")
                                         : _("the file system refuses it");
    err_note(&s->disk_note, err, "store: %s cannot be written: %s; %s", s->path, said, next);
}

/* The group is kept for another try. */
static void failed(struct store *s)
{
    int64_t now = clock_mono_ms();
    if (!s->stuck)
        s->stuck_mono_ms = now;
    s->stuck = true;
    s->retry_wait_ms = s->retry_wait_ms ? s->retry_wait_ms * 2 : RETRY_FIRST_MS;
    if (s->retry_wait_ms > RETRY_MOST_MS)
        s->retry_wait_ms = RETRY_MOST_MS;
    s->retry_mono_ms = now + s->retry_wait_ms;
    if (s->memory.on)
        return;
    s->disk_failing = true;
    if (!s->failing_mono_ms)
        s->failing_mono_ms = now;
    /* Not long after it is time for memory. */
    int64_t memory = s->stuck_mono_ms + s->memory.after_ms;
    if (memory > now && memory < s->retry_mono_ms)
        s->retry_mono_ms = memory;
}

int store_commit(struct store *s, store_also *also, void *context)
{
    int err = transaction(s, 0, also, context);
    /* The estimate was too low: more room is made, unless it is the partition that is full. */
    for (int64_t more = 16; err == FG_EFULL && more <= 1024 && at_cap(s); more *= 4)
        err = transaction(s, more, also, context);
    if (err)
        failed(s);
    else
        take_over(s);
    return err;
}

/* While the disk refuses, only the memory of a group has a limit. */
static size_t most_records(const struct store *s)
{
    return s->stuck ? SIZE_MAX : GROUP_RECORDS;
}

static bool is_full(const struct store *s)
{
    return s->group.data.len >= s->sizes.group_bytes || s->group.count >= most_records(s);
}

/* Fills the group until it is time to commit; FG_ECLOSED when there will be no more. */
static int collect(struct store *s)
{
    while (!is_full(s)) {
        int64_t deadline = clock_mono_ms() + STORE_TICK_MS;
        if (s->stuck)
            deadline = s->retry_mono_ms;
        else if (s->clock_due)
            deadline = clock_mono_ms();
        else if (s->group.count > 0)
            deadline = s->group_since_mono_ms + s->commit_every_ms;
        if (!s->stuck && deadline > store_memory_due_mono_ms(s))
            deadline = store_memory_due_mono_ms(s);
        /* What is held back must be out of the queue when the time becomes known: it is corrected then. */
        if (s->group.count > 0 && !s->stuck && !store_clock_holds(s))
            queue_wait(s->queue, WAKE_BYTES, deadline);
        bool first = s->group.count == 0;
        int err = store_group_pop(&s->group, s->queue, s->sizes.group_bytes, most_records(s), deadline);
        if (err)
            return err;
        if (first)
            s->group_since_mono_ms = clock_mono_ms();
    }
    return 0;
}

/* The group is full and the disk refuses: nothing is taken from the queue until the next try. */
static void wait_for_disk(struct store *s, bool closing)
{
    int64_t ms = s->retry_mono_ms - clock_mono_ms();
    if (closing && ms > CLOSE_WAIT_MS)
        ms = CLOSE_WAIT_MS;
    struct timespec until = clock_cond_after_us(ms > 0 ? ms * 1000 : 0);
    pthread_mutex_lock(&s->append_lock);
    if (ms > 0 && s->closing == closing)
        pthread_cond_timedwait(&s->closing_cond, &s->append_lock, &until);
    pthread_mutex_unlock(&s->append_lock);
}

static void refusal_event(const struct store_refusals *r, struct buf *out)
{
    buf_addf(out, "{\"event\":\"samples_dropped\",\"count\":%" PRIu64, r->samples);
    if (r->events)
        buf_addf(out, ",\"events\":%" PRIu64, r->events);
    buf_addf(out, ",\"first_ts\":%" PRId64 ",\"last_ts\":%" PRId64 ",\"reason\":\"queue_full\"}", r->first_ts,
             r->last_ts);
}

static void tell_refusals(struct store *s)
{
    struct buf text = BUF_INIT;
    pthread_mutex_lock(&s->append_lock);
    if (s->refusals.samples || s->refusals.events) {
        refusal_event(&s->refusals, &text);
        if (buf_ok(&text) && store_clock_event(s, text.data, text.len) == 0)
            s->refusals = (struct store_refusals){0};
    }
    pthread_mutex_unlock(&s->append_lock);
    buf_fini(&text);
}

static void tell(struct store *s, bool all)
{
    /* While a group is kept for another try its events stand in it already. */
    if (s->stuck)
        return;
    tell_refusals(s);
    store_clock_tell(s);
    store_loss_tell(s, store_clock_mono_ms(s), all);
}

static bool is_closing(struct store *s)
{
    pthread_mutex_lock(&s->append_lock);
    bool closing = s->closing;
    pthread_mutex_unlock(&s->append_lock);
    return closing;
}

static bool lasts(int64_t since_mono_ms)
{
    return since_mono_ms && clock_mono_ms() - since_mono_ms >= STORE_PATIENCE_MS;
}

/* A database that is damaged, cannot be read in some place for good, or could not be opened again. */
static bool needs_repair(const struct store *s, int err)
{
    if (s->memory.on)
        return false; /* the file's turn comes when it is tried again */
    return !s->db.db || err == FG_ECORRUPT || (err == FG_EIO && lasts(s->failing_mono_ms)) ||
           lasts(s->read_failing_mono_ms);
}

/* A large file is saved by a thread, while this one goes on in memory. */
static int repair_beside(struct store *s)
{
    int err = store_memory_begin_repair(s);
    return err ? err : store_commit(s, NULL, NULL);
}

static int commit_or_repair(struct store *s)
{
    int err = needs_repair(s, 0) ? FG_ECORRUPT : store_commit(s, NULL, NULL);
    if (!needs_repair(s, err))
        return err;
    err = store_salvage_job_is_long(s->salvage) ? repair_beside(s) : store_repair(s);
    if (err)
        failed(s);
    /* Not again at once: where it does not help it costs the reading of the whole file. */
    s->failing_mono_ms = err ? clock_mono_ms() : 0;
    s->read_failing_mono_ms = 0;
    return err;
}

/* A disk that goes on refusing: from now on to memory. When closing there is no time to wait for it. */
static int commit_in_memory(struct store *s, int err)
{
    bool long_enough = s->stuck && clock_mono_ms() - s->stuck_mono_ms >= s->memory.after_ms;
    if (!err || s->memory.on || err == FG_ENOMEM || !(long_enough || is_closing(s)))
        return err;
    int over = store_memory_begin(s);
    return over ? err : store_commit(s, NULL, NULL);
}

/* False when there was something to commit and it failed. */
static bool one_round(struct store *s)
{
    int err = 0;
    pulse_expect(&s->pulse, COMMIT_LIMIT_MS); /* also for whoever reads before us */
    store_turn_take(&s->turn);
    uint64_t newest = s->newest, last = store_clock_last(s);
    tell(s, false);
    bool old = store_progress_dirty(s) && clock_mono_ms() - s->progress_mono_ms >= STORE_PROGRESS_MS;
    if (s->group.count > 0 || old || store_clock_due(s) || needs_repair(s, 0)) {
        pulse_expect(&s->pulse, COMMIT_LIMIT_MS);
        err = commit_in_memory(s, commit_or_repair(s));
    }
    if (!err && clock_mono_ms() >= store_memory_due_mono_ms(s))
        store_memory_try(s);
    bool news = s->newest != newest || store_clock_last(s) != last;
    s->clock_due = !err && store_clock_due(s);
    store_turn_give(&s->turn);
    if (news && s->on_commit && !is_closing(s))
        s->on_commit(s->on_commit_context);
    return err == 0;
}

static int write_end(struct store *s, void *context)
{
    (void)context;
    int err = store_db_meta_set_int(&s->db, "clean", 1);
    if (!err)
        err = store_db_meta_set_int(&s->db, "run_ms", store_space_run_ms(s));
    return err;
}

/* What is in memory goes to the disk, if it takes it now. */
static int leave_memory(struct store *s)
{
    int err = s->memory.on && s->group.count > 0 ? store_commit(s, NULL, NULL) : 0;
    while (!err && s->memory.on) {
        uint64_t before = s->memory.first;
        store_memory_try(s);
        if (s->memory.on && s->memory.first == before)
            err = FG_EIO;
    }
    return err;
}

static void count_lost(struct store *s)
{
    uint64_t most = 0;
    for (size_t i = 0; s->memory.on && i < s->uplink_count; i++) {
        uint64_t n = seqset_count(&s->uplinks[i].waiting, s->memory.first, UINT64_MAX);
        most = n > most ? n : most;
    }
    s->lost.records = store_memory_records(s) + s->group.count;
    s->lost.undelivered = s->uplink_count > 0 ? most + s->group.count : 0;
}

/* What is in memory has nowhere else to go. */
static void wait_for_salvage(struct store *s)
{
    int64_t until = clock_mono_us() + CLOSE_SALVAGE_MS * INT64_C(1000);
    while (store_salvage_job_runs(s->salvage) && clock_mono_us() < until)
        clock_sleep_until_us(clock_mono_us() + 10000);
}

/* Everything still in memory, in as many transactions as it takes; then the mark of a clean end. */
static void finish(struct store *s)
{
    int err = FG_ERETRY;
    pulse_expect(&s->pulse, COMMIT_LIMIT_MS);
    wait_for_salvage(s);
    for (int i = 0; i < CLOSE_TRIES && err; i++) {
        if (i > 0)
            clock_sleep_until_us(clock_mono_us() + CLOSE_WAIT_MS * 1000);
        store_turn_take(&s->turn);
        tell(s, true);
        err = leave_memory(s);
        if (!err)
            err = store_commit(s, write_end, NULL);
        if (!err) {
            s->side.clean = true;
            s->side.committed = s->side.reserved = s->newest;
            s->side.oldest = s->oldest;
            store_side_write(s->path, &s->side);
        }
        store_turn_give(&s->turn);
    }
    if (err)
        count_lost(s);
}

void *store_writer_run(void *store)
{
    struct store *s = store;
    int last_tries = 0;
    while (last_tries < CLOSE_TRIES) {
        pulse_beat(&s->pulse);
        int err = collect(s);
        if (err == FG_ECLOSED)
            break;
        if (err == FG_ENOMEM)
            clock_sleep_until_us(clock_mono_us() + STORE_TICK_MS * 1000);
        bool closing = is_closing(s);
        if (s->stuck && clock_mono_ms() < s->retry_mono_ms) {
            wait_for_disk(s, closing);
            if (!closing)
                continue;
        }
        if (!one_round(s) && closing)
            last_tries++;
    }
    finish(s);
    pulse_end(&s->pulse);
    return NULL;
}
