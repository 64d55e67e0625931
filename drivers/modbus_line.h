/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_line - what is particular to a serial line: speeds and formats, how long characters take, and that
 * one port has one user.
 *
 * Threads    The timing functions are pure; the others belong to the thread that owns the port.
 * Ownership  modbus_line_lock() gives a descriptor that the caller closes.
 * Errors     FG_EINVALID, or FG_EIO, with a note that names the port, the cause and the next step.
 */
#ifndef FG_MODBUS_LINE_H
#define FG_MODBUS_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "modbus.h"

/* FG_EINVALID for a speed that Linux has no code for (libmodbus would silently take 9600) or a format other
 * than 8 data bits, parity N, E or O, 1 or 2 stop bits. */
int modbus_line_check(const struct modbus_line *line, struct err_note *note);
/* Microseconds on the wire of so many characters of this format. */
int64_t modbus_line_chars_us(const struct modbus_line *line, size_t chars);
/* The silence between frames that the standard asks for: 3.5 characters of 11 bits, 1.75 ms above 19200. */
int64_t modbus_line_silence_us(const struct modbus_line *line);

/* Says why a port cannot be used, from an errno. */
int modbus_line_explain(const char *port, int error, struct err_note *note);
/* Opens the port only to lock it against other programs; a descriptor or an error. */
int modbus_line_lock(const char *port, struct err_note *note);
/* Sets whether the kernel switches the direction of an open port. A port that cannot and is not asked to is
 * fine. */
int modbus_line_rs485(int fd, const char *port, enum modbus_rs485 mode, struct err_note *note);
/* Switches an open port to this speed and format; what was received before is thrown away. */
int modbus_line_apply(int fd, const char *port, const struct modbus_line *line, struct err_note *note);

#endif
