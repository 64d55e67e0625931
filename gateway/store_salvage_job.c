/* SPDX-License-Identifier: Apache-2.0 */
#include "store_salvage_job.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store_file.h"
#include "store_salvage_copy.h"
#include "text.h"

enum state { IDLE, RUNS, DONE };

struct store_salvage_job {
    char *path, *fresh;
    int64_t at_once_bytes;
    pthread_t thread;
    bool threaded; /* to be joined */
    atomic_int state;
    atomic_bool stop;
    /* The thread's while it runs. */
    struct store_sizes sizes;
    struct store_side side;
    uint64_t given;
    bool uplinks_unknown;
    int err;
    struct err_note note;
};

struct store_salvage_job *store_salvage_job_new(const char *path, int64_t at_once_bytes)
{
    struct store_salvage_job *j = calloc(1, sizeof *j);
    struct buf fresh = BUF_INIT;
    buf_addf(&fresh, "%s-salvaged", path);
    if (j) {
        j->path = strdup(path);
        j->fresh = buf_ok(&fresh) ? strdup(fresh.data) : NULL;
        j->at_once_bytes = at_once_bytes;
    }
    buf_fini(&fresh);
    if (j && j->path && j->fresh)
        return j;
    store_salvage_job_free(j);
    return NULL;
}

static void join(struct store_salvage_job *j)
{
    if (j->threaded)
        pthread_join(j->thread, NULL);
    j->threaded = false;
}

void store_salvage_job_free(struct store_salvage_job *j)
{
    if (!j)
        return;
    atomic_store(&j->stop, true);
    join(j);
    free(j->path);
    free(j->fresh);
    free(j);
}

bool store_salvage_job_is_long(const struct store_salvage_job *j)
{
    return store_file_size(j->path, "") + store_file_size(j->path, "-wal") > j->at_once_bytes;
}

bool store_salvage_job_runs(const struct store_salvage_job *j)
{
    return atomic_load(&j->state) == RUNS;
}

bool store_salvage_job_is_done(const struct store_salvage_job *j)
{
    return atomic_load(&j->state) == DONE;
}

static int build(struct store_salvage_job *j)
{
    struct store_db d;
    int err = store_db_create(j->fresh, &j->note);
    if (!err)
        err = store_db_open_build(&d, j->fresh, &j->sizes, &j->note);
    if (err)
        return err;
    err = store_salvage_copy(&d, j->path, &j->side, j->given, &j->stop, &j->uplinks_unknown);
    if (err)
        store_db_fail(&d, sqlite3_errcode(d.db), &j->note, _("saving what is left of a damaged database"));
    store_db_close(&d);
    return err ? err : store_file_sync(j->fresh);
}

static void *work(void *job)
{
    struct store_salvage_job *j = job;
    j->err = build(j);
    atomic_store(&j->state, DONE);
    return NULL;
}

/* Signals are the main thread's. */
static int begin_thread(struct store_salvage_job *j)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    j->threaded = pthread_create(&j->thread, NULL, work, j) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!j->threaded)
        return FG_ENOMEM;
    pthread_setname_np(j->thread, "fg-salvage");
    return 0;
}

static int goes_on(const struct store_salvage_job *j, struct err_note *note)
{
    return err_note(note, FG_ERETRY,
                    _("store: %s is damaged: what can be read of it is being saved, and readings are kept in "
                      "memory until then; keep the power on"),
                    j->path);
}

int store_salvage_job_ask(struct store_salvage_job *j, const struct store_sizes *sizes,
                          const struct store_side *side, uint64_t given, bool *ret_uplinks_unknown,
                          struct err_note *note)
{
    if (store_salvage_job_runs(j))
        return goes_on(j, note);
    if (!store_salvage_job_is_done(j)) {
        j->sizes = *sizes;
        j->side = *side;
        j->given = given;
        j->note.text[0] = 0;
        atomic_store(&j->state, RUNS);
        if (store_salvage_job_is_long(j) && begin_thread(j) == 0)
            return goes_on(j, note);
        work(j);
    }
    join(j);
    atomic_store(&j->state, IDLE);
    *ret_uplinks_unknown = j->uplinks_unknown;
    if (j->err)
        *note = j->note;
    return j->err;
}
