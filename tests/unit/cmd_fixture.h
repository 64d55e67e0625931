/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_fixture - runs a command as a technician would, in a process of its own.
 *
 * Threads    Test thread only.
 * Ownership  cmd_fini() frees an outcome.
 * Errors     Fail the test.
 */
#ifndef FG_CMD_FIXTURE_H
#define FG_CMD_FIXTURE_H

#include <sys/wait.h>

#include "../../gateway/cmd.h"
#include "config_fixture.h"

struct outcome {
    int code;
    char *out, *err;
};

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

static inline void cmd_call(struct fixture *f, int (*command)(int, char **), char **argv, struct outcome *ret)
{
    char out[160], err[160];
    int argc = 0, status;
    while (argv[argc])
        argc++;
    snprintf(out, sizeof(out), "%s/out", f->dir);
    snprintf(err, sizeof(err), "%s/err", f->dir);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr))
            _exit(99);
        int code = command(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    *ret = (struct outcome){.code = WEXITSTATUS(status), .out = read_text(out), .err = read_text(err)};
}

static inline void cmd_fini(struct outcome *o)
{
    free(o->out);
    free(o->err);
}

#endif
