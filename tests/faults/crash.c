/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash - power cuts: nothing that was committed may be lost, whatever of the rest reached the disk.
 *
 * A store works on a folder while every operation on it is written down. Then the operations are played again
 * on a model of the disk (crash_disk.h), the power fails at random places between them, and what is left is
 * judged: by SQLite alone, and by the store opening it and going on. One of these wrecks is what the next
 * store starts from, so that power cuts follow upon power cuts.
 *
 * The same cuts are also judged as PRAGMA synchronous=NORMAL would have left them. That must lose
 * acknowledged records, or this test could not find anything: without a single find it fails.
 *
 * usage: crash [-n CUTS] [-s SEED]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../gateway/clock.h"
#include "crash_check.h"
#include "crash_shim.h"

#define CUTS_AT_ONCE 50    /* in one recording */
#define LIVES_OF_A_STORE 6 /* recordings, one after the other, until a new store begins */
#define NORMAL_EVERY 2     /* every so many cuts are also judged with synchronous=NORMAL */

static const struct run_plan plans[] = {
    {"roomy", 64 << 20, 3600 * 1000, 2, 3, 3000, 0},
    {"at the cap", 512 << 10, 3600 * 1000, 120, 0, 3000, 0},
    {"nothing kept once delivered", 64 << 20, 0, 4, 1, 6000, 0},
    {"at the cap, refusals, old records go", 512 << 10, 40 * 1000, 150, 5, 8000, 0},
    {"a clock that is lost and found", 64 << 20, 3600 * 1000, 8, 1, 3000, 5000},
};

struct tally {
    uint64_t cuts, operations, records, lives;
    uint64_t normal_cuts, normal_lost, normal_most, normal_damaged;
    uint64_t at_cap; /* cuts of a store that had been full */
};

struct test {
    char folder[96], live[128], wreck[128];
    uint64_t seed, wanted, random;
    struct tally tally;
};

static void fail(const struct test *t, const struct run *r, const struct image *i, size_t at,
                 const char *what)
{
    fprintf(stderr, "crash: FAILED (%s, operation %zu): %s\n", r->plan->title, at, what);
    image_write(i, t->wreck);
    fprintf(stderr,
            "crash: what the cut left is in %s; FG_SEED=%" PRIu64 ", cut %" PRIu64
            " (how appends fall into commits also depends on the scheduler: try a seed a few times)\n",
            t->wreck, t->seed, t->tally.cuts);
    exit(1);
}

static void note_mark(struct run *r, const struct op *op)
{
    if (op->kind == OP_COMMITTED)
        r->committed = op->last;
    if (op->kind == OP_ACKED && seqset_add(&r->acked[op->uplink], op->first, op->last) != 0)
        abort();
}

static void judge(struct test *t, struct run *r, const struct image *i, size_t at, struct check_seen *seen)
{
    struct err_note note = {{0}};
    if (!check_database(r, i, t->wreck, r->committed, seen, &note) ||
        !check_store(r, i, t->wreck, seen, &note))
        fail(t, r, i, at, note.text);
    t->tally.cuts++;
    t->tally.at_cap += seen->at_cap;
}

static void judge_normal(struct test *t, const struct run *r, const struct image *i, uint64_t committed)
{
    struct err_note note = {{0}};
    struct check_seen seen;
    t->tally.normal_cuts++;
    if (check_database(r, i, t->wreck, committed, &seen, &note))
        return;
    uint64_t lost = committed - seen.newest;
    if (!seen.sound)
        t->tally.normal_damaged++;
    else
        t->tally.normal_lost++;
    if (seen.sound && lost > t->tally.normal_most)
        t->tally.normal_most = lost;
}

/* The places of the cuts, rising; the last one is where the next recording begins. */
static size_t choose(struct test *t, size_t operations, size_t *ret)
{
    size_t last = crash_below(&t->random, 3) ? (size_t)crash_below(&t->random, operations + 1) : operations,
           n = 0;
    uint64_t left = t->wanted - t->tally.cuts;
    size_t most = left < CUTS_AT_ONCE ? (size_t)left : CUTS_AT_ONCE;
    for (size_t place = 0; place <= last && n < most; place++) {
        size_t places = last - place + 1, open = most - n;
        if (open >= places || crash_below(&t->random, places) < open)
            ret[n++] = place;
    }
    if (n > 0)
        ret[n - 1] = last;
    return n;
}

/* Plays the history up to each place; *start becomes what the last cut leaves. */
static void cut_all(struct test *t, struct run *r, const struct history *h, const size_t *places,
                    size_t count, struct image *start)
{
    struct disk *d = disk_new(start, h, false);
    struct image left = {0};
    struct check_seen seen = {0};
    size_t at = 0;
    for (size_t n = 0; n < count; n++) {
        for (; at < places[n]; at++)
            note_mark(r, disk_step(d));
        image_fini(&left);
        disk_cut(d, crash_random(&t->random), &left);
        judge(t, r, &left, at, &seen);
    }
    disk_free(d);
    image_fini(start);
    *start = left;
    run_go_back(r, seen.newest < r->committed ? seen.newest : r->committed);
}

static void cut_all_normal(struct test *t, const struct run *r, const struct history *h, const size_t *places,
                           size_t count, const struct image *start)
{
    struct disk *d = disk_new(start, h, true);
    uint64_t committed = r->committed;
    size_t at = 0;
    for (size_t n = 0; n < count; n += NORMAL_EVERY) {
        struct image left;
        for (; at < places[n]; at++) {
            const struct op *op = disk_step(d);
            if (op->kind == OP_COMMITTED)
                committed = op->last;
        }
        disk_cut(d, crash_random(&t->random), &left);
        judge_normal(t, r, &left, committed);
        image_fini(&left);
    }
    disk_free(d);
}

static void one_store(struct test *t, const struct run_plan *plan)
{
    struct run r;
    struct image start = {0};
    size_t places[CUTS_AT_ONCE];
    run_init(&r, plan, t->live, crash_random(&t->random));
    for (int life = 0; life < LIVES_OF_A_STORE && t->tally.cuts < t->wanted; life++) {
        struct history h = {0};
        run_record(&r, &start, &h);
        size_t count = choose(t, h.count, places);
        t->tally.operations += h.count;
        t->tally.lives++;
        cut_all_normal(t, &r, &h, places, count, &start);
        cut_all(t, &r, &h, places, count, &start);
        history_fini(&h);
    }
    t->tally.records += r.known;
    image_fini(&start);
    run_fini(&r);
}

static void make_folders(struct test *t)
{
    /* Every fsync here is in the model only; in memory the real ones cost nothing either. */
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(t->folder, sizeof t->folder, "%s/fieldgate-crash-XXXXXX", base);
    if (!mkdtemp(t->folder)) {
        perror(t->folder);
        exit(2);
    }
    snprintf(t->live, sizeof t->live, "%s/live", t->folder);
    snprintf(t->wreck, sizeof t->wreck, "%s/wreck", t->folder);
    mkdir(t->live, 0700);
    mkdir(t->wreck, 0700);
}

static void remove_folders(const struct test *t)
{
    folder_empty(t->live);
    folder_empty(t->wreck);
    rmdir(t->live);
    rmdir(t->wreck);
    rmdir(t->folder);
}

static void print_result(const struct test *t, int64_t ms)
{
    const struct tally *n = &t->tally;
    printf("crash: %" PRIu64 " power cuts, %" PRIu64 " of them in a full store; %" PRIu64
           " operations, %" PRIu64 " lives, %" PRIu64 " records, %.1f s: nothing committed was lost\n",
           n->cuts, n->at_cap, n->operations, n->lives, n->records, (double)ms / 1000);
    printf("crash: with synchronous=NORMAL %" PRIu64 " of %" PRIu64
           " cuts lost acknowledged records, up to %" PRIu64 "; %" PRIu64 " damaged the file\n",
           n->normal_lost, n->normal_cuts, n->normal_most, n->normal_damaged);
}

static bool parse(int argc, char **argv, struct test *t)
{
    t->wanted = 2000;
    t->seed = (uint64_t)clock_wall_ms();
    for (int c; (c = getopt(argc, argv, "n:s:")) != -1;) {
        if (c == 'n')
            t->wanted = strtoull(optarg, NULL, 10);
        else if (c == 's')
            t->seed = strtoull(optarg, NULL, 10);
        else
            return false;
    }
    t->random = t->seed;
    return optind == argc && t->wanted > 0;
}

int main(int argc, char **argv)
{
    struct test t = {.seed = 0};
    if (!parse(argc, argv, &t)) {
        fprintf(stderr, "usage: crash [-n CUTS] [-s SEED]\n");
        return 64;
    }
    printf("crash: FG_SEED=%" PRIu64 "\n", t.seed);
    fflush(stdout);
    make_folders(&t);
    int64_t begin = clock_wall_ms();
    for (size_t i = 0; t.tally.cuts < t.wanted; i++)
        one_store(&t, &plans[i % (sizeof plans / sizeof plans[0])]);
    remove_folders(&t);
    print_result(&t, clock_wall_ms() - begin);
    if (t.tally.normal_lost > 0)
        return 0;
    fprintf(stderr, "crash: FAILED: not even synchronous=NORMAL lost anything, so this test finds nothing\n");
    return 1;
}
