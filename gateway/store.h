/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - durable, numbered log of samples and events in one SQLite file, and what each uplink still has to
 * send.
 *
 * Threads    Any thread may call any function; store_close() must be the last call. One writer thread inside
 *            commits; one SQLite connection, guarded by one lock.
 *            store_append() and store_append_event() never wait for the disk; store_read() may wait for
 *            one flush.
 * Ownership  The store copies what it is given and lends nothing out.
 * Errors     Negative FG_E* (err.h). ret_ arguments are set only on success. Nothing here logs: what the
 *            caller should say is in store_status(), store_news() and in notes.
 *
 * A record is (stream, seq). seq is given at commit and strictly rises without holes but those a loss event
 * names; a new stream goes on counting where the old one ended, so seq alone is unique in the file, and the
 * first record of each stream is the event stream_opened, with "first" and "reason".
 */
#ifndef FG_STORE_H
#define FG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "pulse.h"
#include "sample.h"

#define STORE_STREAM_TEXT 17 /* 16 hex digits and the end */

struct store;

struct store_uplink {
    const char *name;
    bool start_now; /* a new uplink begins with what is committed from now on, not with the oldest record */
    int64_t max_age_ms; /* see store_expire(); 0: none */
};

/* The time, where a test gives it. */
struct store_time {
    int64_t (*wall_ms)(void *context);
    int64_t (*mono_ms)(void *context);
    void *context;
    const char *boot_id;
};

struct store_options {
    const char *path;  /* the database; side files stand beside it */
    int64_t max_bytes; /* database and WAL together; 512 KiB at least */
    int64_t commit_every_ms;
    int64_t keep_delivered_ms;
    const char *layout; /* layout text in force (layout.h) */
    size_t layout_len;
    const char *software; /* version, for the started event */
    const struct store_uplink *uplinks;
    size_t uplink_count;
    const char
        *machine_id; /* NULL: /etc/machine-id; a database that comes from another machine opens a stream */
    /* Records of an untrusted time are held back from all uplinks, to be corrected once the clock is set: see
     * store_clock(). Without, they are given out at once as they are. */
    bool hold_untrusted;
    int64_t hold_ms;
    bool clock_trusted; /* at the start */
    /* While the disk refuses writes, records go to a database in memory, under a stream of its own, until
     * it takes them again: see store_status.durable. */
    int64_t memory_after_ms; /* how long it must have refused; 0: 2 s */
    int64_t memory_bytes;    /* at most; 0: 8 MiB. The oldest go first and are told as lost */
    /* A damaged database up to this size is saved at once, a larger one in the background, while records go
     * to memory; 0: 8 MiB. */
    int64_t salvage_at_once_bytes;
    const struct store_time *time; /* NULL: the machine's; else it must live as long as the store */
    /* Called by the writer after each commit with news; must not wait. Not any more once store_close() runs.
     */
    void (*on_commit)(void *context);
    void *on_commit_context;
};

struct store_record {
    uint64_t seq;
    int64_t ts_ms;
    bool is_event;
    uint32_t device;  /* index in the batch's layout; samples only */
    const char *body; /* sample.h; for an event its JSON object */
    size_t body_len;
    const char *extra; /* sample.h; may be empty */
    size_t extra_len;
};

/* Records of one stream and one layout, in rising seq. Reused from call to call without allocating. */
struct store_batch {
    char stream[STORE_STREAM_TEXT];
    bool durable; /* false: at the moment they are in memory only */
    uint32_t layout;
    struct store_record *records;
    size_t count, cap;
    struct buf text;
};

void store_batch_init(struct store_batch *b);
void store_batch_fini(struct store_batch *b);

/* Once, before the program's first thread: how SQLite is to work in this process. Without it all works, only
 * more slowly. */
void store_begin(void);
/* Opens or creates; starts the writer. FG_EFOREIGN with a note: the file is not ours or newer than we are.
 * A damaged file is set aside, what is readable goes on, and an event says so. On a disk that refuses writes
 * it opens in memory (store_status.durable is false), and goes over to the disk by itself. */
int store_open(const struct store_options *options, struct store **ret, struct err_note *note);
/* What the disk did not take to the end. */
struct store_lost {
    uint64_t records;     /* samples and events that are gone now */
    uint64_t undelivered; /* of them, those that some uplink had not delivered */
};
/* Commits everything appended, progress too, and closes. FG_EIO: the disk did not take it all to the end;
 * what it did not take is lost, and ret_lost (may be NULL) says how much. Accepts NULL. */
int store_close(struct store *s, struct store_lost *ret_lost);

/* FG_EFULL: the queue to the writer is full; the sample is counted and an event will say so. */
int store_append(struct store *s, const struct sample *sample);
/* body: a JSON object beginning with {"event":"...". */
int store_append_event(struct store *s, int64_t wall_ms, const char *body);

/* To be told once a second, and at each change: whether the time can be believed, and whether any uplink is
 * connected. Records of an untrusted time (marked so by their sample, events by what was told here) and all
 * that follow them are not given out
 *     - until the time can be believed, in the same boot: then those that were never given out are corrected,
 *       marked "clock":"corrected", and an event clock_set follows; or
 *     - until an uplink is connected and hold_ms have passed since one was for the first time in this boot:
 *       then they go out marked "clock":"untrusted" and are never changed.
 * They count as waiting meanwhile. Does nothing without hold_untrusted, and while the disk hangs: the next
 * call makes up for it. */
void store_clock(struct store *s, bool trusted, bool link_up);

struct store_limits {
    size_t max_records;
    size_t max_bytes; /* of body and extra text */
};
/* Undelivered records of an uplink with from <= seq <= to, oldest first, of one stream and layout.
 * Returns how many (0: none). Every undelivered seq between the first and last returned is in the batch. */
int store_read(struct store *s, size_t uplink, uint64_t from, uint64_t to, const struct store_limits *limits,
               struct store_batch *ret);
/* The broker acknowledged every record of [first, last] that was still undelivered. Remembered at once,
 * written with a later commit, at most 10 s after. */
int store_delivered(struct store *s, size_t uplink, uint64_t first, uint64_t last);
/* The broker refuses these for good: they are dropped for this uplink with a loss event. */
int store_refused(struct store *s, size_t uplink, uint64_t first, uint64_t last);
/* What of first..last has waited longer than the uplink's max_age is dropped for it, with a loss event; a
 * sample or event alike, but a loss that no event has told yet is told all the same. To be called about once
 * a minute, with ranges that are not in flight. Age is the running time since the commit, over all runs, so
 * that no clock that jumps makes a record old; what store_clock() holds back stays. Records go never too
 * early, and late by a sixteenth of max_age or an hour, whichever is less. The event is told once the uplink
 * delivers again: till then it grows. Returns how many were
 * dropped, some 20,000 at most. */
int64_t store_expire(struct store *s, size_t uplink, uint64_t first, uint64_t last);

/* Delivered records of first..last that are still there wait again for the uplink, to be sent with the same
 * keys. What the uplink lost, or what was never meant for it, is left out. Returns how many. */
int64_t store_resend(struct store *s, size_t uplink, uint64_t first, uint64_t last);

/* What of the uplink's undelivered records can be read: first, last, how many; false when nothing can. Less
 * than store_uplink_status() counts while records are held back: see store_clock(). */
bool store_waiting(struct store *s, size_t uplink, uint64_t *ret_first, uint64_t *ret_last,
                   uint64_t *ret_count);
/* The newest committed seq that is not held back: see store_clock(). */
uint64_t store_newest(struct store *s);
/* FG_ENOTFOUND. Appends the stored text. */
int store_layout(struct store *s, uint32_t layout, struct buf *ret_text);
/* The layouts of an uplink's waiting records and the one in force, rising; returns how many (at most cap). */
int store_layouts_waiting(struct store *s, size_t uplink, uint32_t *ret, size_t cap);
/* Streams that have waiting records of the uplink, and the current one: [{"stream":"..","first":n},...] */
int store_streams_waiting(struct store *s, size_t uplink, struct buf *ret_json);

/* Why a record was given up. The last two had no number yet, when the queue was full: samples, and events. */
enum store_loss_reason {
    LOSS_FULL,
    LOSS_CORRUPT,
    LOSS_REFUSED,
    LOSS_EXPIRED,
    LOSS_QUEUE,
    LOSS_QUEUE_EVENTS,
};
#define STORE_LOSS_REASONS (LOSS_EXPIRED + 1) /* of records that had a number */
/* "store_full", "corrupt", "refused", "expired", "queue_full", as in the event. */
const char *store_loss_word(enum store_loss_reason reason);

struct store_uplink_status {
    uint64_t accepted, delivered, waiting, dropped; /* accepted = delivered + waiting + dropped */
    uint64_t dropped_by[STORE_LOSS_REASONS]; /* their sum may be less than dropped: damage loses reasons */
    int64_t oldest_waiting_ms;               /* wall time of the oldest waiting record; 0: none */
};
struct store_status {
    char stream[STORE_STREAM_TEXT];
    uint32_t layout;
    bool durable;           /* false while new records go to memory */
    uint64_t in_memory;     /* records that are in memory only */
    uint64_t newest;        /* seq, held back or not */
    uint64_t queue_dropped; /* samples that did not get into the queue since start */
    int64_t bytes;          /* database and WAL */
    int64_t max_bytes;
    uint64_t records; /* in the file */
    /* How many more records fit, at their mean size so far, before one that is not delivered must go; -1: not
     * enough records to tell. */
    int64_t room_records;
    uint64_t commits;
    uint64_t recorded; /* records committed since start */
    bool disk_failing; /* it refuses writes, or has not been asked again yet */
    struct err_note disk_note;
    /* How long the disk has kept all others waiting; 0: it does not. The figures but queue_dropped and bytes
     * are then those of the last time, also of the uplinks. */
    int64_t stalled_ms;
};
/* These two wait 5 s at most for one flush. */
void store_status(struct store *s, struct store_status *ret);
void store_uplink_status(struct store *s, size_t uplink, struct store_uplink_status *ret);
/* Both, of one instant, and with one wait for the disk however many uplinks there are. ret_uplinks has room
 * for all of struct store_options; NULL: without them. */
void store_status_all(struct store *s, struct store_status *ret, struct store_uplink_status *ret_uplinks);

/* What somebody who looks after the gateway should read in its log; receivers are told by events. */
enum store_news_kind {
    STORE_NEWS_SALVAGED,       /* the database was damaged, and what could be read is in a new one now */
    STORE_NEWS_STREAM,         /* the database was not as it was left, so a new stream has begun */
    STORE_NEWS_UPLINK_REMOVED, /* an uplink left the configuration, and its records wait no longer */
};
struct store_news_item {
    enum store_news_kind kind;
    /* SALVAGED: where the damaged database is kept; "": a run before this one set it aside, as
     * PATH.damaged-TIME. STREAM: the reason, as in the event stream_opened. REMOVED: the uplink's name. */
    char text[512];
    char stream[STORE_STREAM_TEXT]; /* STREAM */
    uint64_t records;               /* SALVAGED: that are there now; REMOVED: that it had not delivered */
    uint64_t lost; /* SALVAGED: not delivered and gone, of the uplink that lost most; events name them */
};
/* The oldest that was not asked for yet. False: nothing; or the disk hangs, after 5 s: ask again. */
bool store_news(struct store *s, struct store_news_item *ret);
const struct pulse *store_pulse(const struct store *s);

#endif
