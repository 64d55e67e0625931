/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway - builds every part from a configuration, starts and stops them. The only file that knows all
 * parts.
 *
 * Threads    Main thread only; the parts run threads of their own.
 * Ownership  The configuration is lent and must outlive the gateway.
 * Errors     gateway_new(): what the store or an option refused, with a note. Later failures of buses, links
 * and disk are log lines and status, never the end of the program.
 */
#ifndef FG_GATEWAY_H
#define FG_GATEWAY_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"
#include "err.h"

struct gateway;

struct gateway_options {
    struct config *config;  /* expanded */
    const char *gateway_id; /* in force: the configured one, or the one made at first start */
    bool id_not_kept;       /* it was made just now, and the state folder took nothing */
    const char *config_path;
    const char *config_state; /* "current" or "fallback" */
    const char *state_dir;
    const char *runtime_dir;    /* for the control socket; NULL: none */
    int64_t first_retry_max_ms; /* of uplinks after losing a link */
    int64_t refusal_first_ms;   /* of uplinks after a refused message; 0: the usual */
    int64_t return_every_ms;    /* of uplinks on another than their first url; 0: as usual */
};

int gateway_new(const struct gateway_options *options, struct gateway **ret, struct err_note *note);
/* Starts all threads; waits for nothing outside. */
int gateway_start(struct gateway *g, struct err_note *note);
/* Once a second: logs changes of the store and the clock. True while every loop makes progress. */
bool gateway_tick(struct gateway *g);
void gateway_status(struct gateway *g, struct buf *json, struct buf *metrics);
/* One line for the service manager. */
void gateway_summary(struct gateway *g, struct buf *text);
/* Ends everything in order: pollers, uplinks, then the store commits what is left. False when a thread was
 * stuck (in a name look-up): the process should then leave without gateway_free(). */
bool gateway_stop(struct gateway *g);
/* After gateway_stop(), or when it was never started. Accepts NULL. */
void gateway_free(struct gateway *g);

/* The configured id, or the one kept in state_dir/gateway-id, made there (random, tied to this machine) when
 * there is none or when the state folder came from another machine. FG_EIO: one was made and could not be
 * kept. */
int gateway_id(const struct config *config, const char *state_dir, char *ret_id, size_t cap,
               struct err_note *note);
/* Keeps one that could not be kept before. */
int gateway_id_keep(const char *state_dir, const char *id, struct err_note *note);

#endif
