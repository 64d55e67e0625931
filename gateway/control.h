/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the local socket through which the program's own commands reach the running gateway.
 *
 * Threads    One of its own, which also runs the handler: the handler must bear that, and come back within a
 *            minute. Open, stop and close from one thread.
 * Ownership  Options are copied; the handler's context is lent until control_close().
 * Errors     control_open(): FG_EIO with a note. A client that misbehaves is cut off, nobody else notices.
 *
 * A request and its answer are one line each; a connection may carry several, one after the other. Up to four
 * clients are served; the next waits. Who neither completes a request nor takes its answer for 5 s is cut
 * off. The socket stands in the runtime folder, for the owner and group of this process only. Requests are
 * run one at a time.
 */
#ifndef FG_CONTROL_H
#define FG_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "pulse.h"

#define CONTROL_NAME "control"

struct control;

/* Appends the answer, without the end of the line. */
typedef void control_answer(void *context, const char *text, size_t len, struct buf *answer);

struct control_options {
    const char *runtime_dir;
    control_answer *answer;
    void *context;
    int64_t patience_ms; /* with a client; 0: 5 s */
};

int control_open(const struct control_options *options, struct control **ret, struct err_note *note);
/* Takes no further request; does not wait. */
void control_stop(struct control *c);
/* Waits for the request under way, removes the socket. Accepts NULL. */
void control_close(struct control *c);
const struct pulse *control_pulse(const struct control *c);

#endif
