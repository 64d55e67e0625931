/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver - what a poller needs from a field protocol: a few functions on one bus.
 *
 * Threads    One thread calls poll, probe, read_raw, release and close; cancel may be called from any thread.
 * Ownership  A driver copies its bus options, borrows its devices' points. close() frees it and accepts NULL.
 * Errors     A failed poll is not an error of the call: it is told in the result and in the readings.
 *            No allocation after opening.
 */
#ifndef FG_DRIVER_H
#define FG_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../gateway/err.h"
#include "../gateway/sample.h"
#include "point.h"

/* Why a question brought no answer. Each kind has another cause in the field. */
enum driver_trouble {
    DRIVER_NO_TROUBLE,
    DRIVER_SILENCE, /* nothing came */
    DRIVER_SHORT,   /* the answer began and broke off */
    DRIVER_BAD_CRC,
    DRIVER_WRONG_UNIT,     /* a sound answer in another unit's name */
    DRIVER_WRONG_FUNCTION, /* an answer of this unit to something else */
    DRIVER_GARBAGE,        /* bytes that make no frame */
    DRIVER_FOREIGN,        /* somebody else asks on this line */
    DRIVER_LATE,           /* not asked: a late answer could be taken for this one's */
};
/* "silence", "short", "bad_crc", ...; "" for none. */
const char *driver_trouble_word(enum driver_trouble t);

#define DRIVER_EXCEPTIONS 12

/* Counters of one device since start; a copy is taken for status, so plain integers are enough. */
struct driver_stats {
    uint64_t requests; /* sent, retries included */
    uint64_t replies;  /* good answers, exceptions included */
    uint64_t timeouts; /* silence */
    uint64_t bad_crc;
    uint64_t bad_frame; /* the sum of the next five */
    uint64_t short_frames, wrong_unit, wrong_function, garbage, foreign;
    uint64_t foreign_bytes; /* that belonged to no frame, also around good answers */
    uint64_t echoes;        /* of our own question, stripped */
    uint64_t exceptions;
    uint64_t exception_codes[DRIVER_EXCEPTIONS]; /* by code; 0: any other */
    uint64_t late;                               /* answers that came late */
    uint64_t held_back;                          /* not asked because a late answer might come */
    uint64_t reconnects;                         /* counted on the device that met it */
    uint32_t reply_last_ms, reply_min_ms, reply_max_ms;
    uint64_t reply_total_ms; /* over replies, for the mean */
    int64_t busy_us;         /* of the line's time */
    int64_t timeout_ms;      /* in effect: raised when answers come late */
};

/* Adds s to the sum; the timeout has none. */
void driver_stats_add(struct driver_stats *sum, const struct driver_stats *s);

/* Of a bus as a whole. */
struct driver_bus_stats {
    uint32_t busy_permille;  /* of the last minute's time, or of the time since start */
    uint64_t foreign_frames; /* sound frames between our questions that nobody waits for */
    uint64_t foreign_bytes;  /* between our questions, in no frame */
};

struct driver_result {
    enum quality failed; /* QUALITY_GOOD when at least one block was answered with data */
    int64_t wall_ms;     /* when the last byte of the last answer came, or when it was given up */
    int64_t mono_ms;
    uint8_t exception;           /* the code, when failed is QUALITY_EXCEPTION */
    enum driver_trouble trouble; /* of the question that `failed` speaks of */
    int64_t raised_timeout_ms;   /* since the poll before it was made this long; 0: it was not */
    struct err_note
        note; /* on failure: what the port or host said ("/dev/ttyUSB0: No such file or directory") */
};

struct driver;

struct driver_ops {
    /* Reads the points i of the device with due[i], fills readings[i] for every point (QUALITY_NOT_DUE where
     * not due). May take tries x timeout per block; opens the port or connection when it is not open. */
    void (*poll)(struct driver *d, size_t device, const bool *due, struct reading *readings,
                 struct driver_result *ret);
    /* One short request without retries: is the device there? */
    void (*probe)(struct driver *d, size_t device, struct driver_result *ret);
    /* Reads registers (or bits, one word each) of a device as they are, whatever its points say; words has
     * room for count (125 registers or 2000 bits at most). Counted in the device's stats, but it teaches the
     * driver nothing. */
    void (*read_raw)(struct driver *d, size_t device, enum point_register table, uint16_t address,
                     uint16_t count, uint16_t *words, struct driver_result *ret);
    /* Closes the port or connection, so that another program can use it; the next call opens it again. */
    void (*release)(struct driver *d);
    /* A running poll or probe gives up as soon as it can; later calls return QUALITY_NOT_CONNECTED at once.
     */
    void (*cancel)(struct driver *d);
    /* A snapshot of a device's counters; from any thread. */
    void (*stats)(struct driver *d, size_t device, struct driver_stats *ret);
    void (*bus_stats)(struct driver *d, struct driver_bus_stats *ret);
    /* What a poll of the points i with due[i] takes of the line's time, by what was measured so far; called
     * by the thread that polls. */
    int64_t (*cost_us)(struct driver *d, size_t device, const bool *due);
    void (*close)(struct driver *d);
};

/* First member of every driver. */
struct driver {
    const struct driver_ops *ops;
};

#endif
