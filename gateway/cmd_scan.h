/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_scan - what the parts of `fieldgate scan` share: where it looks, what it found, and how it is shown.
 *
 * Threads    Main thread.
 * Ownership  Plain structs of cmd_scan.c; strings are lent by the command line, configuration and profiles.
 * Errors     As said at each function.
 */
#ifndef FG_CMD_SCAN_H
#define FG_CMD_SCAN_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "../drivers/modbus_scan.h"
#include "err.h"
#include "scan_guess.h"

struct scan_place {
    enum modbus_protocol protocol;
    bool protocol_known; /* TCP: false until something answered */
    char where[256];     /* port or host */
    int tcp_port;
    const char *bus; /* its name in the configuration; NULL: it is not there */
    struct modbus_line line;
};

struct scan_finding {
    struct modbus_scan_try how; /* what was answered */
    int unit;                   /* its own number; 0: answered at an address for all, own number not known */
    uint32_t reply_ms;
    struct scan_guess guesses[SCAN_GUESSES_MAX];
    int guess_count;
    bool every_unit; /* TCP: the box answers whatever the number is */
};

enum { SCAN_FINDINGS_MAX = 256 };

struct scan_findings {
    struct scan_finding *items; /* SCAN_FINDINGS_MAX */
    size_t count;
    size_t garbled;
    struct modbus_scan_try first_garbled;
};

/* Of a word: a bus in the configuration, a port, "host", "host:port". c may be NULL: a scan is often made
 * before there is a configuration. */
struct config;
void scan_find_place(const char *target, const struct config *c, struct scan_place *ret);

/* ---- what is tried (cmd_scan_plan.c) ---- */

enum { SCAN_LIST_MAX = 8 };

struct scan_limits {
    int bauds[SCAN_LIST_MAX];
    size_t baud_count;
    char formats[SCAN_LIST_MAX][4];
    size_t format_count;
    bool units_said;
    int first_unit, last_unit;
    int wait_ms; /* 0: not said */
    bool quick, single;
};

/* The values of --baud, --format, --units and --wait, as cmd_options.h takes them; limits: struct
 * scan_limits. */
const char *scan_take_bauds(const char *value, void *limits);
const char *scan_take_formats(const char *value, void *limits);
const char *scan_take_units(const char *value, void *limits);
const char *scan_take_wait(const char *value, void *limits);

/* ---- the bus is ours while we hold it (cmd_scan_hold.c) ---- */

struct scan_hold {
    const char *runtime_dir;
    const char *bus; /* NULL: nothing to hold */
    int64_t renew_at_mono_ms;
    bool failed; /* to renew: said once */
};

/* Asks a running gateway for a pause. 0 also when no gateway runs or it does not use the bus; else the reason
 * is in the note. */
int scan_hold_begin(struct scan_hold *h, const char *runtime_dir, const char *bus, struct err_note *note);
/* To be called often. */
void scan_hold_renew(struct scan_hold *h);
void scan_hold_end(struct scan_hold *h);

/* ---- showing (cmd_scan_print.c) ---- */

struct scan_progress {
    bool terminal;
    int64_t began_mono_ms, said_mono_ms;
    int64_t cost_ms, done_ms; /* of all tries, of those behind us: as estimated before */
    size_t found;
};

void scan_progress_begin(struct scan_progress *p, int64_t cost_ms);
void scan_progress_step(struct scan_progress *p, const struct modbus_scan_try *t,
                        enum modbus_protocol protocol);
/* Takes the progress line away, so that something else can be printed. */
void scan_progress_clear(struct scan_progress *p);
/* "4800 8N1 unit 7", "unit 7" */
const char *scan_try_text(const struct modbus_scan_try *t, enum modbus_protocol protocol, char ret[64]);
/* The findings as comments and, below, what to paste into a configuration. */
void scan_print(const struct scan_place *place, const struct scan_findings *f);

/* ---- the search (cmd_scan_search.c) ---- */

struct scan_run {
    const char *runtime_dir;
    struct scan_place place;
    struct scan_profiles profiles;
    struct scan_hold hold;
    struct scan_findings findings;
    struct scan_progress progress;
    struct modbus_scan *scan;
    sigset_t signals; /* blocked; they end the search */
    size_t every;     /* TCP: units in a row that all answered; SIZE_MAX: one did not */
    bool stopped;     /* by the user */
    bool interrupted; /* the same, of the whole scan */
    bool failed;      /* the port */
    bool done;        /* there is nothing more to find */
    bool saw_box;     /* TCP: a box that speaks this protocol is there */
};

/* Says on stderr what goes wrong. */
void scan_search(struct scan_run *r, const struct modbus_scan_plan *plan);
/* Reads what was found and compares it with the profiles. */
void scan_guess_all(struct scan_run *r);
/* All of it: has a running gateway pause, searches, guesses, gives the bus back. Of r are set: runtime_dir,
 * place, profiles, signals, findings.items. FG_EINVALID: the limits make no sense; FG_EIO: the gateway keeps
 * the bus; both said on stderr. 0 also when nothing was found or the port failed. */
int scan_whole(struct scan_run *r, const struct scan_limits *limits);

#endif
