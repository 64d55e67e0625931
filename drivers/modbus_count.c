/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_count.h"

static void count_reply(struct driver_stats *s, const struct modbus_answer *a)
{
    if (s->replies == 0 || a->reply_ms < s->reply_min_ms)
        s->reply_min_ms = a->reply_ms;
    if (a->reply_ms > s->reply_max_ms)
        s->reply_max_ms = a->reply_ms;
    s->reply_last_ms = a->reply_ms;
    s->reply_total_ms += a->reply_ms;
    s->replies++;
    if (a->quality != QUALITY_EXCEPTION)
        return;
    s->exceptions++;
    s->exception_codes[a->exception < DRIVER_EXCEPTIONS ? a->exception : 0]++;
}

static void count_trouble(struct driver_stats *s, enum driver_trouble trouble)
{
    switch (trouble) {
    case DRIVER_NO_TROUBLE:
        return;
    case DRIVER_SILENCE:
        s->timeouts++;
        return;
    case DRIVER_BAD_CRC:
        s->bad_crc++;
        return;
    case DRIVER_LATE:
        s->held_back++;
        return;
    case DRIVER_SHORT:
        s->short_frames++;
        break;
    case DRIVER_WRONG_UNIT:
        s->wrong_unit++;
        break;
    case DRIVER_WRONG_FUNCTION:
        s->wrong_function++;
        break;
    case DRIVER_GARBAGE:
        s->garbage++;
        break;
    case DRIVER_FOREIGN:
        s->foreign++;
        break;
    }
    s->bad_frame++;
}

void modbus_count_answer(struct driver_stats *s, const struct modbus_answer *a)
{
    s->requests += a->sent;
    s->reconnects += a->reconnected;
    s->echoes += a->echoed;
    s->foreign_bytes += a->foreign_bytes;
    if (a->quality == QUALITY_GOOD || a->quality == QUALITY_EXCEPTION)
        count_reply(s, a);
    else if (a->quality != QUALITY_NOT_CONNECTED)
        count_trouble(s, a->trouble);
}

void modbus_busy_begin(struct modbus_busy *b, int64_t now_us)
{
    *b = (struct modbus_busy){.since_us = now_us, .slot = now_us / MODBUS_BUSY_SLOT_US};
}

static void move_on(struct modbus_busy *b, int64_t slot)
{
    int64_t steps = slot - b->slot;
    if (steps > MODBUS_BUSY_SLOTS)
        steps = MODBUS_BUSY_SLOTS;
    for (; steps > 0; steps--)
        b->busy_us[(slot - steps + 1) % MODBUS_BUSY_SLOTS] = 0;
    if (slot > b->slot)
        b->slot = slot;
}

void modbus_busy_note(struct modbus_busy *b, int64_t from_us, int64_t to_us)
{
    while (from_us < to_us) {
        int64_t slot = from_us / MODBUS_BUSY_SLOT_US, end_us = (slot + 1) * MODBUS_BUSY_SLOT_US;
        int64_t until_us = to_us < end_us ? to_us : end_us;
        move_on(b, slot);
        b->busy_us[slot % MODBUS_BUSY_SLOTS] += until_us - from_us;
        from_us = until_us;
    }
}

uint32_t modbus_busy_permille(const struct modbus_busy *b, int64_t now_us)
{
    int64_t slot = now_us / MODBUS_BUSY_SLOT_US, busy_us = 0;
    int64_t from_us = (slot - MODBUS_BUSY_SLOTS + 1) * MODBUS_BUSY_SLOT_US;
    for (int64_t s = slot - MODBUS_BUSY_SLOTS + 1; s <= b->slot; s++)
        if (s > b->slot - MODBUS_BUSY_SLOTS)
            busy_us += b->busy_us[s % MODBUS_BUSY_SLOTS];
    if (from_us < b->since_us)
        from_us = b->since_us;
    if (now_us <= from_us)
        return 0;
    int64_t permille = busy_us * 1000 / (now_us - from_us);
    return permille < 1000 ? (uint32_t)permille : 1000;
}
