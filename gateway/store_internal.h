/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal - what the files of the store share: its state in memory.
 *
 * Threads    `turn` guards everything except what stands under another heading. The writer holds it through a
 *            whole transaction, so nobody sees what is not committed.
 * Ownership  Everything belongs to the struct store.
 * Errors     -
 */
#ifndef FG_STORE_INTERNAL_H
#define FG_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "queue.h"
#include "seqset.h"
#include "store.h"
#include "store_db.h"
#include "store_stream.h"
#include "store_turn.h"

#define STORE_TICK_MS 1000      /* how often an idle writer looks up */
#define STORE_PROGRESS_MS 9000  /* progress is written when so old: with a tick never later than 10 s */
#define STORE_LOSS_MS 10000     /* what is lost within so long is told in one event */
#define STORE_PATIENCE_MS 60000 /* an I/O error that lasts so long is taken for a dead sector */
#define STORE_RESERVE 100000    /* numbers reserved at a time in the side file */
#define STORE_STALL_MS 5000     /* what one has had the store for so long waits for a disk that hangs */
#define STORE_TS_UNKNOWN INT64_MIN
#define STORE_EVENT UINT32_MAX /* the device of an event */
#define STORE_FLAG_UNTRUSTED 1 /* ts comes from a clock that was not trusted */

/* A record on its way to the database: this head, then body, then extra. */
struct store_entry {
    int64_t ts_ms;
    uint32_t device;
    uint32_t flags;
    uint32_t body_len;
    uint32_t extra_len;
};

/* Records that the next transaction inserts, numbered from newest + 1. The writer's own. */
struct store_group {
    struct buf data;
    size_t count;
};

struct store_uplink_state {
    int64_t id; /* in table uplink */
    char *name;
    uint64_t start;  /* first seq that counts */
    uint64_t absent; /* numbers from start on that were gone before the uplink came */
    uint64_t delivered, dropped;
    uint64_t dropped_by[STORE_LOSS_REASONS]; /* of dropped; the rest is from before reasons were counted */
    struct seqset waiting;
    struct seqset lost;        /* dropped, although its row may still be there: not to be sent again */
    bool dirty;                /* differs from what is in the database */
    bool fresh;                /* has no row yet */
    bool begins_now;           /* when it is fresh: see struct store_uplink */
    int64_t max_age_ms;        /* 0: none */
    int64_t delivered_mono_ms; /* when it delivered last; 0: not yet */
    /* As before the running transaction. */
    struct seqset was_waiting;
    uint64_t was_dropped, was_dropped_by[STORE_LOSS_REASONS];
    bool was_dirty;
};

#define STORE_LOSS_OPEN 16 /* told one by one, of one uplink and reason; further ones are merged */
#define STORE_LOSS_KINDS (LOSS_QUEUE_EVENTS + 1)

/* What an uplink lost and no event has told yet. For what never had a number first and last are those of the
 * events that told of it, and were lost themselves. */
struct store_loss {
    size_t uplink;
    enum store_loss_reason reason;
    char stream[STORE_STREAM_TEXT];
    uint64_t first, last, count;
    int64_t first_ts, last_ts; /* STORE_TS_UNKNOWN */
    int64_t since_mono_ms;
    bool in_group; /* its event is in the group: gone when that is committed */
};

struct store_stream_row {
    uint64_t first;
    char id[STORE_STREAM_TEXT];
};
struct store_layout_row {
    uint64_t first;
    uint32_t id;
};

/* Samples that did not fit into the queue since the last event about it. Under append_lock. */
struct store_refusals {
    uint64_t samples, events;
    int64_t first_ts, last_ts;
};

/* See store_clock.h. */
struct store_clock {
    /* Fixed after opening. */
    bool holds;
    int64_t hold_ms;
    struct store_time time;
    /* Any thread. */
    _Atomic bool trusted;
    /* Under the turn. */
    uint64_t from;      /* records from here on were never given out; 0: all may be */
    uint64_t next_from; /* once the running transaction is committed */
    bool link_up;
    int64_t link_mono_ms;             /* when an uplink was connected first in this boot; 0: never */
    int64_t set_wall_ms, set_mono_ms; /* the same instant, when the time was believed first */
    bool base_known;                  /* there are untrusted records of which clock_set was not told */
    int64_t base_ms;                  /* wall minus mono of the first of them */
    bool told;                        /* clock_set was, since the time is believed */
    bool tell, dirty;
};

/* While the disk refuses writes: see store_memory.h. Under the turn. */
struct store_memory {
    /* Fixed after opening. */
    int64_t after_ms;
    struct store_sizes sizes;

    bool on;     /* s->db and s->sizes are those of a database in memory; `other` is the file's */
    bool apart;  /* the file could not be used at the start: nothing in it is known, and `other` is closed */
    bool turned; /* inside a transaction that moves records: s->db is the file's, `other` memory's */
    struct store_db other;
    struct store_sizes other_sizes;
    uint64_t first;     /* records from here on are in memory only */
    uint64_t began;     /* what `first` was when it began */
    bool announced;     /* the stream has its row in the file */
    bool new_layout;    /* the layout has not */
    bool damaged;       /* the file is to be repaired first */
    const char *reason; /* of its stream */
    struct buf kept_as; /* the damaged file, once it was set aside */
    int64_t since_wall_ms, ended_mono_ms;
    int64_t retry_mono_ms, retry_wait_ms; /* of the file */
};

struct store {
    /* Fixed after opening. */
    char *path;
    char *software, *machine; /* machine: as given, or NULL */
    int64_t started_wall_ms;
    int64_t max_bytes, commit_every_ms, keep_delivered_ms;
    struct store_sizes sizes;
    uint32_t layout;
    char *layout_text; /* kept for the case that the database must be made again */
    size_t layout_len;
    bool uplinks_unknown; /* their table was damaged: begin with the oldest record, whatever the configuration
                             says */
    char boot_id[33];
    void (*on_commit)(void *context);
    void *on_commit_context;
    size_t uplink_count;
    int lock_fd;
    struct queue *queue;
    pthread_t writer;
    bool writer_started;

    pthread_mutex_t append_lock;
    pthread_cond_t closing_cond; /* for the writer, when it waits with a full group for the disk */
    bool closing;
    struct buf body, extra;
    struct store_refusals refusals;
    uint64_t queue_dropped;

    /* The last figures, for those who must not wait. */
    pthread_mutex_t seen_lock;
    struct store_status seen;
    struct store_uplink_status *seen_uplinks;

    struct store_turn turn;
    struct store_news *news;
    struct store_db db;
    struct store_side side;
    struct store_clock clock;
    struct store_memory memory;
    struct store_salvage_job *salvage;
    struct store_uplink_state *uplinks;
    uint64_t newest, oldest; /* committed; oldest > newest: the file has no record */
    struct seqset holes;     /* numbers between oldest and newest that are not in the file */
    bool holes_dirty;
    struct store_loss *losses; /* room for every open and every in_group one */
    size_t loss_count, loss_cap;
    bool losses_dirty;
    struct store_stream_row *streams; /* rising */
    size_t stream_count;
    struct store_layout_row *layouts; /* rising */
    size_t layout_count;
    int64_t opened_mono_ms, run_before_ms; /* run_before_ms: of earlier runs */
    bool marked;                           /* in this database, in this run */
    int64_t mark_mono_ms;                  /* when the last mark was set */
    uint64_t expired;                      /* delivered records up to here may go */
    int64_t progress_mono_ms;              /* when progress was written last */
    uint64_t commits, recorded;            /* since opening; recorded: samples and events */
    int64_t trees;                         /* of a database; 0: not counted yet */
    bool disk_failing;                     /* the file refuses writes */
    bool stuck;                            /* the last commit failed, wherever to: its group is kept */
    int64_t stuck_mono_ms;                 /* since when */
    int64_t failing_mono_ms, read_failing_mono_ms; /* since when; 0: not */
    struct err_note disk_note;
    struct store_lost lost; /* by closing */

    /* As before the running transaction. */
    bool snapshot_taken;
    struct seqset was_holes;
    uint64_t was_oldest;
    bool was_holes_dirty, was_losses_dirty;
    struct store_loss *was_losses;
    size_t was_loss_count;

    /* The writer's own. */
    struct store_group group;
    int64_t group_since_mono_ms;
    int64_t retry_mono_ms, retry_wait_ms;
    bool writing_progress; /* in the running transaction */
    bool clock_due;        /* after the last transaction: see store_clock_due() */

    struct pulse pulse;
};

#endif
