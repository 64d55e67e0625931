/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <sys/mman.h>

#include "../../gateway/poller_load.h"

#define MINUTE 60000

/* A bus with two devices, asked every second. */
struct rig {
    struct driver driver; /* first: the sums get a pointer to it */
    int64_t poll_us;
    struct poller_load load;
    int log_fd, real_stderr;
};

static int64_t cost(struct driver *d, size_t device, const bool *due)
{
    (void)device;
    (void)due;
    return ((struct rig *)d)->poll_us;
}

static const struct driver_ops ops = {.cost_us = cost};

static int rig_up(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->driver.ops = &ops;
    assert_int_equal(poller_load_init(&r->load, "field", &r->driver, 2, 1), 0);
    struct busload_device d = {.every_ms = 1000, .point_count = 1};
    for (size_t i = 0; i < 2; i++)
        poller_load_device(&r->load, i, &d);
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
    close(r->real_stderr);
    close(r->log_fd);
    poller_load_fini(&r->load);
    free(r);
    return 0;
}

static int lines(struct rig *r, const char *text)
{
    char log[4096] = "";
    int n = 0;
    ssize_t len = pread(r->log_fd, log, sizeof log - 1, 0);
    assert_true(len >= 0);
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static void missed_periods_of_a_line_with_time_to_spare_say_nothing(void **state)
{
    struct rig *r = *state;
    r->poll_us = 400000;
    for (int64_t t = MINUTE; t < 30 * MINUTE; t += 1000)
        poller_load_note(&r->load, 3, t);
    assert_int_equal(lines(r, "FG-"), 0);
}

static void a_full_line_that_misses_nothing_says_nothing(void **state)
{
    struct rig *r = *state;
    r->poll_us = 600000;
    for (int64_t t = MINUTE; t < 30 * MINUTE; t += 1000)
        poller_load_note(&r->load, 0, t);
    assert_int_equal(lines(r, "FG-"), 0);
}

static void an_overload_is_told_once_until_ten_minutes_have_gone_well(void **state)
{
    struct rig *r = *state;
    r->poll_us = 600000;
    int64_t t = MINUTE;
    for (; t < 30 * MINUTE; t += 1000)
        poller_load_note(&r->load, 1, t);
    assert_int_equal(lines(r, "<4>FG-BUS-OVERLOAD bus=field load=120%: "), 1);
    assert_int_equal(lines(r, "every: 2s or longer would fit"), 1);
    for (; t < 39 * MINUTE; t += 1000)
        poller_load_note(&r->load, 0, t);
    assert_int_equal(lines(r, "FG-"), 1);
    for (; t < 41 * MINUTE; t += 1000)
        poller_load_note(&r->load, 0, t);
    assert_int_equal(lines(r, "<5>FG-BUS-LOAD-OK bus=field: "), 1);
    poller_load_note(&r->load, 1, t);
    assert_int_equal(lines(r, "FG-BUS-OVERLOAD"), 2);
}

static void devices_that_do_not_answer_take_no_part(void **state)
{
    struct rig *r = *state;
    r->poll_us = 600000;
    r->load.asleep[1] = true;
    poller_load_note(&r->load, 1, MINUTE);
    assert_int_equal(lines(r, "FG-"), 0);
    r->load.asleep[1] = false;
    poller_load_note(&r->load, 1, MINUTE + 1000); /* the sums are done once a minute */
    assert_int_equal(lines(r, "FG-"), 0);
    poller_load_note(&r->load, 1, 2 * MINUTE);
    assert_int_equal(lines(r, "FG-BUS-OVERLOAD"), 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(missed_periods_of_a_line_with_time_to_spare_say_nothing),
        T(a_full_line_that_misses_nothing_says_nothing),
        T(an_overload_is_told_once_until_ten_minutes_have_gone_well),
        T(devices_that_do_not_answer_take_no_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
