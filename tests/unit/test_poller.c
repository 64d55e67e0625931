/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../gateway/clock.h"
#include "../../gateway/err.h"
#include "../../gateway/log.h"
#include "../../gateway/poller.h"

#define PATIENCE_MS 10000
#define DEVICES 4
/* With this seed the first poll of a bus with one device is due at once. */
#define SEED 29
#define POINTS 2
#define SAMPLES 4096

/* How a device behaves until told otherwise. */
struct manner {
    enum quality failed;
    uint8_t exception;
    enum quality first_point, second_point; /* of a good poll */
    int64_t number;
    int64_t takes_ms;
    enum driver_trouble trouble;
    int64_t raised_ms;    /* a good poll raises its timeout to this */
    bool stubborn;        /* hangs, and does not mind being cancelled */
    bool hangs;           /* until cancelled */
    unsigned good_after;  /* so many polls fail, the rest are good */
    unsigned hangs_after; /* so many polls are answered, the rest hang */
};

struct seen {
    struct sample sample;
    struct reading readings[POINTS];
};

/* A driver whose devices do what the test says, and a sink that remembers. */
struct rig {
    struct driver driver; /* first: the poller gets a pointer to it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct manner manners[DEVICES];
    bool alternate; /* device 0: good and exception 2 in turn */
    bool cancelled, closed, trusted;
    unsigned polls[DEVICES], probes[DEVICES];
    unsigned hanging;
    struct seen *seen;
    size_t count;
    struct poller_device devices[DEVICES];
    struct poller *poller;
    int log_fd, real_stderr;
};

static struct rig *rig_of(struct driver *d)
{
    return (struct rig *)d;
}

static struct timespec patience(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* A device takes its time, or for ever. Called with the lock. */
static bool live_through(struct rig *r, size_t device)
{
    struct manner *m = &r->manners[device];
    struct timespec until = patience(m->takes_ms);
    if (m->takes_ms > 0)
        while (pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
            ;
    r->hanging++;
    pthread_cond_broadcast(&r->changed);
    while (((m->hangs || (m->hangs_after > 0 && r->polls[device] > m->hangs_after)) && !r->cancelled) ||
           m->stubborn)
        pthread_cond_wait(&r->changed, &r->lock);
    r->hanging--;
    return !r->cancelled;
}

static void answer(const struct rig *r, size_t device, bool alive, struct driver_result *ret)
{
    const struct manner *m = &r->manners[device];
    ret->failed = alive ? m->failed : QUALITY_NOT_CONNECTED;
    if (m->good_after > 0 && r->polls[device] > m->good_after)
        ret->failed = QUALITY_GOOD;
    ret->exception = m->exception;
    ret->trouble = m->trouble;
    ret->raised_timeout_ms = m->raised_ms;
    ret->wall_ms = clock_wall_ms();
    ret->mono_ms = clock_mono_ms();
    if (ret->failed == QUALITY_NOT_CONNECTED)
        err_note(&ret->note, 0, "/dev/ttyUSB9: No such file or directory");
}

static void fake_poll(struct driver *d, size_t device, const bool *due, struct reading *readings,
                      struct driver_result *ret)
{
    struct rig *r = rig_of(d);
    pthread_mutex_lock(&r->lock);
    r->polls[device]++;
    if (r->alternate && device == 0)
        r->manners[0].failed = r->polls[0] % 2 ? QUALITY_GOOD : QUALITY_EXCEPTION;
    bool alive = live_through(r, device);
    answer(r, device, alive, ret);
    const struct manner *m = &r->manners[device];
    for (size_t i = 0; i < POINTS; i++) {
        struct reading *to = &readings[i];
        memset(to, 0, sizeof(*to));
        to->quality = !due[i] ? QUALITY_NOT_DUE : ret->failed != QUALITY_GOOD ? ret->failed : QUALITY_GOOD;
        if (to->quality == QUALITY_GOOD)
            to->quality = i == 0 ? m->first_point : m->second_point;
        if (to->quality == QUALITY_GOOD)
            to->value = (struct value){.kind = VALUE_NUMBER, .number = decimal_from_int(m->number)};
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void fake_probe(struct driver *d, size_t device, struct driver_result *ret)
{
    struct rig *r = rig_of(d);
    pthread_mutex_lock(&r->lock);
    r->probes[device]++;
    answer(r, device, live_through(r, device), ret);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void fake_cancel(struct driver *d)
{
    struct rig *r = rig_of(d);
    pthread_mutex_lock(&r->lock);
    r->cancelled = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void fake_stats(struct driver *d, size_t device, struct driver_stats *ret)
{
    struct rig *r = rig_of(d);
    memset(ret, 0, sizeof(*ret));
    pthread_mutex_lock(&r->lock);
    ret->requests = r->polls[device] + r->probes[device];
    pthread_mutex_unlock(&r->lock);
}

static int64_t fake_cost(struct driver *d, size_t device, const bool *due)
{
    struct rig *r = rig_of(d);
    (void)due;
    pthread_mutex_lock(&r->lock);
    int64_t takes_us = r->manners[device].takes_ms * 1000;
    pthread_mutex_unlock(&r->lock);
    return takes_us;
}

static void fake_bus_stats(struct driver *d, struct driver_bus_stats *ret)
{
    (void)d;
    *ret = (struct driver_bus_stats){.busy_permille = 430};
}

static void fake_close(struct driver *d)
{
    rig_of(d)->closed = true;
}

static const struct driver_ops fake_ops = {.poll = fake_poll,
                                           .probe = fake_probe,
                                           .cancel = fake_cancel,
                                           .stats = fake_stats,
                                           .bus_stats = fake_bus_stats,
                                           .cost_us = fake_cost,
                                           .close = fake_close};

static void sink(void *context, const struct sample *s)
{
    struct rig *r = context;
    pthread_mutex_lock(&r->lock);
    if (r->count < SAMPLES) {
        struct seen *seen = &r->seen[r->count++];
        seen->sample = *s;
        seen->sample.readings = seen->readings;
        if (s->count > 0)
            memcpy(seen->readings, s->readings, s->count * sizeof(*s->readings));
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool trusted(void *context)
{
    struct rig *r = context;
    pthread_mutex_lock(&r->lock);
    bool result = r->trusted;
    pthread_mutex_unlock(&r->lock);
    return result;
}

static int rig_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    pthread_condattr_t attr;
    r->driver.ops = &fake_ops;
    r->seen = calloc(SAMPLES, sizeof(*r->seen));
    r->trusted = true;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    /* Log lines go to stderr; they are behaviour, so they are caught. */
    r->log_fd = memfd_create("log", MFD_CLOEXEC);
    r->real_stderr = dup(STDERR_FILENO);
    dup2(r->log_fd, STDERR_FILENO);
    *state = r;
    return 0;
}

static int rig_down(void **state)
{
    struct rig *r = *state;
    dup2(r->real_stderr, STDERR_FILENO);
    if (!poller_stop(r->poller, PATIENCE_MS))
        return -1;
    poller_free(r->poller);
    int result = r->poller && !r->closed ? -1 : 0;
    close(r->real_stderr);
    close(r->log_fd);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r->seen);
    free(r);
    return result;
}

/* The first `count` devices, all with this period; the second point only every second_every_ms (0: as often).
 */
static void rig_start(struct rig *r, size_t count, int64_t every_ms, int64_t second_every_ms)
{
    static const char *const names[DEVICES] = {"soil-a1", "soil-a2", "pump", "far"};
    static const char *const points[POINTS] = {"soil_moisture", "soil_temperature"};
    const int64_t every[POINTS] = {0, second_every_ms};
    struct poller_device devices[DEVICES];
    for (size_t i = 0; i < count; i++)
        devices[i] = (struct poller_device){.name = names[i],
                                            .unit = (int)i + 1,
                                            .layout_index = (uint32_t)i + 10,
                                            .every_ms = every_ms,
                                            .point_count = POINTS,
                                            .point_names = points,
                                            .point_every_ms = every};
    const struct poller_options options = {.bus = "field",
                                           .where = "/dev/ttyUSB9",
                                           .driver = &r->driver,
                                           .devices = devices,
                                           .device_count = count,
                                           .sink = sink,
                                           .sink_context = r,
                                           .clock_trusted = trusted,
                                           .seed = SEED};
    assert_int_equal(poller_new(&options, &r->poller), 0);
    memset(devices, 0xa5, sizeof(devices)); /* options are copied */
    assert_int_equal(poller_start(r->poller), 0);
}

static void set_manner(struct rig *r, size_t device, struct manner m)
{
    pthread_mutex_lock(&r->lock);
    r->manners[device] = m;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static bool is_device(const struct seen *s, size_t device)
{
    return s->sample.device == device + 10;
}

/* Waits for the next sample of a device after the first `from` of all; returns its place. */
static size_t wait_sample(struct rig *r, size_t device, size_t from)
{
    struct timespec until = patience(PATIENCE_MS);
    size_t at = from;
    int late = 0;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (at < r->count && !is_device(&r->seen[at], device))
            at++;
        if (at < r->count || late)
            break;
        late = pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    bool found = at < r->count;
    pthread_mutex_unlock(&r->lock);
    assert_true(found);
    return at;
}

static size_t wait_samples(struct rig *r, size_t device, size_t from, int count)
{
    size_t at = from;
    for (int i = 0; i < count; i++)
        at = wait_sample(r, device, at) + 1;
    return at;
}

/* Waits for a sample with this outcome. */
static size_t wait_outcome(struct rig *r, size_t device, size_t from, enum quality failed)
{
    size_t at = wait_sample(r, device, from);
    while (r->seen[at].sample.failed != failed)
        at = wait_sample(r, device, at + 1);
    return at;
}

/* Waits for a sample whose point is read like this: those between may be of polls that began before. */
static size_t wait_quality(struct rig *r, size_t device, size_t from, size_t point, enum quality quality)
{
    size_t at = wait_sample(r, device, from);
    while (r->seen[at].readings[point].quality != quality)
        at = wait_sample(r, device, at + 1);
    return at;
}

static void wait_number(struct rig *r, size_t device, size_t from, uint64_t number)
{
    size_t at = wait_sample(r, device, from);
    while (r->seen[at].readings[0].value.number.magnitude != number)
        at = wait_sample(r, device, at + 1);
}

static void wait_hanging(struct rig *r)
{
    struct timespec until = patience(PATIENCE_MS);
    pthread_mutex_lock(&r->lock);
    while (r->hanging == 0 && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
        ;
    assert_true(r->hanging > 0);
    pthread_mutex_unlock(&r->lock);
}

static void stop(struct rig *r)
{
    assert_true(poller_stop(r->poller, PATIENCE_MS));
}

static int log_lines(struct rig *r, const char *text)
{
    static char log[65536];
    ssize_t n = pread(r->log_fd, log, sizeof(log) - 1, 0);
    assert_true(n >= 0);
    log[n] = '\0';
    int count = 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

static void expect_state(struct rig *r, size_t device, const char *word, enum quality failed)
{
    struct poller_device_status status;
    poller_device_status(r->poller, device, &status);
    assert_string_equal(status.state, word);
    assert_int_equal(status.last_failed, failed);
}

static void each_poll_becomes_a_sample_of_its_device(void **state)
{
    struct rig *r = *state;
    for (size_t i = 0; i < DEVICES; i++)
        r->manners[i].number = (int64_t)i + 100;
    rig_start(r, DEVICES, 20, 0);
    for (size_t i = 0; i < DEVICES; i++)
        wait_samples(r, i, 0, 4);
    stop(r);
    for (size_t i = 0; i < r->count; i++) {
        const struct sample *s = &r->seen[i].sample;
        assert_int_equal(s->failed, QUALITY_GOOD);
        assert_int_equal(s->count, POINTS);
        assert_true(s->clock_trusted);
        assert_int_equal(s->readings[0].value.number.magnitude, s->device - 10 + 100);
        assert_true(s->wall_ms > 0 && s->mono_ms > 0);
    }
    assert_int_equal(poller_device_count(r->poller), DEVICES);
    assert_string_equal(poller_bus(r->poller), "field");
    assert_string_equal(poller_device(r->poller, 2)->name, "pump");
    assert_null(poller_device(r->poller, DEVICES));
    assert_int_equal(log_lines(r, "FG-"), 0); /* nothing changed, nothing to say */
}

static void status_tells_of_waiting_and_then_of_the_newest_values(void **state)
{
    struct rig *r = *state;
    struct poller_last got[POINTS];
    int64_t wall_ms;
    set_manner(r, 0, (struct manner){.hangs = true, .number = 7});
    rig_start(r, 1, 20, 0);
    expect_state(r, 0, "waiting", QUALITY_GOOD);
    assert_false(poller_last_readings(r->poller, 0, got, &wall_ms));
    set_manner(r, 0, (struct manner){.number = 7});
    size_t at = wait_sample(r, 0, 0);
    stop(r);
    at = r->count - 1;
    expect_state(r, 0, "ok", QUALITY_GOOD);
    assert_true(poller_last_readings(r->poller, 0, got, &wall_ms));
    assert_int_equal(wall_ms, r->seen[at].sample.wall_ms);
    assert_int_equal(got[1].mono_ms, r->seen[at].sample.mono_ms);
    assert_int_equal(got[1].reading.value.number.magnitude, 7);
    struct poller_device_status status;
    poller_device_status(r->poller, 0, &status);
    assert_int_equal(status.polls, r->count);
    assert_int_equal(status.failed, 0);
    assert_int_equal(status.last_good_mono_ms, got[1].mono_ms);
    assert_int_equal(status.stats.requests, r->polls[0]);
}

static void a_point_that_is_not_due_keeps_its_newest_reading_in_status(void **state)
{
    struct rig *r = *state;
    struct poller_last got[POINTS];
    int64_t wall_ms;
    r->manners[0].number = 1;
    rig_start(r, 1, 20, 3600000);
    size_t at = wait_sample(r, 0, 0);
    assert_int_equal(r->seen[at].readings[1].quality, QUALITY_GOOD);
    set_manner(r, 0, (struct manner){.number = 2});
    wait_number(r, 0, at + 1, 2);
    stop(r);
    assert_int_equal(r->seen[r->count - 1].readings[1].quality, QUALITY_NOT_DUE);
    assert_true(poller_last_readings(r->poller, 0, got, &wall_ms));
    assert_int_equal(got[0].reading.value.number.magnitude, 2);
    assert_int_equal(got[1].reading.value.number.magnitude, 1);
    assert_int_equal(got[1].mono_ms, r->seen[at].sample.mono_ms);
    assert_int_equal(got[0].mono_ms, r->seen[r->count - 1].sample.mono_ms);
}

static void a_failed_poll_leaves_the_last_good_value_beside_its_failure(void **state)
{
    struct rig *r = *state;
    struct poller_last got[POINTS];
    int64_t wall_ms;
    set_manner(r, 0, (struct manner){.number = 7});
    rig_start(r, 1, 20, 0);
    size_t at = wait_sample(r, 0, 0);
    set_manner(r, 0, (struct manner){.failed = QUALITY_NO_REPLY});
    wait_samples(r, 0, at + 1, 2); /* the first may have been under way */
    stop(r);
    assert_true(poller_last_readings(r->poller, 0, got, &wall_ms));
    assert_int_equal(got[0].reading.quality, QUALITY_NO_REPLY);
    assert_int_equal(got[0].reading.value.kind, VALUE_NONE); /* never taken for a new one */
    assert_int_equal(got[0].good.number.magnitude, 7);
    assert_true(got[0].good_mono_ms > 0 && got[0].good_mono_ms < got[0].mono_ms);
}

static void an_untrusted_clock_is_marked_on_the_sample(void **state)
{
    struct rig *r = *state;
    r->trusted = false;
    rig_start(r, 1, 20, 0);
    size_t at = wait_sample(r, 0, 0);
    assert_false(r->seen[at].sample.clock_trusted);
}

static void periods_that_pass_during_a_slow_poll_are_counted(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.takes_ms = 130});
    rig_start(r, 1, 20, 0);
    size_t at = wait_sample(r, 0, 0);
    set_manner(r, 0, (struct manner){0});
    size_t next = wait_sample(r, 0, at + 1);
    wait_sample(r, 0, next + 1);
    stop(r);
    assert_true(r->seen[next].sample.missed >= 5);
    uint64_t missed = 0;
    for (size_t i = 0; i < r->count; i++)
        missed += r->seen[i].sample.missed;
    struct poller_device_status status;
    poller_device_status(r->poller, 0, &status);
    assert_int_equal(status.missed, missed);
    assert_int_equal(status.polls, r->count);
}

/* The first device stays silent, the second comes back, the third is well all the time; for the fourth a
 * gateway says that it does not answer. */
static void silence_is_recorded_probed_and_said_once(void **state)
{
    struct rig *r = *state;
    struct poller_last got[POINTS];
    int64_t wall_ms;
    set_manner(r, 0, (struct manner){.failed = QUALITY_NO_REPLY});
    set_manner(r, 1, (struct manner){.failed = QUALITY_NO_REPLY});
    set_manner(r, 3, (struct manner){.failed = QUALITY_EXCEPTION, .exception = 11});
    rig_start(r, 4, 20, 0);
    size_t dead = wait_sample(r, 0, 0);
    assert_int_equal(r->seen[dead].sample.failed, QUALITY_NO_REPLY);
    assert_int_equal(r->seen[dead].sample.count, 0);
    dead = wait_samples(r, 0, dead + 1, 2);
    size_t back = wait_samples(r, 1, 0, 3);
    set_manner(r, 1, (struct manner){.number = 5});

    /* The first probe of each comes about a second later. */
    dead = wait_sample(r, 0, dead);
    back = wait_sample(r, 1, back);
    wait_samples(r, 1, back + 1, 3);
    size_t far = wait_samples(r, 3, 0, 4) - 1;
    expect_state(r, 0, "silent", QUALITY_NO_REPLY);
    expect_state(r, 3, "silent", QUALITY_EXCEPTION);
    expect_state(r, 1, "ok", QUALITY_GOOD);
    assert_true(poller_last_readings(r->poller, 0, got, &wall_ms));
    assert_int_equal(got[0].reading.quality, QUALITY_NO_REPLY);
    assert_int_equal(got[0].good_mono_ms, 0); /* it never answered */
    stop(r);

    assert_int_equal(r->polls[0], 3);
    assert_true(r->probes[0] >= 1);
    assert_int_equal(r->seen[dead].sample.failed, QUALITY_NO_REPLY);
    assert_true(r->seen[dead].sample.missed >= 30); /* of 50 periods a second */
    assert_int_equal(r->probes[1], 1);
    assert_int_equal(r->seen[back].sample.failed, QUALITY_GOOD); /* the probe itself is no sample */
    assert_true(r->seen[back].sample.missed >= 30);
    assert_int_equal(r->polls[3], 3);
    assert_true(r->probes[3] >= 1);
    assert_int_equal(r->seen[far].sample.failed, QUALITY_EXCEPTION);
    assert_true(wait_samples(r, 2, 0, 10) > 0); /* the healthy one never stopped */

    assert_int_equal(log_lines(r, "FG-BUS-SILENT"), 3);
    assert_int_equal(log_lines(r, "<4>FG-BUS-SILENT bus=field device=soil-a1 unit=1 tries=3: no answer; "
                                  "check power, wires A/B, address, baud"),
                     1);
    assert_int_equal(log_lines(r, "<5>FG-BUS-BACK bus=field device=soil-a2 unit=2 outage="), 1);
    assert_int_equal(log_lines(r, "FG-"), 4);
}

static void two_missed_answers_are_failed_samples_but_no_news(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.failed = QUALITY_NO_REPLY, .good_after = 2});
    rig_start(r, 1, 20, 0);
    size_t at = wait_samples(r, 0, 0, 4);
    stop(r);
    for (size_t i = 0; i < at; i++)
        assert_int_equal(r->seen[i].sample.failed, i < 2 ? QUALITY_NO_REPLY : QUALITY_GOOD);
    assert_int_equal(log_lines(r, "FG-"), 0);
}

static void a_port_that_is_gone_fails_every_period_but_blames_no_device(void **state)
{
    struct rig *r = *state;
    for (size_t i = 0; i < 2; i++)
        set_manner(r, i, (struct manner){.failed = QUALITY_NOT_CONNECTED});
    rig_start(r, 2, 20, 0);
    wait_samples(r, 0, 0, 6);
    size_t at = wait_samples(r, 1, 0, 6);
    expect_state(r, 0, "failed", QUALITY_NOT_CONNECTED);
    for (size_t i = 0; i < at; i++)
        assert_int_equal(r->seen[i].sample.failed, QUALITY_NOT_CONNECTED);
    assert_int_equal(r->probes[0] + r->probes[1], 0);
    for (size_t i = 0; i < 2; i++)
        set_manner(r, i, (struct manner){0});
    wait_outcome(r, 0, at, QUALITY_GOOD);
    wait_outcome(r, 1, at, QUALITY_GOOD);
    stop(r);
    assert_int_equal(r->probes[0] + r->probes[1], 0);
    assert_int_equal(
        log_lines(r, "<4>FG-BUS-PORT bus=field port=/dev/ttyUSB9: /dev/ttyUSB9: No such file or directory"),
        1);
    assert_int_equal(log_lines(r, "<5>FG-BUS-PORT-BACK bus=field port=/dev/ttyUSB9 outage="), 1);
    assert_int_equal(log_lines(r, "FG-"), 2);
}

static void a_device_that_refuses_everything_has_answered(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.failed = QUALITY_EXCEPTION, .exception = 2});
    rig_start(r, 1, 20, 0);
    size_t at = wait_samples(r, 0, 0, 6);
    struct poller_device_status status;
    poller_device_status(r->poller, 0, &status);
    assert_string_equal(status.state, "failed");
    assert_int_equal(status.last_failed, QUALITY_EXCEPTION);
    assert_int_equal(status.exception, 2);
    set_manner(r, 0, (struct manner){0});
    wait_outcome(r, 0, at, QUALITY_GOOD);
    stop(r);
    assert_int_equal(r->probes[0], 0);
    assert_int_equal(log_lines(r, "<4>FG-BUS-EXCEPTION bus=field device=soil-a1 unit=1 exception=2: "), 1);
    assert_int_equal(log_lines(r, "FG-BUS-BACK"), 1);
    assert_int_equal(log_lines(r, "FG-"), 2);
}

static void damaged_answers_point_at_the_wires(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.failed = QUALITY_BAD_CRC, .hangs_after = 2});
    rig_start(r, 1, 20, 0);
    size_t at = wait_samples(r, 0, 0, 2);
    expect_state(r, 0, "retrying", QUALITY_BAD_CRC);
    assert_int_equal(log_lines(r, "FG-"), 0);
    set_manner(r, 0, (struct manner){.failed = QUALITY_BAD_FRAME});
    at = wait_samples(r, 0, at, 4);
    expect_state(r, 0, "failed", QUALITY_BAD_FRAME);
    stop(r);
    assert_int_equal(r->probes[0], 0); /* it does answer */
    assert_int_equal(log_lines(r, "<4>FG-BUS-GARBLED bus=field device=soil-a1 unit=1 tries=3: "), 1);
    assert_int_equal(log_lines(r, "two devices with one address"), 1);
    assert_int_equal(log_lines(r, "FG-"), 1);
}

static void every_kind_of_damage_has_its_own_advice(void **state)
{
    static const struct {
        enum driver_trouble trouble;
        const char *words;
    } kinds[DEVICES] = {{DRIVER_WRONG_UNIT, "in another unit's name"},
                        {DRIVER_GARBAGE, "check baud and format"},
                        {DRIVER_FOREIGN, "another master"},
                        {DRIVER_SHORT, "check the supply"}};
    struct rig *r = *state;
    for (size_t i = 0; i < DEVICES; i++)
        set_manner(r, i, (struct manner){.failed = QUALITY_BAD_FRAME, .trouble = kinds[i].trouble});
    rig_start(r, DEVICES, 20, 0);
    for (size_t i = 0; i < DEVICES; i++)
        wait_samples(r, i, 0, 3);
    stop(r);
    for (size_t i = 0; i < DEVICES; i++)
        assert_int_equal(log_lines(r, kinds[i].words), 1);
    assert_int_equal(log_lines(r, "FG-BUS-GARBLED"), DEVICES);
}

static void more_time_for_a_slow_device_is_said_once(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.raised_ms = 750});
    rig_start(r, 1, 20, 0);
    wait_samples(r, 0, 0, 4);
    stop(r);
    assert_int_equal(log_lines(r, "<5>FG-BUS-SLOW bus=field device=soil-a1 unit=1 timeout=750ms: "), 1);
    assert_int_equal(log_lines(r, "FG-"), 1);
}

/* Three devices of 20 ms each, every 40 ms: one and a half times what there is. */
static void a_bus_that_cannot_keep_its_schedule_says_so_once_and_what_would_fit(void **state)
{
    struct rig *r = *state;
    struct driver_bus_stats bus;
    for (size_t i = 0; i < 3; i++)
        set_manner(r, i, (struct manner){.takes_ms = 20});
    rig_start(r, 3, 40, 0);
    for (size_t i = 0; i < 3; i++)
        wait_samples(r, i, 0, 5);
    poller_bus_status(r->poller, &bus);
    assert_int_equal(bus.busy_permille, 430);
    stop(r);
    assert_int_equal(log_lines(r, "<4>FG-BUS-OVERLOAD bus=field load=150%: "), 1);
    assert_int_equal(log_lines(r, "every: 100ms or longer would fit"), 1);
    assert_int_equal(log_lines(r, "FG-"), 1);
}

static void a_register_that_is_not_there_is_named_once(void **state)
{
    struct rig *r = *state;
    const char *line =
        "<4>FG-POINT-CONFIG bus=field device=soil-a1 unit=1 point=soil_temperature: the device does "
        "not have this register; check profile and address";
    set_manner(r, 0, (struct manner){.second_point = QUALITY_CONFIG_ERROR});
    rig_start(r, 1, 20, 0);
    size_t at = wait_samples(r, 0, 0, 5);
    assert_int_equal(log_lines(r, line), 1);
    expect_state(r, 0, "ok", QUALITY_GOOD);
    set_manner(r, 0, (struct manner){0});
    at = wait_quality(r, 0, at, 1, QUALITY_GOOD);
    set_manner(r, 0, (struct manner){.second_point = QUALITY_CONFIG_ERROR});
    at = wait_quality(r, 0, at, 1, QUALITY_CONFIG_ERROR);
    wait_samples(r, 0, at, 3);
    stop(r);
    assert_int_equal(log_lines(r, line), 2); /* it had been good in between: that is news again */
    assert_int_equal(log_lines(r, "FG-"), 2);
}

/* Drivers stop asking for what was refused; then a poll brings nothing, and nothing has failed. */
static void a_poll_that_asked_nothing_does_not_make_a_refusing_device_well(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0,
               (struct manner){.failed = QUALITY_EXCEPTION,
                               .exception = 2,
                               .good_after = 2,
                               .first_point = QUALITY_CONFIG_ERROR,
                               .second_point = QUALITY_CONFIG_ERROR});
    rig_start(r, 1, 20, 0);
    size_t at = wait_samples(r, 0, 0, 5);
    expect_state(r, 0, "failed", QUALITY_GOOD);
    assert_int_equal(r->seen[at - 1].readings[0].quality, QUALITY_CONFIG_ERROR);
    struct poller_device_status status;
    poller_device_status(r->poller, 0, &status);
    assert_int_equal(status.last_good_mono_ms, 0);
    stop(r);
    assert_int_equal(log_lines(r, "FG-BUS-EXCEPTION"), 1);
    assert_int_equal(log_lines(r, "FG-"), 1);
}

static void a_device_that_keeps_changing_does_not_fill_the_log(void **state)
{
    struct rig *r = *state;
    r->alternate = true;
    r->manners[0].exception = 2;
    rig_start(r, 1, 2, 0);
    wait_samples(r, 0, 0, 60);
    stop(r);
    assert_int_equal(log_lines(r, "FG-BUS-EXCEPTION") + log_lines(r, "FG-BUS-BACK"), 6);
}

static void hurry_polls_at_once_what_is_due_in_an_hour(void **state)
{
    struct rig *r = *state;
    rig_start(r, 1, 3600000, 0);
    size_t at = wait_sample(r, 0, 0) + 1;
    for (int i = 0; i < 3; i++) {
        poller_hurry(r->poller, 0);
        poller_hurry(r->poller, 99); /* no such device: ignored */
        at = wait_sample(r, 0, at) + 1;
    }
    stop(r);
    assert_int_equal(r->polls[0], 4);
}

static void stopping_cuts_a_hanging_poll_off_and_blames_nobody(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.hangs = true});
    rig_start(r, 1, 20, 0);
    wait_hanging(r);
    (void)poller_stop(r->poller, 400); /* half of it is grace */
    stop(r);
    assert_int_equal(r->count, 0);
    assert_int_equal(log_lines(r, "FG-"), 0);
    assert_true(poller_stop(r->poller, 0)); /* again: nothing left to do */
}

static bool poll_began(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    bool began = r->polls[0] > 0;
    pthread_mutex_unlock(&r->lock);
    return began;
}

/* The device has answered by then, and it knows: what it gave must not be thrown away. */
static void stopping_lets_a_poll_that_is_under_way_end_and_keeps_its_sample(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.takes_ms = 200, .number = 7});
    rig_start(r, 1, 3600000, 0);
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; !poll_began(r);)
        assert_true(clock_mono_ms() < until);
    poller_stop(r->poller, 0);
    stop(r);
    assert_int_equal(r->count, 1);
    assert_int_equal(r->seen[0].readings[0].quality, QUALITY_GOOD);
}

/* Only what was cut off says nothing about the device; this one did not answer, and the record must say so.
 */
static void a_poll_that_fails_by_itself_while_stopping_is_recorded(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.takes_ms = 100, .failed = QUALITY_NO_REPLY});
    rig_start(r, 1, 3600000, 0);
    for (int64_t until = clock_mono_ms() + PATIENCE_MS; !poll_began(r);)
        assert_true(clock_mono_ms() < until);
    poller_stop(r->poller, 0);
    stop(r);
    assert_int_equal(r->count, 1);
    assert_int_equal(r->seen[0].sample.failed, QUALITY_NO_REPLY);
}

static void stopping_gives_up_on_a_driver_that_does_not_come_back(void **state)
{
    struct rig *r = *state;
    set_manner(r, 0, (struct manner){.stubborn = true});
    rig_start(r, 1, 20, 0);
    wait_hanging(r);
    int64_t begin = clock_mono_ms();
    assert_false(poller_stop(r->poller, 50));
    assert_true(clock_mono_ms() - begin >= 49);
    assert_false(poller_stop(r->poller, 0));
    set_manner(r, 0, (struct manner){0});
    stop(r);
}

static void stopping_wakes_a_poller_that_waits_for_an_hour(void **state)
{
    struct rig *r = *state;
    rig_start(r, 1, 3600000, 0);
    wait_sample(r, 0, 0);
    int64_t begin = clock_mono_ms();
    stop(r);
    assert_true(clock_mono_ms() - begin < 5000); /* not the ten seconds of the loop's own round */
}

static void the_pulse_beats_while_it_runs_and_ends_with_it(void **state)
{
    struct rig *r = *state;
    rig_start(r, 1, 20, 0);
    wait_sample(r, 0, 0);
    int64_t now = clock_mono_ms();
    assert_false(pulse_late(poller_pulse(r->poller), now));
    assert_true(pulse_late(poller_pulse(r->poller), now + 200000));
    stop(r);
    assert_false(pulse_late(poller_pulse(r->poller), now + 200000));
}

static void a_poller_that_never_started_closes_its_driver_too(void **state)
{
    struct rig *r = *state;
    const struct poller_options options = {
        .bus = "field", .where = "/dev/ttyUSB9", .driver = &r->driver, .sink = sink, .sink_context = r};
    assert_int_equal(poller_new(&options, &r->poller), 0);
    assert_true(poller_stop(r->poller, 0));
    assert_true(poller_stop(NULL, 0));
    poller_free(NULL);
    /* rig_down() checks that the driver is closed. */
}

static void a_bus_without_devices_idles(void **state)
{
    struct rig *r = *state;
    rig_start(r, 0, 20, 0);
    stop(r);
    assert_int_equal(r->count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_poll_becomes_a_sample_of_its_device),
        T(status_tells_of_waiting_and_then_of_the_newest_values),
        T(a_point_that_is_not_due_keeps_its_newest_reading_in_status),
        T(a_failed_poll_leaves_the_last_good_value_beside_its_failure),
        T(an_untrusted_clock_is_marked_on_the_sample),
        T(periods_that_pass_during_a_slow_poll_are_counted),
        T(silence_is_recorded_probed_and_said_once),
        T(two_missed_answers_are_failed_samples_but_no_news),
        T(a_port_that_is_gone_fails_every_period_but_blames_no_device),
        T(a_device_that_refuses_everything_has_answered),
        T(damaged_answers_point_at_the_wires),
        T(every_kind_of_damage_has_its_own_advice),
        T(more_time_for_a_slow_device_is_said_once),
        T(a_bus_that_cannot_keep_its_schedule_says_so_once_and_what_would_fit),
        T(a_register_that_is_not_there_is_named_once),
        T(a_poll_that_asked_nothing_does_not_make_a_refusing_device_well),
        T(a_device_that_keeps_changing_does_not_fill_the_log),
        T(hurry_polls_at_once_what_is_due_in_an_hour),
        T(stopping_cuts_a_hanging_poll_off_and_blames_nobody),
        T(stopping_lets_a_poll_that_is_under_way_end_and_keeps_its_sample),
        T(a_poll_that_fails_by_itself_while_stopping_is_recorded),
        T(stopping_gives_up_on_a_driver_that_does_not_come_back),
        T(stopping_wakes_a_poller_that_waits_for_an_hour),
        T(the_pulse_beats_while_it_runs_and_ends_with_it),
        T(a_poller_that_never_started_closes_its_driver_too),
        T(a_bus_without_devices_idles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
