/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_scan - looks for devices of unknown unit number and line setting: what to try in which order, and
 * the tries.
 *
 * Threads    One thread.
 * Ownership  A plan belongs to the caller (modbus_scan_plan_free()). Options are lent for the call.
 * Errors     FG_ENOMEM, FG_EINVALID with a note.
 *
 * Only reads are ever sent (functions 3 and 4). A unit is there when it answers anything, an exception too.
 * Likely things come first: what makers deliver (setting and unit from the profiles), then all units known
 * from factories at every setting, then all the rest. Within one setting function 3 goes to all units before
 * function 4 does: so a late answer has time to arrive before the same unit is asked again, and is known as
 * late. On a line units 248 to 255 are not for addresses of their own: many sensors answer there whatever
 * their number is, so they are tried only when the user says that a single device is connected. On TCP 255
 * and 0 are what a device without a line behind it is asked at (Messaging on TCP/IP Implementation Guide
 * V1.0b, 4.4.2.2); a unit behind a box still has one of 1 to 247, and 248 to 254 are reserved.
 */
#ifndef FG_MODBUS_SCAN_H
#define FG_MODBUS_SCAN_H

#include "modbus_link.h"

#define MODBUS_SCAN_LINES_MAX 16

/* A device as its maker delivers it. */
struct modbus_scan_known {
    struct modbus_line line; /* baud 0: not said */
    int unit;                /* 0: not said */
    uint8_t function;        /* 3 or 4, and an address that it surely has; function 0: not said */
    uint16_t address;
};

struct modbus_scan_options {
    const struct modbus_scan_known *known;
    size_t known_count;
    struct modbus_line lines[MODBUS_SCAN_LINES_MAX]; /* only these; none: the known ones and the usual ones */
    size_t line_count;
    int first_unit, last_unit; /* inclusive */
    bool quick;                /* nothing but units known from factories */
    bool single;               /* 248..255, too */
    uint16_t wait_ms;          /* for each answer; 0: as long as usual */
    bool serial;               /* false: there are no line settings */
};

struct modbus_scan_try {
    struct modbus_line line;
    uint8_t unit, function;
    uint16_t address;
    bool patient;     /* likely enough to wait longer */
    bool slow;        /* known to answer late: wait long */
    bool any_address; /* whoever answers here says nothing of its number */
    uint16_t wait_ms; /* for the first byte of an answer; 0: as long as usual */
};

struct modbus_scan_plan {
    struct modbus_scan_try *tries;
    size_t count;
    size_t likely; /* the first so many are units known from factories */
};

int modbus_scan_plan(const struct modbus_scan_options *options, struct modbus_scan_plan *ret,
                     struct err_note *note);
void modbus_scan_plan_free(struct modbus_scan_plan *p);
/* Whether the try makes sense when we speak so: 255 and 0 are units on TCP, but calls to all on a line. */
bool modbus_scan_fits(const struct modbus_scan_try *t, enum modbus_protocol protocol);
/* How long a try that nobody answers takes, about. */
int64_t modbus_scan_cost_ms(const struct modbus_scan_try *t, enum modbus_protocol protocol);

/* ---- the tries ---- */

enum modbus_scan_outcome {
    MODBUS_SCAN_NOBODY,
    MODBUS_SCAN_EMPTY, /* the box at the other end says itself that nobody is there */
    MODBUS_SCAN_FOUND,
    MODBUS_SCAN_GARBLED, /* something answered unintelligibly, twice */
    MODBUS_SCAN_NO_PORT, /* or cancelled */
};

struct modbus_scan_result {
    enum modbus_scan_outcome outcome;
    uint32_t reply_ms;    /* FOUND */
    struct err_note note; /* NO_PORT */
    /* A unit asked shortly before has answered too late: worth a try with patience. */
    bool has_slow;
    struct modbus_scan_try slow;
};

struct modbus_scan;

/* line: to begin with; serial only. */
int modbus_scan_open(const struct modbus_link_options *options, struct modbus_scan **ret,
                     struct err_note *note);
void modbus_scan_close(struct modbus_scan *s);
void modbus_scan_try(struct modbus_scan *s, const struct modbus_scan_try *t, struct modbus_scan_result *ret);
/* Reads registers or bits of a device that was found; asks twice before it gives up. */
void modbus_scan_read(struct modbus_scan *s, const struct modbus_ask *a, struct modbus_answer *ret);

#endif
