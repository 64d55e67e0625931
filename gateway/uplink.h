/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink - one thread that brings one destination everything the store holds for it, live lane before backlog
 * lane.
 *
 * Threads    uplink_new/start/stop/free from one thread; uplink_wake, uplink_rebirth and uplink_status from
 *            any.
 * Ownership  Options are copied shallowly: strings and store must outlive the uplink.
 * Errors     FG_EINVALID with a note, FG_ENOMEM. Failures of the link are status and log lines.
 *
 * A record counts as delivered only after its PUBACK. The connection is our own loop: first retry after
 * losing an established link uniform in 0..first_retry_max_ms, else doubling to 60 s, jittered; urls
 * tried in order. From another than the first url the uplink returns to the first when that is well again:
 * see uplink_return.h. Log lines: FG-LINK-UP, FG-LINK-DOWN, FG-LINK-FAILED, FG-LINK-TLS, FG-LINK-REFUSED,
 * FG-LINK-RETURN, FG-LINK-CREDENTIAL, FG-ID-CLASH, FG-ID-CLASH-OVER, FG-COMMAND, FG-COMMAND-REFUSED,
 * FG-COMMAND-DEAF, FG-LINK-TOO-OLD, FG-LINK-UNHEARD, FG-LINK-HEARD.
 */
#ifndef FG_UPLINK_H
#define FG_UPLINK_H

#include "command.h"
#include "err.h"
#include "mqtt.h"
#include "payload.h"
#include "pulse.h"
#include "store.h"
#include "uplink_window.h"

struct uplink;

struct uplink_options {
    const char *name;
    size_t store_index; /* position in store_options.uplinks */
    struct store *store;
    const char *const *urls;
    size_t url_count;
    const char *topic; /* prefix, placeholders already replaced */
    const struct payload_format *format;
    bool gzip;
    struct mqtt_options mqtt;
    const char *username;
    const char *password_path; /* read at each connect; NULL: none */
    struct payload_identity who;
    bool oldest_first;
    int64_t max_rate;   /* backlog bytes per second; 0: no ceiling */
    int64_t max_age_ms; /* as the store was told; 0: none */
    size_t batch_samples;
    size_t batch_bytes;
    int64_t batch_delay_ms;
    size_t live_depth; /* how many of the newest records are live on connecting: one round of devices */
    int64_t puback_timeout_ms;  /* 30 s */
    int64_t first_retry_max_ms; /* 30 s: the first retry after a lost link is uniform in 0..this, so that a
                                 * fleet does not come back in one moment */
    int64_t refusal_first_ms;   /* the first pause after a refused message; 0: 5 s */
    int64_t return_every_ms;    /* at least so long between attempts to return to the first url; 0: 10 min */
    const char *config_state;   /* "current" or "fallback" */
    const char *state_dir;      /* where the connection counter is kept */
    bool (*clock_trusted)(void *context);
    void *context;
    uint64_t seed; /* for jitter */
    /* Commands that this broker may give; none: nothing is subscribed. The handlers run on the uplink's
     * thread, while it runs: they must come back within seconds. */
    const char *const *commands;
    size_t command_count;
    struct command_handlers handlers;
};

/* Of commands since start: received = the sum of results + unanswered. */
struct uplink_commands {
    uint64_t received;
    uint64_t results[COMMAND_RESULTS];
    uint64_t unanswered;   /* thrown away unread, because too many came */
    uint64_t replies_lost; /* refused by the broker, or the connection ended before they were out */
};

struct uplink_status {
    bool connected;
    int64_t since_mono_ms;    /* of the present state */
    char url[256];            /* connected to, or tried last; never with a password */
    char reason[512];         /* why down */
    int64_t next_try_mono_ms; /* 0 while connected */
    bool topic_clash;         /* another gateway publishes on our topic: see uplink_twin.h */
    bool id_clash;            /* another client pushes us out: see uplink_clash.h */
    uint64_t connects;
    uint64_t messages, bytes;   /* acknowledged since start */
    uint64_t refused;           /* messages */
    bool unheard[UPLINK_LANES]; /* nobody is subscribed, as the newest acknowledgement said */
    uint64_t unheard_records;   /* delivered since start, and thrown away by the broker for that */
    int64_t drain_ms;           /* estimate until the backlog is empty; -1: unknown; 0: empty */
    struct uplink_commands commands;
};

int uplink_new(const struct uplink_options *options, struct uplink **ret, struct err_note *note);
int uplink_start(struct uplink *u);
/* New records were committed. Never waits. */
void uplink_wake(struct uplink *u);
/* Publishes birth and state once more, now or when connected next. Never waits. */
void uplink_rebirth(struct uplink *u);
/* Publishes the offline state, disconnects, ends the thread; false when it is still stuck after wait_ms. */
bool uplink_stop(struct uplink *u, int64_t wait_ms);
void uplink_free(struct uplink *u);
void uplink_status(struct uplink *u, struct uplink_status *ret);
const struct pulse *uplink_pulse(const struct uplink *u);

#endif
