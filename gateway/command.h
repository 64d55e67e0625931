/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - what a person or platform may ask of a running gateway: one request in, one answer out, both
 * JSON.
 *
 * Threads    Any thread; the handlers run on the caller's and must bear that.
 * Ownership  Handlers and texts are lent for the call.
 * Errors     Are answers: {"id":..,"ok":false,"code":"..","error":".."}; code is not_found (no such device
 *            or bus), not_now or failed. Nothing is executed unless the whole request was understood.
 *
 * {"id":7,"command":"pause","bus":"field","for_ms":60000} is answered {"id":7,"ok":true,"for_ms":60000}.
 * The id is a string or an integer and comes back unchanged; without one it is null.
 *
 *     status                the status JSON as "status"
 *     poll    device        as soon as possible; the sample goes the usual way
 *     probe   device        reads every point once, raw, as "probe" (probe.h)
 *     pause   bus, for_ms   leaves the bus alone, its port closed; ends by itself
 *     resume  bus
 *     resend  uplink, from, to   delivered records of these numbers that are still stored go out once more;
 *                           "count" says how many
 *
 * Whoever carries requests (the control socket, MQTT) knows no handler, and handlers know no carrier.
 */
#ifndef FG_COMMAND_H
#define FG_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum {
    COMMAND_REQUEST_MAX = 16 * 1024, /* bytes */
    COMMAND_PAUSE_MAX_MS = 15 * 60 * 1000,
};

/* A handler that is NULL is a command that this gateway does not have. Each returns 0 or an error with a note
 * that says what to do; what it adds to out is one JSON value. */
struct command_handlers {
    void *context;
    int (*status)(void *context, struct buf *out, struct err_note *note);
    int (*poll)(void *context, const char *device, struct err_note *note);
    int (*probe)(void *context, const char *device, struct buf *out, struct err_note *note);
    int (*pause)(void *context, const char *bus, int64_t for_ms, struct err_note *note);
    int (*resume)(void *context, const char *bus, struct err_note *note);
    /* Returns how many. */
    int64_t (*resend)(void *context, const char *uplink, uint64_t first, uint64_t last,
                      struct err_note *note);
};

/* Which commands this carrier may give; words NULL: all. */
struct command_rights {
    const char *const *words;
    size_t count;
};

/* Appends the answer, one line without its end. */
void command_run(const struct command_handlers *handlers, const struct command_rights *rights,
                 const char *text, size_t len, struct buf *answer);

#endif
