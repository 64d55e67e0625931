/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller_mail - what other threads tell the thread of a bus: stop, look here, pause, do this in between.
 *
 * Threads    The upper functions: any thread. Those below the line: the bus thread only. `lock` guards all
 *            members, and what the poller shares; it is held for copying only, never around driver, sink or
 *            work calls.
 * Ownership  Embedded by the poller; init and fini belong together.
 * Errors     poller_mail_init(): FG_ENOMEM. Waiting: FG_ETIMEOUT, FG_ECLOSED when the thread stops,
 *            FG_ERETRY when the bus is paused or another's work takes too long.
 */
#ifndef FG_POLLER_MAIL_H
#define FG_POLLER_MAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../drivers/driver.h"

/* First member of what the bus thread is to do between two polls. */
struct poller_work {
    /* Should come back within some seconds. */
    void (*run)(struct poller_work *w, struct driver *d);
    void (*free)(struct poller_work *w);
};

enum poller_work_state { POLLER_WORK_NONE, POLLER_WORK_POSTED, POLLER_WORK_RUNNING, POLLER_WORK_DONE };

struct poller_mail {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    bool poked; /* something is to be looked at */
    bool ended;
    int64_t pause_until_mono_ms; /* 0: not asked for */
    bool paused;                 /* the port is closed */
    uint32_t pauses;             /* how often it was */
    struct poller_work *work;
    enum poller_work_state work_state;
    bool abandoned; /* nobody waits for the work any more */
};

int poller_mail_init(struct poller_mail *m);
void poller_mail_fini(struct poller_mail *m);

void poller_mail_stop(struct poller_mail *m);
/* Waits for the end of the thread; false when it has not ended in time. */
bool poller_mail_wait_end(struct poller_mail *m, int64_t wait_ms);
/* With the lock held. */
void poller_mail_poke(struct poller_mail *m);
/* Asks for a pause from now, or renews one, and waits until the port is closed. A pause that could not begin
 * in time is withdrawn. */
int poller_mail_pause(struct poller_mail *m, int64_t for_ms, int64_t wait_ms);
void poller_mail_resume(struct poller_mail *m);
/* Takes the work over. 0: it was run and is the caller's again. On errors it is freed, at once or when it
 * comes back. */
int poller_mail_work(struct poller_mail *m, struct poller_work *w, int64_t wait_ms);
bool poller_mail_is_paused(struct poller_mail *m);

/* ---- the bus thread ---- */

bool poller_mail_is_stopping(struct poller_mail *m);
/* Waits until the instant, an order, or a while has passed. */
void poller_mail_wait(struct poller_mail *m, int64_t due_mono_ms);
/* Until when the bus is to be left alone; 0: it is not, and *ret_over tells whether a pause ends with this.
 */
int64_t poller_mail_rest_until(struct poller_mail *m, int64_t now_mono_ms, bool *ret_over);
/* The port is closed now. */
void poller_mail_say_paused(struct poller_mail *m);
/* Runs what was posted, if anything. */
void poller_mail_run(struct poller_mail *m, struct driver *d);
bool poller_mail_has_work(struct poller_mail *m);
void poller_mail_say_end(struct poller_mail *m);

#endif
