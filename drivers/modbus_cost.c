/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_cost.h"

#include "modbus_frame.h"
#include "modbus_line.h"

/* Of an answer: unit, function, byte count, check sum. */
#define ANSWER_OVERHEAD 5
/* 100 Mbit/s; what lies behind a Modbus TCP gateway cannot be seen, and counts as latency. */
#define TCP_BYTE_NS 80

struct modbus_cost modbus_cost_of(enum modbus_protocol protocol, const struct modbus_line *line,
                                  int64_t gap_us, int64_t latency_us)
{
    static const struct modbus_line usual = {9600, "8N1"};
    if (protocol == MODBUS_TCP)
        return (struct modbus_cost){.request_us =
                                        gap_us + (latency_us < 0 ? MODBUS_COST_LATENCY_TCP_US : latency_us),
                                    .byte_ns = TCP_BYTE_NS};
    /* Nobody tells us the speed of the line behind a serial server. */
    const struct modbus_line *l = protocol == MODBUS_RTU ? line : &usual;
    int64_t silence_us = modbus_line_silence_us(l);
    if (latency_us < 0)
        latency_us = MODBUS_COST_LATENCY_SERIAL_US;
    if (latency_us < silence_us)
        latency_us = silence_us;
    return (struct modbus_cost){.request_us =
                                    modbus_line_chars_us(l, MODBUS_FRAME_REQUEST_RTU + ANSWER_OVERHEAD) +
                                    silence_us + latency_us + gap_us,
                                .byte_ns = modbus_line_chars_us(l, 1000)};
}

int64_t modbus_cost_read_us(const struct modbus_cost *c, enum point_register table, uint32_t count)
{
    bool bits = table == POINT_COIL || table == POINT_DISCRETE_INPUT;
    int64_t bytes = bits ? (count + 7) / 8 : 2 * (int64_t)count;
    return c->request_us + (bytes * c->byte_ns + 999) / 1000;
}
