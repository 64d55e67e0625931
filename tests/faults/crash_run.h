/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_run - a store at work, written down: what was appended, committed and acknowledged, and every
 * operation on its disk.
 *
 * Threads    run_record() returns when the store is closed; then everything belongs to the caller.
 * Ownership  run_init()/run_fini().
 * Errors     What the store must not do is told on stderr and ends the program with 1.
 */
#ifndef FG_CRASH_RUN_H
#define FG_CRASH_RUN_H

#include <pthread.h>

#include "../../gateway/seqset.h"
#include "../../gateway/store.h"
#include "crash_disk.h"

#define RUN_UPLINKS 2

/* What a record said when it was first seen: it must never say anything else. */
struct run_record {
    int64_t ts_ms;
    uint32_t device; /* UINT32_MAX: an event */
    char stream[STORE_STREAM_TEXT];
    char *body, *extra;
};

/* What kind of life this store has. */
struct run_plan {
    const char *title;
    int64_t max_bytes, keep_delivered_ms;
    unsigned points;         /* per sample: how large records are */
    unsigned refuse_percent; /* how often a broker refuses some records for good */
    unsigned skip_ms;        /* how far the clock may jump between two steps */
    int64_t hold_ms; /* 0: the time is always trusted; else it sometimes is not, and records are held back */
};

struct run {
    const struct run_plan *plan;
    uint64_t random;
    char folder[128], path[160];
    char layout[8192];
    struct store_uplink uplinks[RUN_UPLINKS];
    struct store_options options;
    struct store_time time;
    char boot_id[33]; /* another one after each power cut */
    uint64_t boots;
    uint64_t samples; /* appended so far */
    bool trusted;     /* the time */

    /* What was given out of the records 1..known, and what of it was told or given away before the power cut.
     */
    pthread_mutex_t lock;
    struct run_record *records;
    uint64_t known, cap;
    uint64_t committed;
    uint64_t due; /* at least so many will be known when all is committed that was appended */
    struct seqset acked[RUN_UPLINKS];

    struct store *store;
    struct store_batch batch;
};

void run_init(struct run *r, const struct run_plan *plan, const char *folder, uint64_t random);
void run_fini(struct run *r);
/* Puts the image into the folder, opens the store there, works, and closes it; the history has it all. */
void run_record(struct run *r, const struct image *start, struct history *h);
/* After a power cut: only of the first `newest` records it is known what they say. */
void run_go_back(struct run *r, uint64_t newest);
const struct run_record *run_find(const struct run *r, uint64_t seq);
/* Puts the text of another run of the machine into the options. */
void run_boot(struct run *r);
/* FG_EFULL like store_append(). */
int run_append(struct run *r, struct store *s);

#endif
