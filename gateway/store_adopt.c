/* SPDX-License-Identifier: Apache-2.0 */
#include "store_adopt.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "store_file.h"
#include "store_load.h"
#include "store_loss.h"
#include "store_memory.h"
#include "store_opening.h"
#include "store_salvage.h"
#include "store_writer.h"

/* ---- a file that was not there at the start ---- */

/* Another store, for as long as it takes to read the file. */
static int init_beside(struct store *d, const struct store *s, struct store_uplink *names)
{
    d->path = s->path;
    d->salvage = s->salvage;
    d->sizes = s->memory.other_sizes;
    d->max_bytes = s->max_bytes;
    d->layout_text = s->layout_text;
    d->layout_len = s->layout_len;
    d->started_wall_ms = s->started_wall_ms;
    d->news = s->news;
    memcpy(d->boot_id, s->boot_id, sizeof d->boot_id);
    d->clock.holds = s->clock.holds;
    d->clock.time = s->clock.time;
    atomic_store(&d->clock.trusted, atomic_load(&s->clock.trusted));
    d->uplinks = calloc(s->uplink_count + 1, sizeof *d->uplinks);
    if (!d->uplinks)
        return FG_ENOMEM;
    d->uplink_count = s->uplink_count;
    for (size_t i = 0; i < s->uplink_count; i++) {
        names[i] = (struct store_uplink){.name = s->uplinks[i].name, .start_now = s->uplinks[i].begins_now};
        d->uplinks[i].name = s->uplinks[i].name;
    }
    return store_loss_init(d);
}

static void fini_beside(struct store *d)
{
    store_db_close(&d->db);
    for (size_t i = 0; i < d->uplink_count; i++) {
        seqset_fini(&d->uplinks[i].waiting);
        seqset_fini(&d->uplinks[i].lost);
    }
    free(d->uplinks);
    free(d->losses);
    free(d->was_losses);
    free(d->streams);
    free(d->layouts);
    seqset_fini(&d->holes);
    buf_fini(&d->group.data);
    free(d);
}

static int add_all(struct seqset *to, const struct seqset *from)
{
    int err = 0;
    for (size_t i = 0; i < from->count && !err; i++)
        err = seqset_add(to, from->ranges[i].first, from->ranges[i].last);
    return err;
}

/* Everything that may fail, on the side that may be thrown away: d's sets become those of both. */
static int join_sets(struct store *d, struct store *s)
{
    uint64_t last = s->memory.began - 1;
    int err = add_all(&d->holes, &s->holes);
    /* The numbers between were never given. */
    if (!err && d->newest < last && d->oldest <= d->newest)
        err = seqset_add(&d->holes, d->newest + 1, last);
    for (size_t i = 0; i < s->uplink_count && !err; i++) {
        err = add_all(&d->uplinks[i].waiting, &s->uplinks[i].waiting);
        if (!err)
            err = add_all(&d->uplinks[i].lost, &s->uplinks[i].lost);
    }
    for (size_t i = 0; i < s->stream_count && !err; i++)
        err = store_add_stream(d, s->streams[i].first, s->streams[i].id);
    for (size_t i = 0; i < s->layout_count && !err; i++)
        err = store_add_layout(d, s->layouts[i].first, s->layouts[i].id);
    if (!err) {
        buf_add(&s->group.data, d->group.data.data, d->group.data.len);
        err = buf_ok(&s->group.data) ? 0 : FG_ENOMEM;
        s->group.data.failed = false;
    }
    return err;
}

#define SWAP(a, b)                                                                                           \
    do {                                                                                                     \
        __typeof__(a) swap_ = (a);                                                                           \
        (a) = (b);                                                                                           \
        (b) = swap_;                                                                                         \
    } while (0)

static void join(struct store *s, struct store *d)
{
    uint64_t gap = s->memory.began - 1 - d->newest;
    for (size_t i = 0; i < s->uplink_count; i++) {
        struct store_uplink_state *u = &s->uplinks[i], *old = &d->uplinks[i];
        SWAP(u->waiting, old->waiting);
        SWAP(u->lost, old->lost);
        u->id = old->id;
        u->start = old->start;
        u->absent = old->absent + gap;
        u->delivered += old->delivered;
        u->dropped += old->dropped;
        for (int r = 0; r < STORE_LOSS_REASONS; r++)
            u->dropped_by[r] += old->dropped_by[r];
        u->fresh = true; /* its row says where it begins and how many numbers were never given */
        u->dirty = true;
    }
    SWAP(s->holes, d->holes);
    SWAP(s->streams, d->streams);
    SWAP(s->stream_count, d->stream_count);
    SWAP(s->layouts, d->layouts);
    SWAP(s->layout_count, d->layout_count);
    if (d->oldest <= d->newest)
        s->oldest = d->oldest;
    for (size_t i = 0; i < d->loss_count && s->loss_count < s->loss_cap; i++)
        s->losses[s->loss_count++] = d->losses[i];
    s->run_before_ms = d->run_before_ms;
    s->group.count += d->group.count;
    memcpy(s->side.machine, d->side.machine, sizeof s->side.machine);
    memcpy(s->side.token, d->side.token, sizeof s->side.token);
    memcpy(s->side.previous, d->side.previous, sizeof s->side.previous);
    s->side.inode = d->side.inode;
    s->side.known = true;
    SWAP(s->memory.other, d->db);
    s->memory.apart = false;
}

static int open_beside(struct store *s, struct store *d, const struct store_uplink *names)
{
    const struct store_options options = {.layout = s->layout_text,
                                          .layout_len = s->layout_len,
                                          .software = s->software,
                                          .uplinks = names,
                                          .uplink_count = s->uplink_count,
                                          .machine_id = s->machine};
    struct store_opening o = {.options = &options, .told_started = true};
    int err = s->lock_fd < 0 ? store_file_lock(s->path, &s->lock_fd, &s->disk_note) : 0;
    if (!err)
        err = store_opening_find(d, &o, &s->disk_note);
    if (o.kept_as.len)
        SWAP(s->memory.kept_as, o.kept_as);
    if (!err && d->newest >= s->memory.began)
        err = err_note(
            &s->disk_note, FG_EINVALID,
            "store: %s already has the numbers that were given out meanwhile; start the service again",
            s->path);
    if (err)
        goto out;
    /* The stream in memory is the one that goes on: neither a stream nor a layout begins here. */
    if (o.reason)
        d->stream_count--;
    if (o.new_layout)
        d->layout_count--;
    o.reason = NULL;
    err = store_opening_tell(d, &o);
out:
    store_opening_fini(&o);
    return err;
}

int store_adopt(struct store *s)
{
    struct store *d = calloc(1, sizeof *d);
    struct store_uplink *names = calloc(s->uplink_count + 1, sizeof *names);
    int err = d && names ? init_beside(d, s, names) : FG_ENOMEM;
    size_t len = s->group.data.len;
    if (!err)
        err = open_beside(s, d, names);
    if (!err)
        err = join_sets(d, s);
    /* What was in memory is as old as before, although the clock of the file is ahead. */
    if (!err)
        err = store_db_run_ints(&s->db, STMT_MARK_SHIFT, &d->run_before_ms, 1);
    if (!err)
        join(s, d);
    else
        s->group.data.len = len;
    if (d)
        fini_beside(d);
    free(names);
    return err;
}

/* ---- a file that is damaged ---- */

/* The tables in memory are newer than what was salvaged: only what no row holds any more is taken out. */
static int load_again(struct store *s, struct store_db *d)
{
    struct store_memory *m = &s->memory;
    struct seqset holes = s->holes;
    struct store_stream_row stream = s->streams[s->stream_count - 1];
    struct store_layout_row layout = s->layouts[s->layout_count - 1];
    uint64_t newest = s->newest;
    int64_t opened = s->opened_mono_ms, run_before = s->run_before_ms;
    struct store_db memory = s->db;

    /* As if there were nothing but the file. */
    m->on = false;
    s->db = *d;
    s->holes = (struct seqset){0};
    s->stream_count = s->layout_count = 0;
    int err = store_load_log(s);
    for (size_t i = 0; i < s->uplink_count && !err; i++)
        err = store_drop_vanished(s, i);
    if (s->newest + 1 < m->first && !err)
        err = seqset_add(&s->holes, s->newest + 1, m->first - 1);
    for (size_t i = 0; i < holes.count && !err; i++)
        if (holes.ranges[i].last >= m->first)
            err = seqset_add(&s->holes, holes.ranges[i].first > m->first ? holes.ranges[i].first : m->first,
                             holes.ranges[i].last);
    seqset_fini(&holes);
    s->db = memory;
    m->on = true;
    s->newest = newest;
    s->opened_mono_ms = opened;
    s->run_before_ms = run_before;
    for (size_t i = 0; i < s->uplink_count; i++)
        s->uplinks[i].fresh = s->uplinks[i].dirty = true;
    m->new_layout = s->layout_count == 0 || s->layouts[s->layout_count - 1].id != layout.id;
    bool streamless = s->stream_count == 0 || s->streams[s->stream_count - 1].first < stream.first;
    int more = streamless ? store_add_stream(s, stream.first, stream.id) : 0;
    if (!more && m->new_layout)
        more = store_add_layout(s, layout.first, layout.id);
    return err ? err : more;
}

int store_adopt_repaired(struct store *s)
{
    struct store_memory *m = &s->memory;
    struct store_db d = {0};
    if (store_file_room(s->path) < s->max_bytes / 4) {
        store_failure(s, NULL, FG_EFULL);
        return FG_EFULL;
    }
    store_db_close(&m->other);
    struct store_sizes sizes = s->sizes;
    s->sizes = m->other_sizes;
    int err = store_salvage(s, m->first - 1, &m->kept_as, &s->disk_note);
    if (!err)
        err = store_db_open(&d, s->path, &s->sizes, &s->disk_note);
    s->sizes = sizes;
    if (!err)
        err = load_again(s, &d);
    if (err) {
        store_db_close(&d);
    } else {
        m->other = d;
        m->announced = m->damaged = false;
        store_random_hex(s->side.token, sizeof s->side.token);
        s->side.inode = store_file_inode(s->path);
    }
    return err;
}
