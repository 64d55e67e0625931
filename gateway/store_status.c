/* SPDX-License-Identifier: Apache-2.0 */
/* store_status - the figures for status, taken under the store's turn. */
#include <string.h>

#include "store_clock.h"
#include "store_file.h"
#include "store_memory.h"
#include "store_progress.h"
#include "store_record.h"

#define ROOM_LEAST_RECORDS 50 /* fewer say little about their size */

bool store_waiting(struct store *s, size_t uplink, uint64_t *ret_first, uint64_t *ret_last,
                   uint64_t *ret_count)
{
    store_turn_take(&s->turn);
    const struct seqset *w = &s->uplinks[uplink].waiting;
    uint64_t last = store_clock_last(s);
    bool some = w->count > 0 && w->ranges[0].first <= last;
    if (some) {
        *ret_first = w->ranges[0].first;
        *ret_last = w->ranges[w->count - 1].last;
        *ret_count = w->total;
    }
    if (some && *ret_last > last) {
        *ret_last = last;
        *ret_count = seqset_count(w, *ret_first, last);
    }
    store_turn_give(&s->turn);
    return some;
}

uint64_t store_newest(struct store *s)
{
    store_turn_take(&s->turn);
    uint64_t newest = store_clock_last(s);
    store_turn_give(&s->turn);
    return newest;
}

/* Each of the other tables and indexes takes a page, however few records there are. */
static int64_t room_records(struct store *s, uint64_t records)
{
    int64_t all = 0, unused = 0;
    uint64_t waiting = 0;
    /* The same for the file and for memory: the schema makes them. */
    if (s->trees == 0 &&
        store_db_query_int(&s->db, "SELECT count(*) FROM sqlite_schema WHERE rootpage > 0", 0, &s->trees) < 0)
        return -1;
    if (records < ROOM_LEAST_RECORDS || store_db_get_int(&s->db, STMT_PAGE_COUNT, 0, &all) < 0 ||
        store_db_get_int(&s->db, STMT_FREE_COUNT, 0, &unused) < 0)
        return -1;
    int64_t used = all - unused - s->trees, most = s->sizes.soft_pages - s->trees;
    if (used < 1 || most < used)
        return used < 1 ? -1 : 0;
    for (size_t i = 0; i < s->uplink_count; i++) {
        uint64_t here = seqset_count(&s->uplinks[i].waiting, store_part_first(s), store_part_last(s));
        waiting = here > waiting ? here : waiting;
    }
    int64_t fit = (int64_t)((double)records / (double)used * (double)most);
    return fit > (int64_t)waiting ? fit - (int64_t)waiting : 0;
}

static void figures(struct store *s, struct store_status *ret)
{
    memcpy(ret->stream, s->side.stream, sizeof ret->stream);
    ret->layout = s->layout;
    ret->durable = !s->memory.on;
    ret->in_memory = store_memory_records(s);
    ret->newest = s->newest;
    ret->records = s->newest + 1 - s->oldest - s->holes.total;
    ret->room_records = room_records(s, s->memory.on ? ret->in_memory : ret->records);
    ret->recorded = s->recorded;
    ret->commits = s->commits;
    ret->disk_failing = s->disk_failing;
    ret->disk_note = s->disk_note;
}

/* What was seen under the turn is kept, for when it cannot be had. */
static void keep(struct store *s, void *seen, const void *now, size_t size)
{
    pthread_mutex_lock(&s->seen_lock);
    memcpy(seen, now, size);
    pthread_mutex_unlock(&s->seen_lock);
}

static void recall(struct store *s, const void *seen, void *ret, size_t size)
{
    pthread_mutex_lock(&s->seen_lock);
    memcpy(ret, seen, size);
    pthread_mutex_unlock(&s->seen_lock);
}

static void uplink_figures(struct store *s, const struct store_uplink_state *u,
                           struct store_uplink_status *ret)
{
    ret->accepted = store_progress_accepted(s, u);
    ret->delivered = u->delivered;
    ret->waiting = u->waiting.total;
    ret->dropped = u->dropped;
    memcpy(ret->dropped_by, u->dropped_by, sizeof ret->dropped_by);
    if (u->waiting.count > 0) {
        int64_t ts = store_record_ts(store_db_at(s, u->waiting.ranges[0].first), u->waiting.ranges[0].first);
        ret->oldest_waiting_ms = ts == STORE_TS_UNKNOWN ? 0 : ts;
    }
}

void store_uplink_status(struct store *s, size_t uplink, struct store_uplink_status *ret)
{
    memset(ret, 0, sizeof *ret);
    if (store_turn_try(&s->turn, STORE_STALL_MS)) {
        uplink_figures(s, &s->uplinks[uplink], ret);
        store_turn_give(&s->turn);
        keep(s, &s->seen_uplinks[uplink], ret, sizeof *ret);
    } else {
        recall(s, &s->seen_uplinks[uplink], ret, sizeof *ret);
    }
}

/* Not of a disk that hangs: asking it for the size of a file may hang as well. */
static int64_t size_on_disk(const struct store *s)
{
    return store_file_size(s->path, "") + store_file_size(s->path, "-wal");
}

void store_status_all(struct store *s, struct store_status *ret, struct store_uplink_status *ret_uplinks)
{
    const size_t count = ret_uplinks ? s->uplink_count : 0;
    memset(ret, 0, sizeof *ret);
    if (store_turn_try(&s->turn, STORE_STALL_MS)) {
        figures(s, ret);
        for (size_t i = 0; i < count; i++) {
            ret_uplinks[i] = (struct store_uplink_status){0};
            uplink_figures(s, &s->uplinks[i], &ret_uplinks[i]);
        }
        store_turn_give(&s->turn);
        ret->bytes = size_on_disk(s);
        keep(s, &s->seen, ret, sizeof *ret);
        if (count > 0)
            keep(s, s->seen_uplinks, ret_uplinks, count * sizeof *ret_uplinks);
    } else {
        int64_t ms = store_turn_held_ms(&s->turn);
        recall(s, &s->seen, ret, sizeof *ret);
        if (count > 0)
            recall(s, s->seen_uplinks, ret_uplinks, count * sizeof *ret_uplinks);
        ret->stalled_ms = ms > STORE_STALL_MS ? ms : STORE_STALL_MS;
    }
    pthread_mutex_lock(&s->append_lock);
    ret->queue_dropped = s->queue_dropped;
    pthread_mutex_unlock(&s->append_lock);
    ret->max_bytes = s->max_bytes;
}

void store_status(struct store *s, struct store_status *ret)
{
    store_status_all(s, ret, NULL);
}
