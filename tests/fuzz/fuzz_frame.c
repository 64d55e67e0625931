/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_frame - what comes over a line, looked at as the driver does: frames found, troubles named, values
 * decoded.
 *
 * Input: a request of eight bytes as on an RTU line (its check sum does not matter), then what came. When the
 * first byte of that check sum is odd, the last two bytes of what came are replaced by a right check sum,
 * which a fuzzer would not guess.
 */
#include <stdlib.h>
#include <string.h>

#include "../../drivers/modbus_decode.h"
#include "../../drivers/modbus_frame.h"
#include "../../drivers/modbus_late.h"
#include "../../drivers/modbus_trouble.h"
#include "demand.h"

#define HEAD 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_all(const uint8_t *bytes, size_t len, unsigned seed)
{
    for (int type = POINT_BOOL; type <= POINT_FLOAT64; type++) {
        struct point p = {.table = POINT_HOLDING,
                          .type = (enum point_type)type,
                          .order = (enum point_order)(seed % 4),
                          .scale = {1 + seed, (int16_t)(seed % 7) - 3, seed % 2 == 0},
                          .offset = {seed % 100, -1, false},
                          .has_bits = seed % 3 == 0 && type <= POINT_UINT16,
                          .bit_first = (uint8_t)(seed % 8),
                          .bit_last = (uint8_t)(seed % 8 + seed % 7),
                          .has_min = true,
                          .min = {seed, 0, true}};
        struct reading r;
        if (len < 2u * point_width(&p))
            continue;
        modbus_decode_registers(&p, bytes, &r);
        demand(r.quality != QUALITY_GOOD || r.value.kind != VALUE_NONE);
    }
}

static void check_frame(const struct modbus_frame *f, const uint8_t *bytes, size_t len,
                        const struct modbus_request *r)
{
    demand(f->len > 0 && f->offset + f->len <= len);
    if (f->kind == MODBUS_FRAME_REPLY) {
        demand(f->unit == r->unit && f->function == r->function);
        demand(f->data_len == modbus_frame_data_len(r));
    }
    if (f->data_len > 0 && f->kind == MODBUS_FRAME_REPLY)
        demand(f->data >= bytes && f->data + f->data_len <= bytes + len);
}

/* Everything in the bytes, one frame after the other, must come to an end within them. */
static void look_through(const uint8_t *bytes, size_t len, const struct modbus_request *r, bool final,
                         bool is_tcp)
{
    struct modbus_late late = {0};
    while (len > 0) {
        struct modbus_frame f = is_tcp ? modbus_frame_find_tcp(bytes, len, r, 0x0001)
                                       : modbus_frame_find_rtu(bytes, len, r, final);
        if (f.kind == MODBUS_FRAME_NONE || f.kind == MODBUS_FRAME_GARBAGE)
            break;
        struct modbus_request any = {.unit = f.unit, .function = 3, .count = 1};
        check_frame(&f, bytes, len, r ? r : &any);
        (void)modbus_trouble_of_frame(&f, r ? r : &any, DRIVER_NO_TROUBLE);
        if (is_tcp)
            (void)modbus_late_seen_tcp(&late, &f, 1);
        else if (!modbus_late_seen(&late, &f, 1) && r)
            modbus_late_unanswered(&late, r, 1, 1000, 1);
        if (f.kind == MODBUS_FRAME_REPLY)
            decode_all(f.data, f.data_len, f.offset ? 7 : (unsigned)f.data_len);
        bytes += f.offset + f.len;
        len -= f.offset + f.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    struct modbus_request r = {.unit = data[0],
                               .function = (uint8_t)(data[1] % 4 + 1),
                               .address = (uint16_t)(data[2] << 8 | data[3]),
                               .count = (uint16_t)(data[4] << 8 | data[5])};
    if (data[1] >= 1 && data[1] <= 4)
        r.function = data[1];
    uint16_t most = r.function <= 2 ? 2000 : 125;
    r.count = (uint16_t)(r.count % most + 1);
    if (data[1] >= 1 && data[1] <= 4 && data[4] == 0 && data[5] > 0 && data[5] <= most)
        r.count = data[5];
    size_t len = size - HEAD;
    uint8_t *bytes = malloc(len + 1); /* of its own, so that a byte too far is seen */
    if (!bytes)
        return 0;
    memcpy(bytes, data + HEAD, len);
    if (data[6] % 2 && len > 2) {
        uint16_t crc = modbus_frame_crc(bytes, len - 2);
        bytes[len - 2] = (uint8_t)(crc & 0xFF);
        bytes[len - 1] = (uint8_t)(crc >> 8);
    }
    for (int way = 0; way < 4; way++)
        look_through(bytes, len, way & 2 ? &r : NULL, way & 1, false);
    look_through(bytes, len, &r, true, true);
    look_through(bytes, len, NULL, true, true);
    (void)modbus_frame_broken(bytes, len, &r);
    (void)modbus_trouble_of_bytes(bytes, len, &r);
    decode_all(bytes, len, data[7]);
    free(bytes);
    return 0;
}
