/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define ROUNDS 12
#define SEQS 400000

/* What the child says after each commit; small enough to be written whole. */
struct news {
    uint64_t newest;
    uint64_t acked; /* everything up to here was acknowledged before that commit */
};

struct child {
    struct fixture *f;
    int pipe;
};

static void tell_parent(void *context)
{
    struct child *c = context;
    struct news n = {.newest = store_newest(c->f->store)};
    struct store_uplink_status u;
    store_uplink_status(c->f->store, 0, &u);
    n.acked = u.delivered;
    if (write(c->pipe, &n, sizeof n) != (ssize_t)sizeof n)
        _exit(9);
    on_commit(c->f);
}

/* Appends and acknowledges until it is killed. */
static void run_child(struct fixture *f, int pipe, uint64_t first_sample, unsigned random)
{
    struct child c = {.f = f, .pipe = pipe};
    f->options.commit_every_ms = 1;
    f->options.on_commit = tell_parent;
    f->options.on_commit_context = &c;
    f->appended = first_sample;
    struct err_note note;
    if (store_open(&f->options, &f->store, &note))
        _exit(8);
    struct news n = {.newest = store_newest(f->store)};
    if (write(pipe, &n, sizeof n) != (ssize_t)sizeof n)
        _exit(9);
    for (;;) {
        for (int i = rand_r(&random) % 200; i > 0; i--)
            if (try_append(f, f->appended) == 0)
                f->appended++;
        uint64_t newest = store_newest(f->store);
        if (rand_r(&random) % 3 == 0)
            store_delivered(f->store, 0, 1, newest - newest / 8);
        clock_sleep_until_us(clock_mono_us() + rand_r(&random) % 2000);
    }
}

/* Kills the child after so many microseconds of its running, returns what it said last. */
static struct news kill_child(pid_t pid, int pipe, int64_t after_us)
{
    struct news n, last = {0};
    struct pollfd p = {.fd = pipe, .events = POLLIN};
    int64_t kill_at = 0, give_up = clock_mono_ms() + DEADLINE_S * 1000;
    while (clock_mono_ms() < give_up && (!kill_at || clock_mono_us() < kill_at)) {
        if (poll(&p, 1, 1) <= 0)
            continue;
        assert_int_equal(read(pipe, &n, sizeof n), sizeof n);
        last = n;
        if (!kill_at)
            kill_at = clock_mono_us() + after_us;
    }
    assert_true(kill_at);
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(pipe, &n, sizeof n) == (ssize_t)sizeof n)
        last = n;
    return last;
}

/* What every seq was when it was first seen: it must never be anything else. */
struct seen {
    int64_t ts[SEQS];
    uint64_t newest;
};

static uint64_t check_records(struct fixture *f, struct seen *seen)
{
    struct store_batch b;
    struct store_limits all = {.max_records = 10000, .max_bytes = 10000000};
    uint64_t expected = 1, samples = 0;
    int n;
    store_batch_init(&b);
    while ((n = store_read(f->store, 1, expected, UINT64_MAX, &all, &b)) > 0) {
        for (int i = 0; i < n; i++, expected++) {
            const struct store_record *r = &b.records[i];
            assert_int_equal(r->seq, expected);
            assert_true(r->seq < SEQS);
            if (r->seq <= seen->newest)
                assert_int_equal(r->ts_ms, seen->ts[r->seq]);
            seen->ts[r->seq] = r->ts_ms;
            /* Samples were numbered by their time, without a hole. */
            if (!r->is_event)
                assert_int_equal(r->ts_ms, (int64_t)samples++ * 1000);
        }
    }
    assert_int_equal(n, 0);
    assert_int_equal(expected, store_newest(f->store) + 1);
    seen->newest = expected - 1;
    store_batch_fini(&b);
    return samples;
}

static void a_kill_at_any_moment_loses_nothing_that_was_committed(void **state)
{
    struct fixture *f = *state;
    struct seen *seen = calloc(1, sizeof *seen);
    unsigned seed = (unsigned)time(NULL), random = seed;
    uint64_t samples = 0;
    print_message("seed %u\n", seed);
    f->options.commit_every_ms = 1;
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fixture_child(f, ends[1], samples, random);
        close(ends[1]);
        struct news last = kill_child(pid, ends[0], rand_r(&random) % 60000);
        close(ends[0]);
        fixture_open(f);
        assert_true(store_newest(f->store) >= last.newest);
        samples = check_records(f, seen);
        assert_true(status_of(f, 0).delivered <= store_newest(f->store));
        /* The child's own last acknowledgements may be repeated; nothing is taken for delivered that was not.
         */
        struct store_uplink_status u = status_of(f, 0);
        assert_true(u.dropped == 0 && u.delivered <= last.newest + 1);
        assert_int_equal(status_of(f, 1).delivered, 0);
        fixture_close(f);
    }
    print_message("%" PRIu64 " samples, %" PRIu64 " records\n", samples, seen->newest);
    assert_int_equal(ask_sql(f->path, "SELECT count(*) FROM stream"), 1);
    free(seen);
}

#define APPENDERS 3
#define PER_APPENDER 3000

struct crew {
    struct fixture *f;
    _Atomic unsigned running;
    _Atomic uint64_t done;
};

static void *append_many(void *context)
{
    struct crew *c = context;
    for (uint64_t i = 0; i < PER_APPENDER;) {
        int err =
            i % 50 ? try_append(c->f, i) : store_append_event(c->f->store, 1, "{\"event\":\"clock_set\"}");
        if (err == 0)
            i++;
        else
            clock_sleep_until_us(clock_mono_us() + 500);
    }
    c->running--;
    return NULL;
}

static void *take_all(void *context)
{
    struct crew *c = context;
    struct store_batch b;
    struct store_status status;
    struct store_limits limits = {.max_records = 50, .max_bytes = 100000};
    uint64_t first, last, count;
    store_batch_init(&b);
    while (c->running > 0 || store_waiting(c->f->store, 0, &first, &last, &count)) {
        if (store_read(c->f->store, 0, 0, UINT64_MAX, &limits, &b) > 0) {
            c->done += b.count;
            store_delivered(c->f->store, 0, b.records[0].seq, b.records[b.count - 1].seq);
        }
        store_status(c->f->store, &status);
        assert_true(status.newest <= status.records);
    }
    store_batch_fini(&b);
    return NULL;
}

static void appenders_and_a_reader_work_beside_the_writer(void **state)
{
    struct fixture *f = *state;
    struct crew crew = {.f = f, .running = APPENDERS};
    pthread_t threads[APPENDERS + 1];
    fixture_open(f);
    for (int i = 0; i < APPENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &crew), 0);
    assert_int_equal(pthread_create(&threads[APPENDERS], NULL, take_all, &crew), 0);
    for (int i = 0; i <= APPENDERS; i++)
        pthread_join(threads[i], NULL);
    wait_newest(f, 2 + APPENDERS * PER_APPENDER);
    struct store_batch b;
    store_batch_init(&b);
    uint64_t rest = (uint64_t)read_all(f, 0, &b), refusals = 0;
    struct store_status status;
    store_status(f->store, &status);
    /* Each time the queue was full an event tells of it. */
    refusals = status.newest - 2 - APPENDERS * PER_APPENDER;
    assert_true(status.queue_dropped > 0 || refusals == 0);
    assert_int_equal(crew.done + rest, status.newest);
    assert_int_equal(status_of(f, 0).delivered, crew.done);
    store_batch_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "child") == 0)
        run_child(fixture_new(argv[2]), atoi(argv[3]), strtoull(argv[4], NULL, 10),
                  (unsigned)strtoul(argv[5], NULL, 10));
    const struct CMUnitTest tests[] = {
        TEST(a_kill_at_any_moment_loses_nothing_that_was_committed),
        TEST(appenders_and_a_reader_work_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
