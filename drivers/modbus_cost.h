/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_cost - what a read costs of a line's time, in microseconds.
 *
 * Threads    Pure functions.
 * Ownership  Plain values.
 * Errors     None.
 *
 * A request occupies a serial line with its own 8 characters, the time until the device answers, the answer
 * (5 characters and the data) and the silence before the next request. On TCP the round trip is nearly all
 * of it. This is what the planner weighs holes with, what `fieldgate check` adds up, and what a running bus
 * compares with its schedule.
 */
#ifndef FG_MODBUS_COST_H
#define FG_MODBUS_COST_H

#include "modbus.h"

/* From the end of our request to the first byte of the answer, where nothing has been measured yet. */
#define MODBUS_COST_LATENCY_SERIAL_US 20000
#define MODBUS_COST_LATENCY_TCP_US 5000

struct modbus_cost {
    int64_t request_us; /* a read of nothing: frames, silences, latency */
    int64_t byte_ns; /* one more byte of data; nanoseconds, because TCP takes far less than a microsecond */
};

/* latency_us: -1 when not known. A serial device never answers before the silence that ends our request. */
struct modbus_cost modbus_cost_of(enum modbus_protocol protocol, const struct modbus_line *line,
                                  int64_t gap_us, int64_t latency_us);
/* A read of so many registers, or bits of a bit table. */
int64_t modbus_cost_read_us(const struct modbus_cost *c, enum point_register table, uint32_t count);

#endif
