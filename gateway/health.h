/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health - what the service manager and the runtime folder are told. The door to sd-daemon.
 *
 * Threads    Main thread.
 * Ownership  Nothing is kept.
 * Errors     Telling the service manager cannot fail visibly (there may be none);
 *            health_write_file(), health_keep_file(): FG_EIO with a note.
 */
#ifndef FG_HEALTH_H
#define FG_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

/* READY=1 with a status line; STOPPING=1; STATUS= alone; WATCHDOG=1. */
void health_ready(const char *status);
void health_stopping(void);
void health_say(const char *status);
void health_feed_watchdog(void);
/* True where systemd is the service manager of this machine. */
bool health_systemd_runs(void);

/* Bytes that this process has had written to media so far, as the kernel counts them: pages, each time one
 * becomes dirty; what goes to memory file systems, pipes and sockets is not in it. -1: not known here. */
int64_t health_written_bytes(void);

/* Replaces dir/name atomically by the buffer's text, mode 0644. The runtime folder is memory: no fsync. */
int health_write_file(const char *dir, const char *name, const struct buf *text, struct err_note *note);
/* The same for the state folder: survives a power cut once it returns 0. */
int health_keep_file(const char *dir, const char *name, const struct buf *text, struct err_note *note);

#endif
