/* SPDX-License-Identifier: Apache-2.0 */
#include "store_space.h"

#include <sqlite3.h>

#include "store_clock.h"
#include "store_loss.h"
#include "store_memory.h"
#include "store_progress.h"

#define MARK_MOST_MS (3600 * INT64_C(1000))
#define MARK_LEAST_MS 10
#define CHUNK_LEAST 64

/* The records of from..to that are in the file and, unless waiting_too, wait for nobody: their first run. */
static bool next_run(const struct store *s, uint64_t from, uint64_t to, bool waiting_too,
                     struct seqset_range *ret)
{
    size_t sets = waiting_too ? 0 : s->uplink_count;
    struct seqset_range r;
    uint64_t end = to;
    /* Set number `sets` is the holes. A set that has `from` moves it on, and the others are asked again. */
    for (size_t i = 0; i <= sets && from <= to; i++) {
        const struct seqset *avoid = i < sets ? &s->uplinks[i].waiting : &s->holes;
        if (!seqset_next(avoid, from, to, &r))
            continue;
        if (r.first > from) {
            if (r.first - 1 < end)
                end = r.first - 1;
            continue;
        }
        from = r.last + 1;
        end = to;
        i = (size_t)-1;
    }
    ret->first = from;
    ret->last = end;
    return from <= to;
}

static int forget(struct store *s, struct seqset_range r)
{
    struct seqset_range hole;
    int err = store_snapshot_take(s);
    struct seqset_range w;
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        if (!seqset_next(&s->uplinks[i].waiting, r.first, r.last, &w))
            continue;
        err = store_loss_keep(s, i, w.first, r.last);
        if (!err)
            err = store_progress_drop(s, i, r.first, r.last, LOSS_FULL);
    }
    if (err)
        return err;
    int64_t range[] = {(int64_t)r.first, (int64_t)r.last};
    err = store_db_run_ints(&s->db, STMT_DELETE, range, 2);
    if (err)
        return err;
    if (r.first > s->oldest) {
        s->holes_dirty = true;
        return seqset_add(&s->holes, r.first, r.last);
    }
    s->oldest = r.last + 1;
    if (seqset_next(&s->holes, s->oldest, s->newest, &hole) && hole.first == s->oldest) {
        s->oldest = hole.last + 1;
        s->holes_dirty = true;
        err = seqset_remove(&s->holes, hole.first, hole.last);
    }
    return err;
}

/* The newest record always stays: the next number is counted from it. */
static bool oldest_run(const struct store *s, uint64_t to, bool waiting_too, struct seqset_range *ret)
{
    uint64_t first = store_part_first(s), last = store_part_last(s);
    if (to >= last)
        to = last > 0 ? last - 1 : 0;
    return first <= to && next_run(s, first, to, waiting_too, ret);
}

static void shorten(struct seqset_range *r, uint64_t most)
{
    if (r->last - r->first >= most)
        r->last = r->first + most - 1;
}

int store_space_make(struct store *s, int64_t pages)
{
    for (;;) {
        int64_t all = 0, unused = 0;
        int err = store_db_get_int(&s->db, STMT_PAGE_COUNT, 0, &all);
        if (!err)
            err = store_db_get_int(&s->db, STMT_FREE_COUNT, 0, &unused);
        int64_t used = all - unused;
        if (err || used + pages <= s->sizes.soft_pages)
            return err;
        struct seqset_range r;
        if (!oldest_run(s, UINT64_MAX, false, &r) && !oldest_run(s, UINT64_MAX, true, &r))
            return FG_EFULL;
        int64_t missing = used + pages - s->sizes.soft_pages;
        uint64_t first = store_part_first(s), last = store_part_last(s);
        uint64_t records = last + 1 - first - seqset_count(&s->holes, first, last);
        uint64_t per_page = records / (uint64_t)used + 1;
        shorten(&r, (uint64_t)missing * per_page + CHUNK_LEAST);
        err = forget(s, r);
        if (err)
            return err;
    }
}

int store_space_expire(struct store *s, uint64_t max_records)
{
    struct seqset_range r;
    uint64_t to = s->keep_delivered_ms > 0 ? s->expired : s->newest;
    int err = 0;
    while (!err && max_records > 0 && oldest_run(s, to, false, &r)) {
        shorten(&r, max_records);
        max_records -= r.last - r.first + 1;
        err = forget(s, r);
    }
    return err;
}

int64_t store_space_run_ms(const struct store *s)
{
    return s->run_before_ms + (store_clock_mono_ms(s) - s->opened_mono_ms);
}

static void mark_for(int64_t age_ms, int64_t *every_ms, int64_t *longest_ms)
{
    if (age_ms > 0 && age_ms / 16 < *every_ms)
        *every_ms = age_ms / 16 > MARK_LEAST_MS ? age_ms / 16 : MARK_LEAST_MS;
    if (age_ms > *longest_ms)
        *longest_ms = age_ms;
}

static int newest_mark(struct store_db *d, int64_t until_run_ms, uint64_t *ret_seq)
{
    int64_t seq;
    sqlite3_bind_int64(d->stmt[STMT_MARK_UNTIL], 1, until_run_ms);
    int err = store_db_get_int(d, STMT_MARK_UNTIL, 0, &seq);
    if (!err)
        *ret_seq = seq > 0 ? (uint64_t)seq : 0;
    return err;
}

int store_space_mark(struct store *s)
{
    int64_t every = MARK_MOST_MS, longest = 0, now = store_clock_mono_ms(s);
    mark_for(s->keep_delivered_ms, &every, &longest);
    for (size_t i = 0; i < s->uplink_count; i++)
        mark_for(s->uplinks[i].max_age_ms, &every, &longest);
    if (s->marked && now - s->mark_mono_ms < every)
        return 0;
    int64_t run_ms = store_space_run_ms(s);
    uint64_t expired = 0, unused = 0;
    int64_t mark[] = {(int64_t)store_part_last(s), run_ms};
    int err = store_db_run_ints(&s->db, STMT_MARK_ADD, mark, 2);
    if (!err)
        err = store_db_meta_set_int(&s->db, "run_ms", run_ms);
    if (!err)
        err = newest_mark(&s->db, run_ms - s->keep_delivered_ms, &expired);
    if (!err)
        err = newest_mark(&s->db, run_ms - longest, &unused);
    if (!err && unused > 0) {
        int64_t before = (int64_t)unused;
        err = store_db_run_ints(&s->db, STMT_MARK_FORGET, &before, 1);
    }
    if (!err && expired > 0)
        s->expired = expired;
    s->mark_mono_ms = now;
    s->marked = true;
    return err;
}

int store_space_older(struct store *s, int64_t age_ms, uint64_t *ret_seq)
{
    const int64_t until = store_space_run_ms(s) - age_ms;
    uint64_t here = 0, there = 0;
    int err = s->db.db ? newest_mark(&s->db, until, &here) : FG_EIO;
    /* While new records go to memory, the file's marks are about older ones. */
    if (!err && here == 0 && s->memory.on && s->memory.other.db)
        err = newest_mark(&s->memory.other, until, &there);
    if (!err)
        *ret_seq = here > there ? here : there;
    return err;
}
