/* SPDX-License-Identifier: Apache-2.0 */
#include "store_progress.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "store_loss.h"
#include "store_memory.h"

uint64_t store_progress_accepted(const struct store *s, const struct store_uplink_state *u)
{
    return s->newest + 1 - u->start - u->absent;
}

int store_progress_reserve(struct store *s)
{
    int err = 0;
    for (size_t i = 0; i < s->uplink_count && !err; i++)
        err = seqset_reserve(&s->uplinks[i].waiting, 1);
    return err;
}

void store_progress_commit(struct store *s, uint64_t newest)
{
    uint64_t first = s->newest + 1;
    if (newest < first)
        return;
    for (size_t i = 0; i < s->uplink_count; i++)
        seqset_add(&s->uplinks[i].waiting, first, newest);
    if (s->oldest > s->newest)
        s->oldest = first;
    s->newest = newest;
    s->recorded += newest + 1 - first;
}

int store_progress_drop(struct store *s, size_t uplink, uint64_t first, uint64_t last,
                        enum store_loss_reason reason)
{
    struct store_uplink_state *u = &s->uplinks[uplink];
    struct seqset_range r;
    int err = seqset_reserve(&u->waiting, 1);
    if (err)
        return err;
    while (seqset_next(&u->waiting, first, last, &r)) {
        /* The others' rows are removed in the same transaction. */
        if (reason != LOSS_FULL && (err = seqset_add(&u->lost, r.first, r.last)))
            return err;
        store_loss_add(s, uplink, reason, r.first, r.last);
        seqset_remove(&u->waiting, r.first, r.last);
        u->dropped += r.last - r.first + 1;
        u->dropped_by[reason] += r.last - r.first + 1;
        u->dirty = true;
    }
    return 0;
}

bool store_progress_dirty(const struct store *s)
{
    for (size_t i = 0; i < s->uplink_count; i++)
        if (s->uplinks[i].dirty)
            return true;
    return s->holes_dirty || s->losses_dirty;
}

static int write_ranges(struct store *s, int64_t id, const struct seqset *set)
{
    int err = store_db_run_ints(&s->db, STMT_WAITING_CLEAR, &id, 1);
    for (size_t i = 0; i < set->count && !err; i++) {
        int64_t range[] = {id, (int64_t)set->ranges[i].first, (int64_t)set->ranges[i].last};
        err = store_db_run_ints(&s->db, STMT_WAITING_ADD, range, 3);
    }
    return err;
}

void store_progress_reason_key(int64_t uplink_id, enum store_loss_reason reason, char ret[64])
{
    snprintf(ret, 64, "dropped/%lld/%s", (long long)uplink_id, store_loss_word(reason));
}

static int write_reasons(struct store *s, const struct store_uplink_state *u)
{
    int err = 0;
    for (int i = 0; i < STORE_LOSS_REASONS && !err; i++) {
        char key[64];
        store_progress_reason_key(u->id, (enum store_loss_reason)i, key);
        if (u->dropped_by[i] > 0)
            err = store_db_meta_set_int(&s->db, key, (int64_t)u->dropped_by[i]);
    }
    return err;
}

static int write_uplink(struct store *s, const struct store_uplink_state *u)
{
    int64_t row[] = {u->id, (int64_t)store_part_last(s), (int64_t)u->delivered, (int64_t)u->dropped};
    int err = store_db_run_ints(&s->db, STMT_UPLINK_SET, row, 4);
    if (!err)
        err = write_reasons(s, u);
    if (!err)
        err = write_ranges(s, u->id, &u->waiting);
    return err ? err : write_ranges(s, -u->id, &u->lost);
}

static int write_holes(struct store *s)
{
    int err = store_db_run(&s->db, STMT_HOLE_CLEAR);
    for (size_t i = 0; i < s->holes.count && !err; i++) {
        int64_t range[] = {(int64_t)s->holes.ranges[i].first, (int64_t)s->holes.ranges[i].last};
        err = store_db_run_ints(&s->db, STMT_HOLE_ADD, range, 2);
    }
    return err;
}

int store_progress_write(struct store *s)
{
    int err = 0;
    for (size_t i = 0; i < s->uplink_count && !err; i++)
        if (s->uplinks[i].dirty)
            err = write_uplink(s, &s->uplinks[i]);
    if (!err && s->holes_dirty)
        err = write_holes(s);
    if (!err && s->losses_dirty)
        err = store_loss_write(s);
    return err;
}

void store_progress_written(struct store *s, int64_t now_mono_ms)
{
    for (size_t i = 0; i < s->uplink_count; i++) {
        s->uplinks[i].dirty = false;
        /* Removing a beginning cannot fail, and longer would do no harm. */
        if (s->uplinks[i].lost.count && s->oldest > 1)
            (void)seqset_remove(&s->uplinks[i].lost, 0, s->oldest - 1);
    }
    s->holes_dirty = false;
    store_loss_committed(s);
    s->progress_mono_ms = now_mono_ms;
}

int store_snapshot_take(struct store *s)
{
    if (s->snapshot_taken)
        return 0;
    int err = seqset_copy(&s->was_holes, &s->holes);
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        struct store_uplink_state *u = &s->uplinks[i];
        err = seqset_copy(&u->was_waiting, &u->waiting);
        u->was_dropped = u->dropped;
        memcpy(u->was_dropped_by, u->dropped_by, sizeof u->dropped_by);
        u->was_dirty = u->dirty;
    }
    if (err)
        return err;
    memcpy(s->was_losses, s->losses, s->loss_count * sizeof *s->losses);
    s->was_loss_count = s->loss_count;
    s->was_losses_dirty = s->losses_dirty;
    s->was_oldest = s->oldest;
    s->was_holes_dirty = s->holes_dirty;
    s->snapshot_taken = true;
    return 0;
}

static void swap(struct seqset *a, struct seqset *b)
{
    struct seqset c = *a;
    *a = *b;
    *b = c;
}

void store_snapshot_restore(struct store *s)
{
    if (!s->snapshot_taken)
        return;
    for (size_t i = 0; i < s->uplink_count; i++) {
        struct store_uplink_state *u = &s->uplinks[i];
        swap(&u->waiting, &u->was_waiting);
        u->dropped = u->was_dropped;
        memcpy(u->dropped_by, u->was_dropped_by, sizeof u->dropped_by);
        u->dirty = u->was_dirty;
    }
    swap(&s->holes, &s->was_holes);
    s->oldest = s->was_oldest;
    s->holes_dirty = s->was_holes_dirty;
    memcpy(s->losses, s->was_losses, s->was_loss_count * sizeof *s->losses);
    s->loss_count = s->was_loss_count;
    s->losses_dirty = s->was_losses_dirty;
    s->snapshot_taken = false;
}
