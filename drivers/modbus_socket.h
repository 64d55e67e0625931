/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_socket - a TCP connection to a Modbus device or serial server.
 *
 * Threads    Any; blocks for the name look-up (which cannot be broken off) and then at most timeout_ms for
 *            each of the first four addresses.
 * Ownership  The caller closes the descriptor.
 * Errors     FG_EIO or FG_ECLOSED (cancelled), with a note that names host:port, the cause and the next step.
 *
 * Not libmodbus: it takes only dotted IPv4 addresses (others become 255.255.255.255 in silence), cannot be
 * broken off, and sets no keep-alive.
 */
#ifndef FG_MODBUS_SOCKET_H
#define FG_MODBUS_SOCKET_H

#include <stdint.h>

#include "../gateway/err.h"

/* Tries each address of the host in turn. cancel_fd: readable when the attempt is to be given up.
 * Returns a non-blocking descriptor. */
int modbus_socket_connect(const char *host, int port, int64_t timeout_ms, int cancel_fd,
                          struct err_note *note);

#endif
