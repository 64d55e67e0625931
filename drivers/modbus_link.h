/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_link - one Modbus connection: a serial port, a TCP connection, or RTU frames over TCP. The door to
 * libmodbus.
 *
 * Threads    One thread asks and frees; modbus_link_cancel() and modbus_link_late() from any thread.
 * Ownership  Options are copied. Nothing is allocated after modbus_link_new() except by the resolver.
 * Errors     modbus_link_new(): FG_ENOMEM, or FG_EINVALID with a note. A failed request is told in the
 * answer.
 *
 * libmodbus opens and configures the serial port and sends on it. The answer is taken by our own receiver on
 * its descriptor, because libmodbus 3.1.6 takes late answers for present ones, has no limit for a slave that
 * drips bytes, stumbles over echoes and leading noise, and keeps no silence between frames. On sockets the
 * requests are ours too: its modbus_send_raw_request() always sends transaction 0, and raises SIGPIPE.
 *
 * The port or connection is opened by the first request and again when it was lost; not oftener than once a
 * second after a failure, and requests in between fail at once.
 */
#ifndef FG_MODBUS_LINK_H
#define FG_MODBUS_LINK_H

#include "../gateway/sample.h"
#include "modbus.h"
#include "modbus_frame.h"

struct modbus_link;

struct modbus_link_options {
    enum modbus_protocol protocol;
    const char *port;        /* RTU */
    enum modbus_rs485 rs485; /* RTU */
    const char *host;        /* TCP */
    int tcp_port;
    struct modbus_line line; /* RTU: of the first device; every request brings its own */
    bool shared;             /* more than one unit is asked over it */
};

struct modbus_ask {
    struct modbus_request request;
    struct modbus_line line; /* RTU */
    int64_t timeout_ms, gap_ms;
    bool patient; /* rather wait for a late answer's time to pass than be refused for it */
};

struct modbus_answer {
    enum quality quality; /* GOOD: data is there */
    bool sent;            /* false: refused, or not connected */
    bool reconnected;     /* the connection was opened again for it */
    bool refused_line;    /* not connected: the port is there, but cannot be set to this speed */
    bool echoed;          /* our own request came back before the answer */
    enum driver_trouble trouble;
    uint8_t exception; /* the code, for QUALITY_EXCEPTION */
    uint8_t data[MODBUS_FRAME_MAX];
    size_t data_len;
    size_t foreign_bytes;     /* around the answer or instead of it */
    int64_t wall_ms, mono_ms; /* of the answer's last byte, or when it was given up */
    uint32_t reply_ms;        /* from the end of our transmission to the answer's last byte */
    int64_t reply_us;
    struct err_note note; /* on failure; may be empty */
};

int modbus_link_new(const struct modbus_link_options *options, struct modbus_link **ret,
                    struct err_note *note);
void modbus_link_free(struct modbus_link *l);
/* Sends one request and waits for its answer; no retries. */
void modbus_link_ask(struct modbus_link *l, const struct modbus_ask *ask, struct modbus_answer *ret);
/* Closes the port or connection; the next request opens it again, which then is no reconnect. */
void modbus_link_release(struct modbus_link *l);
/* Ends a running request; every later one fails with QUALITY_NOT_CONNECTED. */
void modbus_link_cancel(struct modbus_link *l);
/* Late answers of this unit that were recognised so far: discarded, or listened for (modbus_late.h). */
uint32_t modbus_link_late(const struct modbus_link *l, uint8_t unit);
/* Whether a late answer could be taken for the answer to this request. */
bool modbus_link_would_clash(struct modbus_link *l, const struct modbus_ask *ask);
/* The furthest that an answer of this unit was certainly behind its request; 0: never late. By the thread
 * that asks. */
int64_t modbus_link_worst_us(const struct modbus_link *l, uint8_t unit);
/* What came between our requests and belonged to nobody; from any thread. */
void modbus_link_strays(const struct modbus_link *l, uint64_t *ret_frames, uint64_t *ret_bytes);
/* Times that the port or host came back after it could not be used. A connection that the other side closed
 * while idle, and that was there again at once, does not count. */
uint32_t modbus_link_returns(const struct modbus_link *l);

#endif
