/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_frame.h"

#include <string.h>

#define EXCEPTION_BIT 0x80
#define RTU_OVERHEAD 5 /* unit, function, byte count, check sum */
#define RTU_EXCEPTION_LEN 5
#define RTU_FIXED_LEN 8 /* requests, and answers to writes */
#define MBAP_LEN 7

uint16_t modbus_frame_crc(const uint8_t *bytes, size_t len)
{
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    return crc;
}

static bool crc_is_right(const uint8_t *frame, size_t len)
{
    uint16_t crc = modbus_frame_crc(frame, len - 2);
    return frame[len - 2] == (crc & 0xFF) && frame[len - 1] == crc >> 8;
}

size_t modbus_frame_data_len(const struct modbus_request *r)
{
    return r->function <= 2 ? (r->count + 7u) / 8u : r->count * 2u;
}

size_t modbus_frame_reply_len(const struct modbus_request *r)
{
    return RTU_OVERHEAD + modbus_frame_data_len(r);
}

void modbus_frame_body(const struct modbus_request *r, uint8_t ret[6])
{
    ret[0] = r->unit;
    ret[1] = r->function;
    ret[2] = (uint8_t)(r->address >> 8);
    ret[3] = (uint8_t)(r->address & 0xFF);
    ret[4] = (uint8_t)(r->count >> 8);
    ret[5] = (uint8_t)(r->count & 0xFF);
}

void modbus_frame_request_rtu(const struct modbus_request *r, uint8_t ret[MODBUS_FRAME_REQUEST_RTU])
{
    modbus_frame_body(r, ret);
    uint16_t crc = modbus_frame_crc(ret, 6);
    ret[6] = (uint8_t)(crc & 0xFF);
    ret[7] = (uint8_t)(crc >> 8);
}

void modbus_frame_request_tcp(const struct modbus_request *r, uint16_t transaction,
                              uint8_t ret[MODBUS_FRAME_REQUEST_TCP])
{
    ret[0] = (uint8_t)(transaction >> 8);
    ret[1] = (uint8_t)(transaction & 0xFF);
    ret[2] = ret[3] = ret[4] = 0; /* protocol 0; the length never needs its high byte */
    ret[5] = 6;
    modbus_frame_body(r, ret + 6);
}

static struct modbus_frame frame_at(const uint8_t *bytes, size_t offset, size_t len,
                                    enum modbus_frame_kind kind)
{
    const uint8_t *f = bytes + offset;
    struct modbus_frame found = {
        .kind = kind, .offset = offset, .len = len, .unit = f[0], .function = f[1], .data = f + 3};
    if (f[1] & EXCEPTION_BIT)
        found.exception = f[2];
    else
        found.data_len = f[2];
    return found;
}

/* Any sound frame that starts at f: a read answer, an exception, or one of fixed length. */
static size_t sound_len(const uint8_t *f, size_t len)
{
    if (len < RTU_EXCEPTION_LEN)
        return 0;
    uint8_t function = f[1] & 0x7F;
    if (function == 0 || function > 0x18)
        return 0;
    if (f[1] & EXCEPTION_BIT)
        return crc_is_right(f, RTU_EXCEPTION_LEN) ? RTU_EXCEPTION_LEN : 0;
    size_t reply = RTU_OVERHEAD + f[2];
    if (function <= 4 && f[2] > 0 && len >= reply && crc_is_right(f, reply))
        return reply;
    if (len >= RTU_FIXED_LEN && crc_is_right(f, RTU_FIXED_LEN))
        return RTU_FIXED_LEN;
    return 0;
}

/* Whether f begins like the answer (or exception) to r; its full length then. */
static bool begins_answer(const uint8_t *f, size_t len, const struct modbus_request *r, size_t *ret_len)
{
    if (len >= 2 && f[0] == r->unit && f[1] == (r->function | EXCEPTION_BIT)) {
        *ret_len = RTU_EXCEPTION_LEN;
        return true;
    }
    *ret_len = modbus_frame_reply_len(r);
    return len >= 3 && f[0] == r->unit && f[1] == r->function && f[2] == modbus_frame_data_len(r);
}

/* An echo before all else: the echo of a request for coils can pass for a sound answer of three bytes. */
static bool is_echo(const uint8_t *f, size_t len, const struct modbus_request *r)
{
    uint8_t request[MODBUS_FRAME_REQUEST_RTU];
    if (len < sizeof request || f[0] != r->unit || f[1] != r->function)
        return false;
    modbus_frame_request_rtu(r, request);
    return memcmp(f, request, sizeof request) == 0;
}

struct modbus_frame modbus_frame_find_rtu(const uint8_t *bytes, size_t len, const struct modbus_request *r,
                                          bool final)
{
    for (size_t i = 0; i < len; i++) {
        const uint8_t *f = bytes + i;
        size_t left = len - i, whole;
        if (r && is_echo(f, left, r))
            return frame_at(bytes, i, MODBUS_FRAME_REQUEST_RTU, MODBUS_FRAME_ECHO);
        if (r && begins_answer(f, left, r, &whole)) {
            if (left < whole && !final)
                return (struct modbus_frame){0};
            if (left >= whole && crc_is_right(f, whole))
                return frame_at(bytes, i, whole,
                                f[1] & EXCEPTION_BIT ? MODBUS_FRAME_EXCEPTION : MODBUS_FRAME_REPLY);
        }
        whole = sound_len(f, left);
        if (whole > 0)
            return frame_at(bytes, i, whole, MODBUS_FRAME_FOREIGN);
    }
    return (struct modbus_frame){0};
}

bool modbus_frame_broken(const uint8_t *bytes, size_t len, const struct modbus_request *r)
{
    for (size_t i = 0; i < len; i++) {
        size_t whole;
        if (begins_answer(bytes + i, len - i, r, &whole) && len - i >= whole)
            return true;
    }
    return false;
}

bool modbus_frame_broken_whole(const uint8_t *bytes, size_t len, const struct modbus_request *r)
{
    size_t whole;
    return len == modbus_frame_reply_len(r) && begins_answer(bytes, len, r, &whole) && whole == len;
}

struct modbus_frame modbus_frame_find_tcp(const uint8_t *bytes, size_t len, const struct modbus_request *r,
                                          uint16_t transaction)
{
    struct modbus_frame found = {0};
    if (len < MBAP_LEN + 2)
        return found;
    size_t body = (size_t)bytes[4] << 8 | bytes[5]; /* from the unit on */
    if (bytes[2] != 0 || bytes[3] != 0 || body < 3 || body > 254) {
        found.kind = MODBUS_FRAME_GARBAGE;
        return found;
    }
    if (len < 6 + body)
        return found;
    found = frame_at(bytes, 6, 0, MODBUS_FRAME_FOREIGN);
    found.offset = 0;
    found.len = 6 + body;
    found.transaction = (uint16_t)(bytes[0] << 8 | bytes[1]);
    if (!r || found.transaction != transaction || found.unit != r->unit)
        return found;
    if (found.function == (r->function | EXCEPTION_BIT))
        found.kind = MODBUS_FRAME_EXCEPTION;
    else if (found.function == r->function && found.data_len == modbus_frame_data_len(r) &&
             body == 3 + found.data_len)
        found.kind = MODBUS_FRAME_REPLY;
    return found;
}
