/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus - the Modbus driver: RTU on a serial port, Modbus TCP, and RTU frames over TCP.
 *
 * Threads    As driver.h says.
 * Ownership  Options are copied; points are borrowed until close.
 * Errors     modbus_driver_open(): FG_ENOMEM, or FG_EINVALID with a note for options that cannot be planned
 *            (it never touches the port: that happens in the first poll).
 */
#ifndef FG_MODBUS_H
#define FG_MODBUS_H

#include "driver.h"
#include "point.h"

enum modbus_protocol { MODBUS_RTU, MODBUS_TCP, MODBUS_RTU_OVER_TCP };

/* Who switches the transceiver to sending: the kernel's driver by the port's RTS line, when it can. */
enum modbus_rs485 {
    MODBUS_RS485_AUTO, /* as the port is set already; most adapters switch by themselves */
    MODBUS_RS485_ON,
    MODBUS_RS485_OFF
};

struct modbus_line {
    int baud;       /* bits per second */
    char format[4]; /* "8N1", "8E1", "8O1", "8N2" */
};

struct modbus_device_options {
    const char *name;
    int unit;                /* 1..247 on a serial line, 0..255 on TCP */
    struct modbus_line line; /* RTU: what to switch the port to for this device */
    int64_t timeout_ms;      /* from the end of our transmission to the first byte of the answer */
    int64_t gap_ms;          /* silence before each request, above the standard's 3.5 characters */
    uint16_t max_registers;  /* per read; 0: the protocol's 125 */
    uint16_t max_hole;       /* undeclared registers that a read may cross; 0: none */
    const struct point *points;
    size_t point_count;
};

struct modbus_options {
    const char *bus; /* name, for notes */
    enum modbus_protocol protocol;
    const char *port;        /* RTU: device node */
    enum modbus_rs485 rs485; /* RTU */
    const char *host;        /* TCP: name or address */
    int tcp_port;
    int tries; /* attempts per request, 1 or more */
    const struct modbus_device_options *devices;
    size_t device_count;
};

int modbus_driver_open(const struct modbus_options *options, struct driver **ret, struct err_note *note);

#endif
