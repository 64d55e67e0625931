/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_load - what polls of devices that were never asked yet would take, by the planner and by usual
 * latencies.
 *
 * Threads    One thread.
 * Ownership  modbus_load_new() borrows points until modbus_load_free(), which accepts NULL.
 * Errors     FG_ENOMEM; FG_EINVALID with a note for options that cannot be planned.
 */
#ifndef FG_MODBUS_LOAD_H
#define FG_MODBUS_LOAD_H

#include "modbus.h"

struct modbus_load;

int modbus_load_new(const struct modbus_options *options, struct modbus_load **ret, struct err_note *note);
void modbus_load_free(struct modbus_load *l);
/* Microseconds of the line's time for a poll of the points i with due[i]; load: a struct modbus_load. */
int64_t modbus_load_cost_us(void *load, size_t device, const bool *due);

#endif
