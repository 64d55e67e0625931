/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_decode - from the registers or bits of an answer to the reading of a point.
 *
 * Threads    Pure functions.
 * Ownership  Nothing is kept.
 * Errors     Told as the quality of the reading: sensor_fault for NaN, infinity and the point's `invalid`
 *            values, out_of_range (with the value) outside min and max.
 */
#ifndef FG_MODBUS_DECODE_H
#define FG_MODBUS_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "../gateway/sample.h"
#include "point.h"

/* A point of an input or holding register; bytes: 2 x point_width() as they came over the wire. */
void modbus_decode_registers(const struct point *p, const uint8_t *bytes, struct reading *ret);
/* A point of a coil or discrete input. */
void modbus_decode_bit(bool bit, struct reading *ret);

#endif
