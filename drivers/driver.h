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

/* Counters of one device since start; a copy is taken for status, so plain integers are enough. */
struct driver_stats {
    uint64_t requests; /* sent, retries included */
    uint64_t replies;  /* good answers, exceptions included */
    uint64_t timeouts; /* silence */
    uint64_t bad_crc;
    uint64_t bad_frame; /* short, wrong unit/function/count, foreign bytes */
    uint64_t exceptions;
    uint64_t late;       /* late answers discarded */
    uint64_t reconnects; /* counted on the device that met it */
    uint32_t reply_last_ms, reply_max_ms;
    uint64_t reply_total_ms; /* over replies, for the mean */
};

struct driver_result {
    enum quality failed; /* QUALITY_GOOD when at least one block was answered with data */
    int64_t wall_ms;     /* when the last byte of the last answer came, or when it was given up */
    int64_t mono_ms;
    uint8_t exception; /* the code, when failed is QUALITY_EXCEPTION */
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
    void (*close)(struct driver *d);
};

/* First member of every driver. */
struct driver {
    const struct driver_ops *ops;
};

#endif
