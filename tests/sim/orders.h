/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orders - the simulators' line protocol: one order a line on stdin, one word or JSON object a line on
 * stdout.
 *
 * Threads    One.
 * Ownership  A plain struct; zero is the initial state.
 * Errors     orders_read(): false at the end of stdin, which is the order to end.
 */
#ifndef FG_ORDERS_H
#define FG_ORDERS_H

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct orders {
    char text[1024];
    size_t len;
};

/* Takes what has come and obeys each whole line. */
static inline bool orders_read(struct orders *o, void (*obey)(void *context, const char *line), void *context)
{
    ssize_t n = read(STDIN_FILENO, o->text + o->len, sizeof o->text - o->len - 1);
    if (n <= 0)
        return false;
    o->len += (size_t)n;
    o->text[o->len] = '\0';
    for (char *end; (end = strchr(o->text, '\n')) != NULL;) {
        *end = '\0';
        obey(context, o->text);
        o->len -= (size_t)(end + 1 - o->text);
        memmove(o->text, end + 1, o->len + 1);
    }
    if (o->len == sizeof o->text - 1)
        o->len = 0; /* nobody has such long orders */
    return true;
}

/* Wake-ups as exact as the machine allows; whether it does (an ordinary user may not have it). */
static inline bool orders_hurry(void)
{
    struct sched_param p = {.sched_priority = 10};
    prctl(PR_SET_TIMERSLACK, 1);
    (void)mlockall(MCL_CURRENT | MCL_FUTURE);
    return sched_setscheduler(0, SCHED_FIFO, &p) == 0;
}

#endif
