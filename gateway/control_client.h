/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client - how a command of the program asks the running gateway.
 *
 * Threads    One thread; waits.
 * Ownership  control_ask() gives a tree that cJSON_Delete() frees.
 * Errors     FG_ECLOSED: no gateway listens there; FG_EIO: it cannot be reached, mostly for lack of
 *            permission; FG_ETIMEOUT, FG_ECORRUPT. What it refused: FG_ENOTFOUND (no such device or bus),
 *            FG_ERETRY (not now), FG_EINVALID. All with a note.
 */
#ifndef FG_CONTROL_CLIENT_H
#define FG_CONTROL_CLIENT_H

#include "err.h"
#include "json.h"

enum { CONTROL_WAIT_MS = 30000 };

/* Sends one request (a JSON object) and gives the answer's object, which says "ok":true. */
int control_ask(const char *runtime_dir, const char *request, int64_t wait_ms, cJSON **ret,
                struct err_note *note);
/* {"id":1,"command":"..","device":".."} and the like; key NULL: no more members. for_ms 0: not said. */
int control_command(const char *runtime_dir, const char *command, const char *key, const char *name,
                    int64_t for_ms, cJSON **ret, struct err_note *note);

#endif
