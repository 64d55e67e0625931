/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_trouble.h"

#define REQUEST_LEN 8

/* A question to read: eight bytes, where an answer of eight has three bytes of data. */
static bool is_question(const struct modbus_frame *f)
{
    return f->len == REQUEST_LEN && f->function <= 4 && f->data_len != 3;
}

enum driver_trouble modbus_trouble_of_frame(const struct modbus_frame *f, const struct modbus_request *r,
                                            enum driver_trouble before)
{
    if (is_question(f) || before == DRIVER_FOREIGN)
        return DRIVER_FOREIGN;
    return f->unit == r->unit ? DRIVER_WRONG_FUNCTION : DRIVER_WRONG_UNIT;
}

enum driver_trouble modbus_trouble_of_tcp(const struct modbus_frame *f, const struct modbus_request *r)
{
    return f->unit == r->unit ? DRIVER_WRONG_FUNCTION : DRIVER_WRONG_UNIT;
}

enum driver_trouble modbus_trouble_of_bytes(const uint8_t *bytes, size_t len, const struct modbus_request *r)
{
    if (len == 0)
        return DRIVER_SILENCE;
    for (size_t i = 0; i + 1 < len; i++)
        if (bytes[i] == r->unit && (bytes[i + 1] & 0x7F) == r->function)
            return DRIVER_SHORT;
    return DRIVER_GARBAGE;
}
