/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parallel - runs each test of a binary in a process of its own, all at once: for tests that mostly wait.
 *
 * Threads    The test's own.
 * Ownership  Output goes through temporary files that are gone when it was shown.
 * Errors     A child that fails or dies fails the binary; its output is shown. With a name (or pattern) as
 * argument the tests run in this process, one after the other, for a debugger.
 */
#ifndef FG_TEST_PARALLEL_H
#define FG_TEST_PARALLEL_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARALLEL_MAX 64

static inline pid_t parallel_start(const char *program, const char *test, FILE *output)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    dup2(fileno(output), 1);
    dup2(fileno(output), 2);
    execl(program, program, test, (char *)NULL);
    _exit(127);
}

static inline void parallel_show(FILE *output)
{
    int c;
    rewind(output);
    while ((c = fgetc(output)) != EOF)
        fputc(c, stderr);
}

static inline int parallel_run(const char *program, const struct CMUnitTest *tests, size_t count)
{
    pid_t pids[PARALLEL_MAX];
    FILE *outputs[PARALLEL_MAX];
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        outputs[i] = tmpfile();
        pids[i] = outputs[i] ? parallel_start(program, tests[i].name, outputs[i]) : -1;
    }
    for (size_t i = 0; i < count; i++) {
        int status = -1;
        bool good = pids[i] > 0 && waitpid(pids[i], &status, 0) == pids[i] && status == 0;
        printf("[ %s ] %s\n", good ? "      OK" : " FAILED ", tests[i].name);
        fflush(stdout);
        if (!good && outputs[i])
            parallel_show(outputs[i]);
        if (outputs[i])
            fclose(outputs[i]);
        failed += !good;
    }
    printf("[==========] %zu tests, %d failed\n", count, failed);
    return failed;
}

#define parallel_tests(argc, argv, tests)                                                                    \
    ((argc) > 1 ? (cmocka_set_test_filter((argv)[1]), cmocka_run_group_tests((tests), NULL, NULL))           \
                : parallel_run("/proc/self/exe", (tests), sizeof(tests) / sizeof((tests)[0])))

#endif
