/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_count - counters of devices, and how much of its time a bus was busy.
 *
 * Threads    Pure; the caller locks.
 * Ownership  Plain structs; zero is the initial state.
 * Errors     None.
 */
#ifndef FG_MODBUS_COUNT_H
#define FG_MODBUS_COUNT_H

#include "driver.h"
#include "modbus_link.h"

void modbus_count_answer(struct driver_stats *s, const struct modbus_answer *a);

/* The last minute in slots, the present one not yet full. */
#define MODBUS_BUSY_SLOTS 12
#define MODBUS_BUSY_SLOT_US 5000000

struct modbus_busy {
    int64_t since_us; /* 0: nothing was noted yet */
    int64_t slot;     /* number of the newest: time / slot length */
    int64_t busy_us[MODBUS_BUSY_SLOTS];
};

void modbus_busy_begin(struct modbus_busy *b, int64_t now_us);
/* The line was in use from then to then. */
void modbus_busy_note(struct modbus_busy *b, int64_t from_us, int64_t to_us);
/* Of the last minute, or of the time since the beginning. */
uint32_t modbus_busy_permille(const struct modbus_busy *b, int64_t now_us);

#endif
