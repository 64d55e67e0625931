/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_frame - the bytes of Modbus requests and answers, on a serial line (RTU) and over TCP (MBAP).
 *
 * Threads    Pure functions.
 * Ownership  Frames found are offsets into the caller's bytes.
 * Errors     None: what is not a frame is not found.
 *
 * An RTU line delivers more than answers: noise, a leading 0x00 from a transceiver switching over, our own
 * request from an adapter that echoes, another master's traffic, late answers of other units. So a frame is
 * looked for at every offset, and only a right check sum makes one.
 */
#ifndef FG_MODBUS_FRAME_H
#define FG_MODBUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODBUS_FRAME_REQUEST_RTU 8
#define MODBUS_FRAME_REQUEST_TCP 12
#define MODBUS_FRAME_MAX 260 /* the longest frame of either kind */

/* A read request, functions 1 to 4. */
struct modbus_request {
    uint8_t unit, function;
    uint16_t address, count;
};

enum modbus_frame_kind {
    MODBUS_FRAME_NONE,      /* no whole frame yet */
    MODBUS_FRAME_REPLY,     /* the asked unit, function and byte count */
    MODBUS_FRAME_EXCEPTION, /* the asked unit and function */
    MODBUS_FRAME_ECHO,      /* our own request come back */
    MODBUS_FRAME_FOREIGN,   /* a sound frame that is no answer to this request */
    MODBUS_FRAME_GARBAGE,   /* TCP: the stream is not Modbus TCP and cannot be followed any further */
};

struct modbus_frame {
    enum modbus_frame_kind kind;
    size_t offset, len; /* of the whole frame; before offset lies garbage */
    uint8_t unit, function;
    uint8_t exception;    /* the code, when function has its top bit */
    uint16_t transaction; /* TCP */
    const uint8_t *data;  /* of a read reply: behind the byte count */
    size_t data_len;
};

uint16_t modbus_frame_crc(const uint8_t *bytes, size_t len);
/* Bytes of data in the answer to this request. */
size_t modbus_frame_data_len(const struct modbus_request *r);
/* Bytes of the whole RTU answer. */
size_t modbus_frame_reply_len(const struct modbus_request *r);

/* Unit, function, address and count; the check sum is added by libmodbus, or by ..._request_rtu. */
void modbus_frame_body(const struct modbus_request *r, uint8_t ret[6]);
void modbus_frame_request_rtu(const struct modbus_request *r, uint8_t ret[MODBUS_FRAME_REQUEST_RTU]);
void modbus_frame_request_tcp(const struct modbus_request *r, uint16_t transaction,
                              uint8_t ret[MODBUS_FRAME_REQUEST_TCP]);

/* Finds the first frame. While the beginning of the awaited answer stands there incomplete nothing behind it
 * is looked at, unless no more bytes are to come (final). r NULL: nothing is awaited. */
struct modbus_frame modbus_frame_find_rtu(const uint8_t *bytes, size_t len, const struct modbus_request *r,
                                          bool final);
/* Whether the awaited answer is there in full length with a wrong check sum. */
bool modbus_frame_broken(const uint8_t *bytes, size_t len, const struct modbus_request *r);
/* Whether such an answer, with data, is all there is: head and length are right, so nothing of it is still to
 * come. An exception's head may be data's with a wrong bit, and more to follow. */
bool modbus_frame_broken_whole(const uint8_t *bytes, size_t len, const struct modbus_request *r);

/* The frame at the beginning of the bytes. r NULL: nothing is awaited. A frame with the awaited transaction
 * whose unit, function or byte count is wrong is FOREIGN, with its transaction. */
struct modbus_frame modbus_frame_find_tcp(const uint8_t *bytes, size_t len, const struct modbus_request *r,
                                          uint16_t transaction);

#endif
