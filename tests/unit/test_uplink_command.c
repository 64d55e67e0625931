/* SPDX-License-Identifier: Apache-2.0 */
/* Commands at the two ends of a connection, and one that keeps the uplink's thread busy. */
#include "uplink_fixture.h"

#include <stdatomic.h>

/* A handler that waits until the test lets this call of it go. */
struct latch {
    _Atomic unsigned entered, allowed;
};

static int wait_for_latch(void *context, struct buf *out, struct err_note *note)
{
    struct latch *latch = context;
    (void)note;
    unsigned mine = atomic_fetch_add(&latch->entered, 1) + 1;
    while (atomic_load(&latch->allowed) < mine)
        clock_sleep_until_us(clock_mono_us() + 1000);
    buf_adds(out, "{}");
    return 0;
}

static const char *const WORDS[] = {"status"};

static void allow_commands(struct fixture *f, struct latch *latch)
{
    f->options.commands = WORDS;
    f->options.command_count = 1;
    f->options.handlers = (struct command_handlers){.context = latch, .status = wait_for_latch};
}

/* Returns when the broker has acknowledged it, and so has sent it on to us. */
static void give_command(struct fixture *f, int id)
{
    char line[320];
    snprintf(line, sizeof line,
             "mosquitto_pub -V 5 -h 127.0.0.1 -p %d -q 1 -t " TOPIC "/command "
             "-D publish message-expiry-interval 60 -m '{\"id\":%d,\"command\":\"status\"}'",
             f->broker.port, id);
    assert_int_equal(system(line), 0);
}

static void start_busy(struct fixture *f, struct latch *latch)
{
    allow_commands(f, latch);
    start_broker(f, OPEN);
    keep_log(f);
    start_uplink(f);
    WATCH_UNTIL(&f->watch, f->watch.states > 0 && link_status(f).messages > 0);
    give_command(f, 1);
    WATCH_UNTIL(&f->watch, atomic_load(&latch->entered) == 1);
}

static void a_command_that_comes_while_we_say_goodbye_is_answered_and_counted(void **state)
{
    struct fixture *f = *state;
    struct latch latch = {0, 0};
    start_busy(f, &latch);
    /* They wait in the queue when the thread hears that it is to stop. */
    give_command(f, 2);
    give_command(f, 3);
    pthread_mutex_lock(&f->lock);
    struct uplink *u = f->uplink;
    f->uplink = NULL;
    pthread_mutex_unlock(&f->lock);
    assert_false(uplink_stop(u, 0));
    atomic_store(&latch.allowed, 1);
    assert_true(uplink_stop(u, 10000));
    struct uplink_status s;
    uplink_status(u, &s);
    uplink_free(u);
    assert_int_equal(s.commands.received, 3);
    assert_int_equal(s.commands.results[COMMAND_DONE], 1);
    assert_int_equal(s.commands.results[COMMAND_FAILED], 2);
    assert_int_equal(s.commands.unanswered, 0);
    assert_int_equal(s.commands.replies_lost, 0);
    WATCH_UNTIL(&f->watch, f->watch.replies == 3);
    assert_int_equal(f->watch.replies_not_now, 2);
    WATCH_UNTIL(&f->watch, !json_bool(f->watch.state, "online", true));
}

static void an_acknowledgement_that_waited_for_our_own_thread_is_not_overdue(void **state)
{
    struct fixture *f = *state;
    struct latch latch = {0, 0};
    f->options.puback_timeout_ms = 2000;
    start_busy(f, &latch);
    give_command(f, 2);
    /* The first reply goes out, and the second command, which was there before its acknowledgement, keeps the
     * thread for longer than an acknowledgement may take. */
    atomic_store(&latch.allowed, 1);
    WATCH_UNTIL(&f->watch, atomic_load(&latch.entered) == 2);
    const int64_t until = clock_mono_ms() + f->options.puback_timeout_ms + 200;
    WATCH_UNTIL(&f->watch, clock_mono_ms() > until);
    atomic_store(&latch.allowed, 2);
    WATCH_UNTIL(&f->watch, f->watch.replies == 2);
    append(f, 5);
    until_delivered(f);
    assert_int_equal(logged(f, "FG-LINK-DOWN"), 0);
    assert_int_equal(link_status(f).connects, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UPLINK_TEST(a_command_that_comes_while_we_say_goodbye_is_answered_and_counted),
        UPLINK_TEST(an_acknowledgement_that_waited_for_our_own_thread_is_not_overdue),
    };
    return parallel_tests(argc, argv, tests);
}
