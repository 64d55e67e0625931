/* SPDX-License-Identifier: Apache-2.0 */
#include "poller_mail.h"

#include <errno.h>

#include "clock.h"

/* The longest wait of the thread; the loop then beats its pulse. */
#define WAIT_MAX_MS 10000

int poller_mail_init(struct poller_mail *m)
{
    pthread_condattr_t attr;
    *m = (struct poller_mail){0};
    if (pthread_mutex_init(&m->lock, NULL) != 0)
        return FG_ENOMEM;
    int failed = pthread_condattr_init(&attr);
    if (!failed) {
        failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        if (!failed)
            failed = pthread_cond_init(&m->changed, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (failed)
        pthread_mutex_destroy(&m->lock);
    return failed ? FG_ENOMEM : 0;
}

void poller_mail_fini(struct poller_mail *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
}

/* With the lock; false when the moment has come. */
static bool wait_change(struct poller_mail *m, const struct timespec *until)
{
    return pthread_cond_timedwait(&m->changed, &m->lock, until) != ETIMEDOUT;
}

void poller_mail_poke(struct poller_mail *m)
{
    m->poked = true;
    pthread_cond_broadcast(&m->changed);
}

void poller_mail_stop(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

bool poller_mail_wait_end(struct poller_mail *m, int64_t wait_ms)
{
    struct timespec until = clock_cond_after_us(wait_ms * 1000);
    pthread_mutex_lock(&m->lock);
    while (!m->ended && wait_change(m, &until))
        ;
    bool ended = m->ended;
    pthread_mutex_unlock(&m->lock);
    return ended;
}

int poller_mail_pause(struct poller_mail *m, int64_t for_ms, int64_t wait_ms)
{
    struct timespec until = clock_cond_after_us(wait_ms * 1000);
    int err = 0;
    pthread_mutex_lock(&m->lock);
    bool begun = m->paused;
    const uint32_t before = m->pauses;
    m->pause_until_mono_ms = clock_mono_ms() + for_ms;
    poller_mail_poke(m);
    do {
        bool late = false;
        if (m->stop || m->ended)
            err = FG_ECLOSED;
        else if (!begun)
            late = !wait_change(m, &until);
        begun = begun || m->pauses != before; /* a short one may be over already */
        if (late && !begun)
            err = FG_ETIMEOUT;
    } while (err == 0 && !begun);
    if (err < 0)
        m->pause_until_mono_ms = 0;
    pthread_mutex_unlock(&m->lock);
    return err;
}

void poller_mail_resume(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    m->pause_until_mono_ms = 0;
    poller_mail_poke(m);
    pthread_mutex_unlock(&m->lock);
}

bool poller_mail_is_paused(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    bool paused = m->paused;
    pthread_mutex_unlock(&m->lock);
    return paused;
}

/* Why there is no use in waiting any longer; 0: there is. With the lock. */
static int hopeless(const struct poller_mail *m)
{
    if (m->stop || m->ended)
        return FG_ECLOSED;
    return m->paused ? FG_ERETRY : 0;
}

static int post(struct poller_mail *m, struct poller_work *w, const struct timespec *until)
{
    int err = hopeless(m);
    while (err == 0 && m->work_state != POLLER_WORK_NONE) {
        if (!wait_change(m, until) && m->work_state != POLLER_WORK_NONE)
            err = FG_ERETRY;
        else
            err = hopeless(m);
    }
    if (err < 0)
        return err;
    m->work = w;
    m->work_state = POLLER_WORK_POSTED;
    m->abandoned = false;
    poller_mail_poke(m);
    return 0;
}

/* With the lock. */
static int await(struct poller_mail *m, const struct timespec *until)
{
    while (m->work_state != POLLER_WORK_DONE) {
        int err = m->work_state == POLLER_WORK_POSTED ? hopeless(m) : m->stop ? FG_ECLOSED : 0;
        if (err < 0)
            return err;
        if (!wait_change(m, until) && m->work_state != POLLER_WORK_DONE)
            return FG_ETIMEOUT;
    }
    return 0;
}

int poller_mail_work(struct poller_mail *m, struct poller_work *w, int64_t wait_ms)
{
    struct timespec until = clock_cond_after_us(wait_ms * 1000);
    bool keeps = false; /* the thread has it and frees it */
    pthread_mutex_lock(&m->lock);
    int err = post(m, w, &until);
    if (err == 0) {
        err = await(m, &until);
        keeps = m->work_state == POLLER_WORK_RUNNING;
        m->abandoned = keeps;
        if (!keeps)
            m->work_state = POLLER_WORK_NONE;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    if (err < 0 && !keeps)
        w->free(w);
    return err;
}

/* ---- the bus thread ---- */

bool poller_mail_is_stopping(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    bool stop = m->stop;
    pthread_mutex_unlock(&m->lock);
    return stop;
}

void poller_mail_wait(struct poller_mail *m, int64_t due_mono_ms)
{
    int64_t left_us = WAIT_MAX_MS * 1000;
    int64_t now_us = clock_mono_us();
    if (due_mono_ms < now_us / 1000 + WAIT_MAX_MS)
        left_us = due_mono_ms * 1000 - now_us;
    if (left_us <= 0)
        return;
    struct timespec until = clock_cond_after_us(left_us);
    pthread_mutex_lock(&m->lock);
    if (!m->stop && !m->poked)
        wait_change(m, &until);
    pthread_mutex_unlock(&m->lock);
}

int64_t poller_mail_rest_until(struct poller_mail *m, int64_t now_mono_ms, bool *ret_over)
{
    pthread_mutex_lock(&m->lock);
    int64_t until = m->pause_until_mono_ms;
    *ret_over = false;
    if (until <= now_mono_ms) {
        /* In one step: whoever asks for a pause after this must see that it is over. */
        *ret_over = m->paused;
        m->pause_until_mono_ms = until = 0;
        m->paused = false;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return until;
}

void poller_mail_say_paused(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    m->paused = true;
    m->pauses++;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

bool poller_mail_has_work(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    bool has = m->work_state == POLLER_WORK_POSTED;
    pthread_mutex_unlock(&m->lock);
    return has;
}

void poller_mail_run(struct poller_mail *m, struct driver *d)
{
    pthread_mutex_lock(&m->lock);
    bool has = m->work_state == POLLER_WORK_POSTED; /* it may have been withdrawn */
    struct poller_work *w = m->work;
    if (has)
        m->work_state = POLLER_WORK_RUNNING;
    pthread_mutex_unlock(&m->lock);
    if (!has)
        return;
    w->run(w, d);
    pthread_mutex_lock(&m->lock);
    bool mine = m->abandoned;
    m->work_state = mine ? POLLER_WORK_NONE : POLLER_WORK_DONE;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    if (mine)
        w->free(w);
}

void poller_mail_say_end(struct poller_mail *m)
{
    pthread_mutex_lock(&m->lock);
    m->ended = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}
