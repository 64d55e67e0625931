/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_runtime - how a command reads what the running gateway wrote into its runtime folder.
 *
 * Threads    Main thread.
 * Ownership  runtime_read() gives a status that runtime_free() frees.
 * Errors     FG_ENOTFOUND: no file (no gateway has run); FG_EIO: cannot be read (errno tells);
 *            FG_ECORRUPT: not what a gateway writes. ret is then unchanged.
 */
#ifndef FG_CMD_RUNTIME_H
#define FG_CMD_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "json.h"

/* What the kernel calls the gateway's main thread, and so its process. */
#define CMD_PROCESS_NAME "fieldgate"

struct runtime_status {
    cJSON *json;
    char *text; /* the file as it is */
    int64_t pid;
    int64_t started_ts; /* wall ms */
    int64_t age_ms;     /* since it was written */
};

int runtime_read(const char *runtime_dir, struct runtime_status *ret);
void runtime_free(struct runtime_status *s);
/* The process that wrote it still runs (and is fieldgate). */
bool runtime_is_alive(const struct runtime_status *s);

#endif
