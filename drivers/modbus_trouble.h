/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_trouble - what went wrong with an answer, told from what came instead of it.
 *
 * Threads    Pure functions.
 * Ownership  Borrows bytes and frames for the call.
 * Errors     None.
 */
#ifndef FG_MODBUS_TROUBLE_H
#define FG_MODBUS_TROUBLE_H

#include "driver.h"
#include "modbus_frame.h"

/* Of a sound RTU frame that is no answer to r, no echo and no late answer. `before`: what was found in this
 * turn already; the answer to another master's question must not look like a unit of a wrong number. */
enum driver_trouble modbus_trouble_of_frame(const struct modbus_frame *f, const struct modbus_request *r,
                                            enum driver_trouble before);
/* Of a Modbus TCP frame with the right transaction that is no answer to r. */
enum driver_trouble modbus_trouble_of_tcp(const struct modbus_frame *f, const struct modbus_request *r);
/* Of bytes that make no frame, when nothing more is to come. */
enum driver_trouble modbus_trouble_of_bytes(const uint8_t *bytes, size_t len, const struct modbus_request *r);

#endif
