/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - what a person or platform may ask of a running gateway: one request in, one answer out, both
 * JSON.
 *
 * Threads    Any thread; the handlers run on the caller's and must bear that.
 * Ownership  Handlers, source and texts are lent for the call.
 * Errors     Are answers: {"id":..,"ok":false,"code":"..","error":".."}; code is a word of enum
 *            command_result, or not_found (no such device, bus or uplink), not_now or failed for what a
 * handler refused. Nothing is executed unless the whole request was understood: a member that the command
 *            does not know, or one that stands there twice, is malformed.
 *
 * {"id":7,"command":"pause","bus":"field","for_ms":60000} is answered {"id":7,"ok":true,"for_ms":60000}.
 * The id is a string of 1 to 128 bytes or an integer and comes back unchanged; without one it is null.
 *
 *     status                the status JSON as "status"
 *     rebirth uplink        publishes the birth message once more
 *     poll    device        as soon as possible; the sample goes the usual way
 *     probe   device        reads every point once, raw, as "probe" (probe.h)
 *     pause   bus, for_ms   leaves the bus alone, its port closed; ends by itself
 *     resume  bus
 *     resend  uplink, from, to   delivered records of these numbers that are still stored go out once more;
 *                           "count" says how many
 *
 * Whoever carries requests (the control socket, MQTT) knows no handler, and handlers know no carrier. From
 * afar more is asked of a request: see struct command_source.
 */
#ifndef FG_COMMAND_H
#define FG_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "command_memory.h"
#include "err.h"

enum {
    COMMAND_REQUEST_MAX = 16 * 1024, /* bytes */
    COMMAND_PAUSE_MAX_MS = 15 * 60 * 1000,
    COMMAND_AGE_MAX_MS = 5 * 60 * 1000, /* by "sent", in either direction */
};

/* A handler that is NULL is a command that this gateway does not have. Each returns 0 or an error with a note
 * that says what to do; what it adds to out is one JSON value. */
struct command_handlers {
    void *context;
    int (*status)(void *context, struct buf *out, struct err_note *note);
    int (*rebirth)(void *context, const char *uplink, struct err_note *note);
    int (*poll)(void *context, const char *device, struct err_note *note);
    int (*probe)(void *context, const char *device, struct buf *out, struct err_note *note);
    int (*pause)(void *context, const char *bus, int64_t for_ms, struct err_note *note);
    int (*resume)(void *context, const char *bus, struct err_note *note);
    /* Returns how many. */
    int64_t (*resend)(void *context, const char *uplink, uint64_t first, uint64_t last,
                      struct err_note *note);
};

/* Somebody far away, who may do what the configuration names and is held to more: an id that was not carried
 * out already, and a time. A request says when it was "sent" (milliseconds since 1970 UTC), or its carrier
 * knows that it is fresh; "sent" is judged whenever the clock can be believed, and is no evidence otherwise.
 */
struct command_source {
    const char *const *words; /* the commands that may be given */
    size_t word_count;
    const char *uplink; /* what it came by: rebirth and resend are about this one, and need not name it */
    struct command_memory *memory;
    bool retained; /* the carrier keeps it for whoever comes later: such a command is never carried out */
    bool fresh;
    const char *fault;   /* what is wrong with it beside its text; NULL: nothing */
    const char *not_now; /* why nothing is carried out at present; NULL: it is. Its id may come again. */
    bool clock_trusted;
    int64_t now_wall_ms, now_mono_ms;
    size_t answer_max; /* bytes; 0: any */
};

/* What became of a request. */
enum command_result {
    COMMAND_DONE,
    COMMAND_FAILED, /* it was carried to its handler, which refused */
    COMMAND_MALFORMED,
    COMMAND_OVERSIZE,
    COMMAND_UNKNOWN,
    COMMAND_NOT_ALLOWED,
    COMMAND_RETAINED,
    COMMAND_STALE,
    COMMAND_REPEATED,
    COMMAND_RESULTS, /* how many */
};

/* "done", "failed", "malformed", ... */
const char *command_result_word(enum command_result result);

/* Appends the answer, one line without its end. text NULL: it was too long to be kept. source NULL: somebody
 * on this machine. ret_what (may be NULL) is the command's name and its id for the log, where they are
 * understood. */
struct command_what {
    char word[16];
    char id[160]; /* JSON */
};
enum command_result command_run(const struct command_handlers *handlers, const struct command_source *source,
                                const char *text, size_t len, struct buf *answer,
                                struct command_what *ret_what);

#endif
