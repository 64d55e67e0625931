/* SPDX-License-Identifier: Apache-2.0 */
#include "poller.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "poller_load.h"
#include "poller_watch.h"
#include "schedule.h"
#include "text.h"

/* A poll may hang in a name look-up for that long. */
#define DRIVER_MAX_MS 120000

struct station {
    struct poller_device options;
    struct poller_watch_device watch; /* the thread's own */
    /* Below: guarded by poller.mail.lock. */
    struct poller_device_status status;
    struct poller_last *last; /* of every point */
    int64_t last_wall_ms;     /* of the newest reading */
    bool has_last;
    bool hurried;
};

struct poller {
    struct poller_options options;
    struct station *stations;
    size_t count;
    /* What the stations' arrays lie in. */
    const char **names;
    int64_t *every;
    struct poller_last *last;
    enum poller_config_news *config_news;

    /* The thread's own. */
    struct schedule *schedule;
    struct poller_watch watch;
    struct poller_load load;
    struct reading *readings; /* of the poll in hand */
    struct driver_result result;
    struct pulse pulse;

    pthread_t thread;
    atomic_bool cut_off;     /* the poll in hand, by whoever stops us */
    bool started;            /* by the thread that starts and stops */
    struct poller_mail mail; /* its lock guards the lower part of every station, too */
    int64_t paused_mono_ms;  /* when the pause began; 0: none. The thread's own */
};

static int allocate(struct poller *p, size_t points, size_t most_points)
{
    p->stations = calloc(p->count + 1, sizeof(*p->stations));
    p->names = calloc(points + 1, sizeof(*p->names));
    p->every = calloc(points + 1, sizeof(*p->every));
    p->last = calloc(points + 1, sizeof(*p->last));
    p->config_news = calloc(points + 1, sizeof(*p->config_news));
    p->readings = calloc(most_points + 1, sizeof(*p->readings));
    return p->stations && p->names && p->every && p->last && p->config_news && p->readings ? 0 : FG_ENOMEM;
}

static void free_memory(struct poller *p)
{
    free(p->stations);
    free(p->names);
    free(p->every);
    free(p->last);
    free(p->config_news);
    free(p->readings);
    poller_load_fini(&p->load);
    free(p);
}

static void fill_station(struct poller *p, size_t index, size_t first_point)
{
    const struct poller_device *from = &p->options.devices[index];
    struct station *st = &p->stations[index];
    const char **names = p->names + first_point;
    int64_t *every = p->every + first_point;

    for (size_t i = 0; i < from->point_count; i++) {
        names[i] = from->point_names[i];
        every[i] = from->point_every_ms ? from->point_every_ms[i] : 0;
        p->last[first_point + i].reading.quality = QUALITY_NOT_DUE;
    }
    st->options = *from;
    st->options.point_names = names;
    st->options.point_every_ms = every;
    st->last = p->last + first_point;
    st->watch.name = from->name;
    st->watch.unit = from->unit;
    st->watch.point_names = names;
    st->watch.point_count = from->point_count;
    st->watch.config_news = p->config_news + first_point;
    strcpy(st->status.state, "waiting");
    struct busload_device load = {from->every_ms, from->point_count, every};
    poller_load_device(&p->load, index, &load);
}

int poller_new(const struct poller_options *options, struct poller **ret)
{
    size_t points = 0, most_points = 0;
    for (size_t i = 0; i < options->device_count; i++) {
        size_t n = options->devices[i].point_count;
        points += n;
        if (n > most_points)
            most_points = n;
    }
    struct poller *p = calloc(1, sizeof(*p));
    if (!p)
        return FG_ENOMEM;
    p->options = *options;
    p->count = options->device_count;
    p->watch.bus = options->bus;
    p->watch.where = options->where;
    int err = allocate(p, points, most_points);
    if (err == 0)
        err = poller_load_init(&p->load, options->bus, options->driver, p->count, most_points);
    if (err == 0)
        err = poller_mail_init(&p->mail);
    if (err < 0) {
        free_memory(p);
        return err;
    }
    for (size_t i = 0, at = 0; i < p->count; i++) {
        fill_station(p, i, at);
        at += p->stations[i].options.point_count;
    }
    p->options.devices = NULL; /* the caller's array; the stations hold the copy */
    *ret = p;
    return 0;
}

void poller_free(struct poller *p)
{
    if (!p)
        return;
    assert(!p->started); /* its thread would go on in freed memory */
    if (p->options.driver)
        p->options.driver->ops->close(p->options.driver);
    schedule_free(p->schedule);
    poller_mail_fini(&p->mail);
    free_memory(p);
}

/* Passes on what other threads asked for; false when the thread is to end. */
static bool take_orders(struct poller *p)
{
    pthread_mutex_lock(&p->mail.lock);
    bool go_on = !p->mail.stop;
    for (size_t i = 0; p->mail.poked && i < p->count; i++) {
        if (p->stations[i].hurried)
            schedule_hurry(p->schedule, i, clock_mono_ms());
        p->stations[i].hurried = false;
    }
    p->mail.poked = false;
    pthread_mutex_unlock(&p->mail.lock);
    return go_on;
}

/* Leaves the bus alone while somebody asked for that; false when there is nothing to rest for. */
static bool rest(struct poller *p)
{
    bool over;
    int64_t now = clock_mono_ms();
    int64_t until = poller_mail_rest_until(&p->mail, now, &over);
    if (over) {
        log_line(LOG_PRI_NOTICE, "FG-BUS-RESUMED", _("bus=%s pause=%llds: the sensors are read again"),
                 p->options.bus, (long long)(now - p->paused_mono_ms) / 1000);
        p->paused_mono_ms = 0;
    }
    if (until == 0)
        return false;
    if (p->paused_mono_ms == 0) {
        p->paused_mono_ms = now;
        p->options.driver->ops->release(p->options.driver);
        log_line(LOG_PRI_NOTICE, "FG-BUS-PAUSED",
                 _("bus=%s for=%llds: left alone on command, its port is closed; it goes on by itself"),
                 p->options.bus, (long long)(until - now + 999) / 1000);
        poller_mail_say_paused(&p->mail);
    }
    poller_mail_wait(&p->mail, until);
    return true;
}

static void do_work(struct poller *p)
{
    if (!poller_mail_has_work(&p->mail))
        return;
    pulse_expect(&p->pulse, DRIVER_MAX_MS);
    poller_mail_run(&p->mail, p->options.driver);
    pulse_beat(&p->pulse);
}

/* Whether the device has given anything in this poll. A driver does not ask for registers that a device has
 * refused before; a poll of nothing else neither fails nor proves that the device is well. */
static bool has_measured(const struct poller *p, size_t device)
{
    if (p->result.failed != QUALITY_GOOD)
        return false;
    const size_t count = p->stations[device].options.point_count;
    for (size_t i = 0; i < count; i++)
        if (p->readings[i].quality != QUALITY_NOT_DUE && p->readings[i].quality != QUALITY_CONFIG_ERROR)
            return true;
    return count == 0;
}

static const char *state_word(const struct poller *p, size_t device, bool measured)
{
    const struct poller_watch_device *watch = &p->stations[device].watch;
    if (p->result.failed == QUALITY_GOOD)
        return measured ? "ok" : "failed";
    if (p->result.failed == QUALITY_NOT_CONNECTED)
        return "failed";
    if (schedule_is_silent(p->schedule, device) || watch->state == POLLER_SILENT)
        return "silent";
    return poller_watch_is_retrying(watch) ? "retrying" : "failed";
}

/* A failed poll leaves no old value behind that could be taken for a new one: the last good one stands beside
 * it. A point that was not due keeps its last. */
static void keep_readings(const struct poller *p, struct station *st)
{
    const enum quality failed = p->result.failed;
    for (size_t i = 0; i < st->options.point_count; i++) {
        if (failed == QUALITY_GOOD && p->readings[i].quality == QUALITY_NOT_DUE)
            continue;
        struct poller_last *last = &st->last[i];
        last->reading = failed == QUALITY_GOOD ? p->readings[i] : (struct reading){.quality = failed};
        last->mono_ms = p->result.mono_ms;
        if (last->reading.quality == QUALITY_GOOD) {
            last->good = last->reading.value;
            last->good_mono_ms = last->mono_ms;
        }
    }
    st->last_wall_ms = p->result.wall_ms;
    st->has_last = true;
}

static void keep_status(struct poller *p, size_t device, uint32_t missed, bool measured)
{
    struct station *st = &p->stations[device];
    const char *word = state_word(p, device, measured);
    pthread_mutex_lock(&p->mail.lock);
    struct poller_device_status *status = &st->status;
    snprintf(status->state, sizeof(status->state), "%s", word);
    status->last_failed = p->result.failed;
    status->exception = p->result.exception;
    status->trouble = p->result.failed == QUALITY_GOOD ? DRIVER_NO_TROUBLE : p->result.trouble;
    status->polls++;
    status->missed += missed;
    if (measured)
        status->last_good_mono_ms = p->result.mono_ms;
    if (p->result.failed != QUALITY_GOOD)
        status->failed++;
    keep_readings(p, st);
    pthread_mutex_unlock(&p->mail.lock);
}

static void hand_over(struct poller *p, size_t device, uint32_t missed)
{
    const struct poller_options *o = &p->options;
    const struct station *st = &p->stations[device];
    const bool good = p->result.failed == QUALITY_GOOD;
    struct sample s = {
        .device = st->options.layout_index,
        .wall_ms = p->result.wall_ms,
        .mono_ms = p->result.mono_ms,
        .clock_trusted = o->clock_trusted && o->clock_trusted(o->sink_context),
        .failed = p->result.failed,
        .missed = missed,
        .count = good ? st->options.point_count : 0,
        .readings = good ? p->readings : NULL,
    };
    o->sink(o->sink_context, &s);
}

static void ask(struct poller *p, const struct schedule_turn *turn)
{
    struct driver *d = p->options.driver;
    memset(&p->result, 0, sizeof(p->result));
    pulse_expect(&p->pulse, DRIVER_MAX_MS);
    switch (turn->what) {
    case SCHEDULE_POLL:
        d->ops->poll(d, turn->device, turn->due, p->readings, &p->result);
        break;
    case SCHEDULE_PROBE:
        d->ops->probe(d, turn->device, &p->result);
        break;
    }
    pulse_beat(&p->pulse);
}

static void serve(struct poller *p, const struct schedule_turn *turn)
{
    struct station *st = &p->stations[turn->device];
    const bool is_poll = turn->what == SCHEDULE_POLL;

    ask(p, turn);
    /* A port that cannot be opened is not the device's fault: the schedule goes on as if it had answered, so
     * that every period leaves its failed sample and nobody is only probed when the port is back. */
    const bool answered = poller_watch_trouble(&p->result) != POLLER_SILENT;
    schedule_done(p->schedule, turn, clock_mono_ms(), answered);
    if (p->result.failed != QUALITY_GOOD && atomic_load(&p->cut_off))
        return; /* we did that ourselves: it says nothing about the device */
    const bool measured = is_poll && has_measured(p, turn->device);
    if (measured || p->result.failed != QUALITY_GOOD)
        poller_watch_result(&p->watch, &st->watch, &p->result, is_poll);
    if (!is_poll && answered)
        return; /* the poll that follows at once is the sample */
    if (p->result.failed == QUALITY_GOOD)
        poller_watch_readings(&p->watch, &st->watch, p->readings, clock_mono_ms());
    if (p->result.raised_timeout_ms > 0)
        poller_watch_slow(&p->watch, &st->watch, p->result.raised_timeout_ms);
    p->load.asleep[turn->device] = schedule_is_silent(p->schedule, turn->device);
    poller_load_note(&p->load, turn->missed, clock_mono_ms());
    keep_status(p, turn->device, turn->missed, measured);
    hand_over(p, turn->device, turn->missed);
}

static void *run(void *context)
{
    struct poller *p = context;
    while (take_orders(p)) {
        struct schedule_turn turn;
        pulse_beat(&p->pulse);
        if (rest(p))
            continue;
        do_work(p);
        int64_t now = clock_mono_ms();
        if (!schedule_next(p->schedule, now, &turn))
            poller_mail_wait(&p->mail, INT64_MAX);
        else if (turn.due_mono_ms > now)
            poller_mail_wait(&p->mail, turn.due_mono_ms);
        else
            serve(p, &turn);
    }
    pulse_end(&p->pulse);
    poller_mail_say_end(&p->mail);
    return NULL;
}

static int make_schedule(struct poller *p)
{
    struct schedule_device *devices = calloc(p->count + 1, sizeof(*devices));
    if (!devices)
        return FG_ENOMEM;
    for (size_t i = 0; i < p->count; i++)
        devices[i] = (struct schedule_device){
            .every_ms = p->stations[i].options.every_ms,
            .point_every_ms = p->stations[i].options.point_every_ms,
            .point_count = p->stations[i].options.point_count,
        };
    p->schedule = schedule_new(devices, p->count, p->options.apart_ms, clock_mono_ms(), p->options.seed);
    free(devices);
    return p->schedule ? 0 : FG_ENOMEM;
}

int poller_start(struct poller *p)
{
    char name[16]; /* what the kernel takes */
    int err = make_schedule(p);
    if (err < 0)
        return err;
    pulse_beat(&p->pulse);
    if (pthread_create(&p->thread, NULL, run, p) != 0) {
        pulse_end(&p->pulse);
        return FG_ENOMEM;
    }
    p->started = true;
    snprintf(name, sizeof(name), "bus-%.11s", p->options.bus);
    pthread_setname_np(p->thread, name);
    return 0;
}

bool poller_stop(struct poller *p, int64_t wait_ms)
{
    if (!p || !p->started)
        return true;
    poller_mail_stop(&p->mail);
    bool ended = poller_mail_wait_end(&p->mail, wait_ms / 2);
    if (!ended && wait_ms > 0) {
        atomic_store(&p->cut_off, true);
        p->options.driver->ops->cancel(p->options.driver);
        ended = poller_mail_wait_end(&p->mail, wait_ms - wait_ms / 2);
    }
    if (ended) {
        pthread_join(p->thread, NULL); /* past its last statement: does not wait */
        p->started = false;
    }
    return ended;
}

const struct pulse *poller_pulse(const struct poller *p)
{
    return &p->pulse;
}

const char *poller_bus(const struct poller *p)
{
    return p->options.bus;
}

size_t poller_device_count(const struct poller *p)
{
    return p->count;
}

const struct poller_device *poller_device(const struct poller *p, size_t device)
{
    return device < p->count ? &p->stations[device].options : NULL;
}

void poller_device_status(struct poller *p, size_t device, struct poller_device_status *ret)
{
    pthread_mutex_lock(&p->mail.lock);
    *ret = p->stations[device].status;
    if (p->mail.paused)
        strcpy(ret->state, "paused");
    pthread_mutex_unlock(&p->mail.lock);
    p->options.driver->ops->stats(p->options.driver, device, &ret->stats);
}

void poller_bus_status(struct poller *p, struct driver_bus_stats *ret)
{
    p->options.driver->ops->bus_stats(p->options.driver, ret);
}

bool poller_last_readings(struct poller *p, size_t device, struct poller_last *ret, int64_t *ret_wall_ms)
{
    struct station *st = &p->stations[device];
    pthread_mutex_lock(&p->mail.lock);
    bool has = st->has_last;
    if (has) {
        memcpy(ret, st->last, st->options.point_count * sizeof(*ret));
        *ret_wall_ms = st->last_wall_ms;
    }
    pthread_mutex_unlock(&p->mail.lock);
    return has;
}

void poller_hurry(struct poller *p, size_t device)
{
    if (device >= p->count)
        return;
    pthread_mutex_lock(&p->mail.lock);
    p->stations[device].hurried = true;
    poller_mail_poke(&p->mail);
    pthread_mutex_unlock(&p->mail.lock);
}

int poller_pause(struct poller *p, int64_t for_ms, int64_t wait_ms)
{
    assert(for_ms > 0 && for_ms <= POLLER_PAUSE_MAX_MS);
    return poller_mail_pause(&p->mail, for_ms, wait_ms);
}

void poller_resume(struct poller *p)
{
    poller_mail_resume(&p->mail);
}

int poller_do(struct poller *p, struct poller_work *w, int64_t wait_ms)
{
    return poller_mail_work(&p->mail, w, wait_ms);
}
