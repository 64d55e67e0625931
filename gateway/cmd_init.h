/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_init - what the parts of `fieldgate init` share: questions, what was chosen, and the file that is made.
 *
 * Threads    Main thread.
 * Ownership  Plain structs of cmd_init.c. Texts are copied into fixed arrays; scans and profiles are freed by
 *            cmd_init().
 * Errors     As said at each function. What goes wrong is told on stderr where it happens.
 *
 * Signals that end the program (INT, TERM, HUP, QUIT) are blocked for the whole command and noticed where it
 * waits, so that the terminal's echo always comes back and nothing is left half written.
 */
#ifndef FG_CMD_INIT_H
#define FG_CMD_INIT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "cmd_scan.h"
#include "config.h"

enum { INIT_BUSES_MAX = 4, INIT_NAME_MAX = 64, INIT_TEXT_MAX = 256, INIT_DEVICES_MAX = SCAN_FINDINGS_MAX };

/* Everything that is chosen, by option or by answer. */
struct init_device {
    char name[INIT_NAME_MAX];
    const struct config_profile *profile; /* NULL: unknown */
    int score;                            /* of the guess; 0: chosen by hand */
};

struct init_bus {
    char name[INIT_NAME_MAX];
    struct scan_run scan;
    struct init_device *devices; /* one for each finding */
};

struct init_uplink {
    char url[INIT_TEXT_MAX]; /* "": none */
    char user[INIT_TEXT_MAX];
    char ca_file[INIT_TEXT_MAX];
    char password[INIT_TEXT_MAX]; /* wiped as soon as it is written */
    bool has_password;
};

struct init_choice {
    char language[8]; /* "en", "vi" */
    char name[INIT_TEXT_MAX], id[INIT_NAME_MAX];
    char store_path[1024]; /* "": the default */
    char every[16];        /* how often to ask each device; "": a minute, or what its model needs */
    struct init_bus buses[INIT_BUSES_MAX];
    size_t bus_count;
    struct init_uplink uplink;
    struct scan_profiles profiles;
};

/* Where the file and the password go. */
struct init_place {
    const char *output;
    char folder[INIT_TEXT_MAX * 4]; /* of the output, absolute */
    char credential_folder[INIT_TEXT_MAX * 4 + 16];
    bool installed; /* the service's own file: the password is a credential */
};

/* ---- asking (cmd_init_ask.c) ---- */

struct init_ask {
    sigset_t signals;
    int signal_fd;
    bool on; /* false: take the default of every question */
    bool cancelled;
};

enum { INIT_CANCELLED = -100 };

int init_ask_begin(struct init_ask *a, bool on);
void init_ask_end(struct init_ask *a);
/* Shows the question and the default in brackets; an empty answer means the default. 0, or INIT_CANCELLED
 * after Ctrl-C or the end of the input. fallback may be NULL, "", or ret itself. */
int init_ask_text(struct init_ask *a, const char *question, const char *fallback, char *ret, size_t size);
/* 1 yes, 0 no, or INIT_CANCELLED. */
int init_ask_yes(struct init_ask *a, const char *question, bool fallback);
/* Without echo, which comes back whatever happens. */
int init_ask_secret(struct init_ask *a, const char *question, char *ret, size_t size);
/* Whether somebody has asked us to end; never waits. */
bool init_ask_interrupted(struct init_ask *a);

/* ---- adapters (cmd_init_ports.c) ---- */

enum { INIT_PORTS_MAX = 16 };

struct init_port {
    char path[INIT_TEXT_MAX];
    char what[INIT_TEXT_MAX]; /* for people */
    bool adapter;             /* plugged in; false: a port of the board */
};

/* The serial ports of this machine, adapters first, each once, by the name that stays. dev: "/dev". */
size_t init_ports_list(const char *dev, struct init_port ret[INIT_PORTS_MAX]);

/* ---- steps ---- */

/* cmd_init_bus.c: searches the bus and has the findings named; 0, INIT_CANCELLED, or FG_EIO when the port or
 * host cannot be used. limits: as given; the search is quick unless they say more. */
struct init_search {
    struct scan_limits limits;
    bool thorough;
    const char *runtime_dir;
};
int init_bus_fill(struct init_ask *a, struct init_choice *c, struct init_bus *bus,
                  const struct init_search *search);
/* A bus with this target (port, host, host:port), known by the configuration so far or not. */
void init_bus_begin(struct init_choice *c, const char *target, const struct config *old);

/* cmd_init_broker.c: tries the connection once and tells what came of it; 0 when it stands. */
int init_broker_try(struct init_ask *a, const struct init_choice *c);

/* cmd_init_text.c: the configuration as text. */
void init_text(const struct init_choice *c, const struct init_place *place, struct buf *out);

/* cmd_init_write.c */
int init_place_find(const char *output, struct init_place *ret, struct err_note *note);
/* The password, mode 0600, then the file; an older file stays beside it as a copy, whose name is said. */
int init_write(const struct init_place *place, struct init_choice *c, const struct buf *text,
               struct err_note *note);
/* Name of the uplink's password file. */
#define INIT_UPLINK "province"
#define INIT_CREDENTIAL INIT_UPLINK "-password"

/* A name in a configuration: a-z 0-9 _ -, first a letter or digit. */
bool init_is_name(const char *text);

#endif
