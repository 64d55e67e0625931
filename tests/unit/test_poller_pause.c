/* SPDX-License-Identifier: Apache-2.0 */
/* A bus thread that is told to leave its bus alone, or to do something in between. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../../gateway/clock.h"
#include "../../gateway/poller.h"

#define PATIENCE_MS 10000
#define EVERY_MS 20

/* A driver whose only device always answers, and what was done with it. */
struct rig {
    struct driver driver; /* first */
    atomic_int polls, releases, samples, missed;
    atomic_bool open, slow, cancelled;
    struct poller *poller;
    int log_fd, real_stderr;
};

static void fake_poll(struct driver *d, size_t device, const bool *due, struct reading *readings,
                      struct driver_result *ret)
{
    struct rig *r = (struct rig *)d;
    (void)device, (void)due;
    atomic_store(&r->open, true);
    atomic_fetch_add(&r->polls, 1);
    while (atomic_load(&r->slow) && !atomic_load(&r->cancelled))
        clock_sleep_until_us(clock_mono_us() + 1000);
    readings[0] = (struct reading){.quality = QUALITY_GOOD, .value = {.kind = VALUE_NUMBER}};
    *ret = (struct driver_result){.wall_ms = clock_wall_ms(), .mono_ms = clock_mono_ms()};
}

static void fake_release(struct driver *d)
{
    struct rig *r = (struct rig *)d;
    atomic_store(&r->open, false);
    atomic_fetch_add(&r->releases, 1);
}

static void fake_cancel(struct driver *d)
{
    atomic_store(&((struct rig *)d)->cancelled, true);
}

static void fake_stats(struct driver *d, size_t device, struct driver_stats *ret)
{
    (void)d, (void)device;
    *ret = (struct driver_stats){0};
}

static void fake_bus_stats(struct driver *d, struct driver_bus_stats *ret)
{
    (void)d;
    *ret = (struct driver_bus_stats){0};
}

static int64_t fake_cost_us(struct driver *d, size_t device, const bool *due)
{
    (void)d, (void)device, (void)due;
    return 1000;
}

static void fake_close(struct driver *d)
{
    (void)d;
}

static const struct driver_ops fake_ops = {.poll = fake_poll,
                                           .release = fake_release,
                                           .cancel = fake_cancel,
                                           .stats = fake_stats,
                                           .bus_stats = fake_bus_stats,
                                           .cost_us = fake_cost_us,
                                           .close = fake_close};

static void sink(void *context, const struct sample *s)
{
    struct rig *r = context;
    atomic_fetch_add(&r->missed, (int)s->missed);
    atomic_fetch_add(&r->samples, 1); /* last: tests wait for it */
}

static int set_up(void **state)
{
    static const char *const points[] = {"level"};
    static const int64_t every[] = {0};
    struct rig *r = calloc(1, sizeof *r);
    struct poller_device device = {.name = "soil",
                                   .unit = 1,
                                   .every_ms = EVERY_MS,
                                   .point_count = 1,
                                   .point_names = points,
                                   .point_every_ms = every};
    struct poller_options options = {.bus = "field",
                                     .where = "/dev/x",
                                     .driver = &r->driver,
                                     .devices = &device,
                                     .device_count = 1,
                                     .sink = sink,
                                     .sink_context = r,
                                     .seed = 1};
    r->driver.ops = &fake_ops;
    r->log_fd = memfd_create("log", MFD_CLOEXEC); /* log lines are behaviour */
    r->real_stderr = dup(STDERR_FILENO);
    dup2(r->log_fd, STDERR_FILENO);
    assert_int_equal(poller_new(&options, &r->poller), 0);
    assert_int_equal(poller_start(r->poller), 0);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    dup2(r->real_stderr, STDERR_FILENO);
    bool ended = poller_stop(r->poller, PATIENCE_MS);
    if (ended)
        poller_free(r->poller);
    close(r->real_stderr);
    close(r->log_fd);
    free(r);
    return ended ? 0 : -1;
}

static int log_lines(struct rig *r, const char *text)
{
    char log[8192];
    ssize_t n = pread(r->log_fd, log, sizeof log - 1, 0);
    int count = 0;
    log[n > 0 ? n : 0] = '\0';
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void wait_more_than(atomic_int *counter, int value)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (atomic_load(counter) <= value) {
        assert_true(clock_mono_ms() < deadline);
        clock_sleep_until_us(clock_mono_us() + 1000);
    }
}

static void a_paused_bus_is_closed_and_left_alone_until_it_is_resumed(void **state)
{
    struct rig *r = *state;
    struct poller_device_status s;
    wait_more_than(&r->samples, 2);
    assert_int_equal(poller_pause(r->poller, 60000, PATIENCE_MS), 0);
    assert_false(atomic_load(&r->open)); /* already, when the call returns */
    int polls = atomic_load(&r->polls), samples = atomic_load(&r->samples);
    poller_device_status(r->poller, 0, &s);
    assert_string_equal(s.state, "paused");
    poller_hurry(r->poller, 0); /* waits until the pause is over, too */
    clock_sleep_until_us(clock_mono_us() + 10 * EVERY_MS * 1000);
    assert_int_equal(atomic_load(&r->polls), polls);
    assert_int_equal(atomic_load(&r->samples), samples);
    poller_resume(r->poller);
    wait_more_than(&r->samples, samples);
    assert_true(atomic_load(&r->missed) >= 7); /* the periods that passed are accounted for */
    poller_device_status(r->poller, 0, &s);
    assert_string_equal(s.state, "ok");
    assert_int_equal(log_lines(r, "FG-BUS-PAUSED bus=field for=60s"), 1);
    assert_int_equal(log_lines(r, "FG-BUS-RESUMED bus=field"), 1);
}

static void a_pause_ends_by_itself(void **state)
{
    struct rig *r = *state;
    int64_t began = clock_mono_ms();
    assert_int_equal(poller_pause(r->poller, 200, PATIENCE_MS), 0);
    int samples = atomic_load(&r->samples);
    wait_more_than(&r->samples, samples);
    assert_true(clock_mono_ms() - began >= 200);
    assert_int_equal(log_lines(r, "FG-BUS-RESUMED"), 1);
}

static void asking_again_renews_a_pause_without_a_word(void **state)
{
    struct rig *r = *state;
    assert_int_equal(poller_pause(r->poller, 2 * PATIENCE_MS, PATIENCE_MS), 0);
    int64_t began = clock_mono_ms();
    assert_int_equal(poller_pause(r->poller, 400, PATIENCE_MS), 0); /* from now, the longer one is gone */
    int samples = atomic_load(&r->samples);
    wait_more_than(&r->samples, samples);
    assert_true(clock_mono_ms() - began >= 400);
    assert_int_equal(atomic_load(&r->releases), 1);
    assert_int_equal(log_lines(r, "FG-BUS-PAUSED"), 1);
    assert_int_equal(log_lines(r, "FG-BUS-RESUMED"), 1);
}

static void a_pause_that_cannot_begin_in_time_is_withdrawn(void **state)
{
    struct rig *r = *state;
    wait_more_than(&r->polls, 0);
    atomic_store(&r->slow, true);
    int polls = atomic_load(&r->polls);
    wait_more_than(&r->polls, polls); /* the thread hangs in a poll now */
    assert_int_equal(poller_pause(r->poller, 60000, 50), FG_ETIMEOUT);
    atomic_store(&r->slow, false);
    polls = atomic_load(&r->polls);
    wait_more_than(&r->polls, polls + 2);
    assert_int_equal(atomic_load(&r->releases), 0);
    assert_int_equal(log_lines(r, "FG-BUS-PAUSED"), 0);
}

static void a_paused_poller_stops_at_once(void **state)
{
    struct rig *r = *state;
    assert_int_equal(poller_pause(r->poller, 60000, PATIENCE_MS), 0);
    int64_t began = clock_mono_ms();
    assert_true(poller_stop(r->poller, PATIENCE_MS));
    assert_true(clock_mono_ms() - began < PATIENCE_MS / 2); /* not at the end of the pause */
    assert_int_equal(poller_pause(r->poller, 60000, 50), FG_ECLOSED);
}

/* ---- work ---- */

struct job {
    struct poller_work work; /* first */
    struct rig *rig;
    int polls_before;
    bool ran;
    atomic_bool *hold, *freed;
};

static void run_job(struct poller_work *w, struct driver *d)
{
    struct job *j = (struct job *)w;
    assert_ptr_equal(d, &j->rig->driver);
    while (j->hold && atomic_load(j->hold))
        clock_sleep_until_us(clock_mono_us() + 1000);
    j->polls_before = atomic_load(&j->rig->polls);
    j->ran = true;
}

static void free_job(struct poller_work *w)
{
    struct job *j = (struct job *)w;
    if (j->freed)
        atomic_store(j->freed, true);
    free(j);
}

static struct job *make_job(struct rig *r, atomic_bool *hold, atomic_bool *freed)
{
    struct job *j = calloc(1, sizeof *j);
    *j = (struct job){.work = {run_job, free_job}, .rig = r, .hold = hold, .freed = freed};
    return j;
}

static void work_is_done_by_the_bus_thread_between_two_polls(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 5; i++) {
        struct job *j = make_job(r, NULL, NULL);
        assert_int_equal(poller_do(r->poller, &j->work, PATIENCE_MS), 0);
        assert_true(j->ran);
        free_job(&j->work);
    }
    int samples = atomic_load(&r->samples);
    wait_more_than(&r->samples, samples + 1);
}

static void work_that_takes_too_long_is_left_to_the_thread_and_freed_there(void **state)
{
    struct rig *r = *state;
    atomic_bool hold = true, freed = false, second_freed = false;
    do { /* until the thread has come to it: before, work is withdrawn */
        atomic_store(&freed, false);
        struct job *first = make_job(r, &hold, &freed);
        assert_int_equal(poller_do(r->poller, &first->work, 50), FG_ETIMEOUT);
    } while (atomic_load(&freed));
    struct job *second = make_job(r, NULL, &second_freed);
    assert_int_equal(poller_do(r->poller, &second->work, 50), FG_ERETRY); /* one after the other */
    assert_true(atomic_load(&second_freed));
    atomic_store(&hold, false);
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (!atomic_load(&freed)) {
        assert_true(clock_mono_ms() < deadline);
        clock_sleep_until_us(clock_mono_us() + 1000);
    }
    struct job *j = make_job(r, NULL, NULL);
    assert_int_equal(poller_do(r->poller, &j->work, PATIENCE_MS), 0);
    free_job(&j->work);
}

static void no_work_is_done_on_a_paused_or_stopped_bus(void **state)
{
    struct rig *r = *state;
    atomic_bool freed = false;
    assert_int_equal(poller_pause(r->poller, 60000, PATIENCE_MS), 0);
    struct job *j = make_job(r, NULL, &freed);
    assert_int_equal(poller_do(r->poller, &j->work, PATIENCE_MS), FG_ERETRY);
    assert_true(atomic_load(&freed));
    assert_true(poller_stop(r->poller, PATIENCE_MS));
    j = make_job(r, NULL, NULL);
    assert_int_equal(poller_do(r->poller, &j->work, PATIENCE_MS), FG_ECLOSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_paused_bus_is_closed_and_left_alone_until_it_is_resumed),
        TEST(a_pause_ends_by_itself),
        TEST(asking_again_renews_a_pause_without_a_word),
        TEST(a_pause_that_cannot_begin_in_time_is_withdrawn),
        TEST(a_paused_poller_stops_at_once),
        TEST(work_is_done_by_the_bus_thread_between_two_polls),
        TEST(work_that_takes_too_long_is_left_to_the_thread_and_freed_there),
        TEST(no_work_is_done_on_a_paused_or_stopped_bus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
