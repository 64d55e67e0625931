/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

const char *driver_trouble_word(enum driver_trouble t)
{
    switch (t) {
    case DRIVER_NO_TROUBLE:
        return "";
    case DRIVER_SILENCE:
        return "silence";
    case DRIVER_SHORT:
        return "short";
    case DRIVER_BAD_CRC:
        return "bad_crc";
    case DRIVER_WRONG_UNIT:
        return "wrong_unit";
    case DRIVER_WRONG_FUNCTION:
        return "wrong_function";
    case DRIVER_GARBAGE:
        return "garbage";
    case DRIVER_FOREIGN:
        return "foreign";
    case DRIVER_LATE:
        return "late";
    }
    return "";
}

void driver_stats_add(struct driver_stats *sum, const struct driver_stats *s)
{
    if (s->replies > 0 && (sum->replies == 0 || s->reply_min_ms < sum->reply_min_ms))
        sum->reply_min_ms = s->reply_min_ms;
    if (s->reply_max_ms > sum->reply_max_ms)
        sum->reply_max_ms = s->reply_max_ms;
    sum->requests += s->requests;
    sum->replies += s->replies;
    sum->timeouts += s->timeouts;
    sum->bad_crc += s->bad_crc;
    sum->bad_frame += s->bad_frame;
    sum->short_frames += s->short_frames;
    sum->wrong_unit += s->wrong_unit;
    sum->wrong_function += s->wrong_function;
    sum->garbage += s->garbage;
    sum->foreign += s->foreign;
    sum->foreign_bytes += s->foreign_bytes;
    sum->echoes += s->echoes;
    sum->exceptions += s->exceptions;
    for (size_t i = 0; i < DRIVER_EXCEPTIONS; i++)
        sum->exception_codes[i] += s->exception_codes[i];
    sum->late += s->late;
    sum->held_back += s->held_back;
    sum->reconnects += s->reconnects;
    sum->reply_total_ms += s->reply_total_ms;
    sum->busy_us += s->busy_us;
}
