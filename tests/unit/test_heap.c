/* SPDX-License-Identifier: Apache-2.0 */
#include "../../gateway/heap.h"
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Together 2 MiB, in pieces as work takes them. */
enum { PIECES = 512, PIECE = 4096, SLACK_KB = 64 };

/* A sanitizer has an allocator of its own, which keeps what was freed. */
static void skip_under_a_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    heap_begin();
    heap_give_back();
    print_message("skipped: a sanitizer allocates for itself\n");
    skip();
#endif
}

static void *work(void *unused)
{
    (void)unused;
    static char *pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = memset(malloc(PIECE), i, PIECE);
    for (int i = 0; i < PIECES; i++)
        free(pieces[i]);
    return NULL;
}

static void work_in_another_thread(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    pthread_join(thread, NULL);
}

static void what_ordinary_work_takes_is_there_from_the_start_for_every_thread(void **state)
{
    (void)state;
    skip_under_a_sanitizer();
    long before = unit_anonymous_kb();
    heap_begin();
    long begun = unit_anonymous_kb();
    assert_in_range(begun, before + 1500, before + 4096);
    work_in_another_thread();
    assert_in_range(unit_anonymous_kb(), begun - SLACK_KB, begun + SLACK_KB);
}

static void what_is_out_of_the_ordinary_is_given_back_and_the_ordinary_kept(void **state)
{
    (void)state;
    skip_under_a_sanitizer();
    static char *pieces[4 * PIECES];
    long before = unit_anonymous_kb();
    for (int i = 0; i < 4 * PIECES; i++)
        pieces[i] = memset(malloc(PIECE), i, PIECE);
    assert_in_range(unit_anonymous_kb(), before + 4096, before + 16384);
    for (int i = 0; i + 1 < 4 * PIECES; i++)
        free(pieces[i]); /* one stays above the hole */
    heap_give_back();
    assert_in_range(unit_anonymous_kb(), before - SLACK_KB, before + SLACK_KB);
    free(pieces[4 * PIECES - 1]);
    work_in_another_thread();
    assert_in_range(unit_anonymous_kb(), before - SLACK_KB, before + SLACK_KB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ordinary_work_takes_is_there_from_the_start_for_every_thread),
        cmocka_unit_test(what_is_out_of_the_ordinary_is_given_back_and_the_ordinary_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
