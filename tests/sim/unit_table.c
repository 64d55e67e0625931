/* SPDX-License-Identifier: Apache-2.0 */
#include "unit_table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ILLEGAL_FUNCTION 1
#define ILLEGAL_ADDRESS 2
#define ILLEGAL_VALUE 3

#define WORDS_MAX 125
#define BITS_MAX 2000

int64_t unit_table_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

bool unit_table_duration(const char *text, int64_t *ret_ns)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    int64_t scale = strcmp(end, "us") == 0   ? 1000
                    : strcmp(end, "ms") == 0 ? NS_PER_MS
                    : strcmp(end, "s") == 0  ? NS_PER_S
                                             : 0;
    if (end == text || scale == 0 || number < 0 || number > 3600000000LL)
        return false;
    *ret_ns = number * scale;
    return true;
}

uint16_t unit_table_crc(const uint8_t *bytes, size_t len)
{
    unsigned crc = 0xFFFF;
    while (len-- > 0) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) ? (crc >> 1) ^ 0xA001 : crc >> 1;
    }
    return (uint16_t)crc;
}

uint16_t unit_table_word(int unit, int address, uint32_t n)
{
    return (uint16_t)((address & 31) << 11 | (unit & 7) << 8 | (int)(n & 255));
}

static bool bit_at(int unit, int address, uint32_t n)
{
    return ((uint32_t)unit + (uint32_t)address + n) % 3 == 0;
}

/* Calls for every unit named: "all", "3", "2-5", "1,4-6". 0 when the text is none of these. */
static int each_unit(struct unit_table *t, const char *text, void (*act)(struct unit *, const void *),
                     const void *with)
{
    int done = 0;
    bool all = strcmp(text, "all") == 0;
    for (int i = 0; all && i < 256; i++)
        if (t->units[i].exists) {
            act(&t->units[i], with);
            done++;
        }
    while (!all && *text) {
        char *end;
        long from = strtol(text, &end, 10), to = from;
        if (end != text && *end == '-')
            to = strtol(text = end + 1, &end, 10);
        if (end == text || from < 0 || to > 255 || from > to || (*end && *end != ','))
            return 0;
        for (long i = from; i <= to; i++, done++)
            act(&t->units[i], with);
        text = *end ? end + 1 : end;
    }
    return done;
}

static void make(struct unit *u, const void *with)
{
    (void)with;
    u->exists = true;
}

bool unit_table_init(struct unit_table *t, const char *units, int registers)
{
    memset(t, 0, sizeof *t);
    t->registers = registers;
    unit_table_reset(t);
    return registers > 0 && registers <= 65536 && each_unit(t, units, make, NULL) > 0;
}

void unit_table_reset(struct unit_table *t)
{
    t->since_ns = unit_table_now_ns();
    for (int i = 0; i < 256; i++) {
        struct unit *u = &t->units[i];
        u->requests = u->answered = 0;
        u->longest_ns = 0;
        u->last_ns = t->since_ns;
    }
}

/* ---- answers ---- */

static void refuse(struct unit_answer *a, int code)
{
    a->exception = code;
    a->pdu[0] = (uint8_t)(a->function | 0x80);
    a->pdu[1] = (uint8_t)code;
    a->len = 2;
}

static void fill_words(struct unit_answer *a)
{
    a->pdu[1] = (uint8_t)(2 * a->count);
    for (int i = 0; i < a->count; i++) {
        uint16_t word = unit_table_word(a->unit, a->address + i, a->n);
        a->pdu[2 + 2 * i] = (uint8_t)(word >> 8);
        a->pdu[3 + 2 * i] = (uint8_t)(word & 0xFF);
    }
    a->len = (size_t)(2 + 2 * a->count);
}

static void fill_bits(struct unit_answer *a)
{
    int bytes = (a->count + 7) / 8;
    a->pdu[1] = (uint8_t)bytes;
    memset(a->pdu + 2, 0, (size_t)bytes);
    for (int i = 0; i < a->count; i++)
        if (bit_at(a->unit, a->address + i, a->n))
            a->pdu[2 + i / 8] |= (uint8_t)(1 << i % 8);
    a->len = (size_t)(2 + bytes);
}

static void fill(const struct unit_table *t, const uint8_t *pdu, size_t len, struct unit_answer *a)
{
    bool bits = a->function == 1 || a->function == 2;
    if (a->function < 1 || a->function > 4) {
        refuse(a, ILLEGAL_FUNCTION);
        return;
    }
    if (len != 5) {
        refuse(a, ILLEGAL_VALUE);
        return;
    }
    a->address = pdu[1] << 8 | pdu[2];
    a->count = pdu[3] << 8 | pdu[4];
    a->pdu[0] = pdu[0];
    if (a->count < 1 || a->count > (bits ? BITS_MAX : WORDS_MAX))
        refuse(a, ILLEGAL_VALUE);
    else if (a->address + a->count > t->registers)
        refuse(a, ILLEGAL_ADDRESS);
    else if (bits)
        fill_bits(a);
    else
        fill_words(a);
}

static bool every(unsigned n_th, uint32_t n)
{
    return n_th > 0 && (n + 1) % n_th == 0;
}

bool unit_table_answer(struct unit_table *t, int unit, const uint8_t *pdu, size_t len,
                       struct unit_answer *ret)
{
    struct unit *u = &t->units[unit & 255];
    if (!u->exists)
        return false;
    u->requests++;
    if (u->dead || len < 1)
        return false;
    *ret = (struct unit_answer){.unit = unit, .function = pdu[0], .n = u->served, .delay_ns = u->latency_ns};
    fill(t, pdu, len, ret);
    if (every(u->drop_every, ret->n)) {
        ret->fault = UNIT_FAULT_DROPPED;
    } else if (every(u->garble_every, ret->n)) {
        ret->fault = UNIT_FAULT_GARBLED;
    } else if (every(u->late_every, ret->n)) {
        ret->fault = UNIT_FAULT_LATE;
        ret->delay_ns += u->late_ns;
    }
    u->served++;
    return true;
}

static void book(struct unit_table *t, const struct unit_answer *a)
{
    struct timespec wall;
    if (t->book_len == t->book_room) {
        t->book_room = t->book_room ? 2 * t->book_room : 4096;
        t->book = realloc(t->book, t->book_room * sizeof *t->book);
        if (!t->book)
            abort();
    }
    clock_gettime(CLOCK_REALTIME, &wall);
    t->book[t->book_len++] =
        (struct unit_entry){.wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000,
                            .mono_ns = unit_table_now_ns(),
                            .unit = a->unit,
                            .function = a->function,
                            .address = a->address,
                            .count = a->count,
                            .exception = a->exception,
                            .n = a->n,
                            .fault = a->fault};
}

static void print_entry(const struct unit_entry *e, size_t number, FILE *out)
{
    static const char *const tables[] = {"none", "coil", "discrete_input", "holding", "input"};
    static const char *const faults[] = {"null",        "\"late\"",     "\"garbled\"",
                                         "\"dropped\"", "\"collided\"", "\"noisy\""};
    fprintf(out,
            "{\"number\": %zu, \"ts\": %lld, \"unit\": %d, \"table\": \"%s\", \"address\": %d, \"words\": [",
            number, (long long)e->wall_ms, e->unit, e->function <= 4 ? tables[e->function] : tables[0],
            e->address);
    for (int i = 0; !e->exception && i < e->count; i++)
        fprintf(out, "%s%d", i ? ", " : "",
                e->function > 2 ? unit_table_word(e->unit, e->address + i, e->n)
                                : bit_at(e->unit, e->address + i, e->n));
    fprintf(out, "], \"exception\": %d, \"fault\": %s}", e->exception, faults[e->fault]);
}

void unit_table_print_book(const struct unit_table *t, FILE *out)
{
    fputs("[", out);
    for (size_t i = 0; i < t->book_len; i++) {
        fputs(i ? ", " : "", out);
        print_entry(&t->book[i], i, out);
    }
    fputs("]\n", out);
}

static bool is_whole(enum unit_fault fault)
{
    return fault == UNIT_FAULT_NONE || fault == UNIT_FAULT_LATE;
}

void unit_table_print_times(const struct unit_table *t, FILE *out)
{
    const char *comma = "";
    fputs("[", out);
    for (size_t i = 0; i < t->book_len; i++) {
        const struct unit_entry *e = &t->book[i];
        if (e->mono_ns < t->since_ns || !is_whole(e->fault) || e->exception)
            continue;
        fprintf(out, "%s[%d, %d, %d, %d, %lld]", comma, e->unit, e->function, e->address, e->count,
                (long long)(e->mono_ns - t->since_ns) / 1000);
        comma = ", ";
    }
    fputs("]\n", out);
}

void unit_table_settle(struct unit_table *t, const struct unit_answer *a)
{
    struct unit *u = &t->units[a->unit & 255];
    if (!t->bookless)
        book(t, a);
    if (!is_whole(a->fault))
        return;
    int64_t now = unit_table_now_ns();
    if (now - u->last_ns > u->longest_ns)
        u->longest_ns = now - u->last_ns;
    u->last_ns = now;
    u->answered++;
}

/* ---- orders ---- */

static void set_dead(struct unit *u, const void *with)
{
    (void)with;
    u->dead = true;
}

static void set_alive(struct unit *u, const void *with)
{
    (void)with;
    u->dead = false;
}

static void set_latency(struct unit *u, const void *with)
{
    u->latency_ns = *(const int64_t *)with;
}

static void set_late(struct unit *u, const void *with)
{
    const struct unit *from = with;
    u->late_ns = from->late_ns;
    u->late_every = from->late_every;
}

static void set_garble(struct unit *u, const void *with)
{
    u->garble_every = ((const struct unit *)with)->garble_every;
}

static void set_drop(struct unit *u, const void *with)
{
    u->drop_every = ((const struct unit *)with)->drop_every;
}

bool unit_table_obey(struct unit_table *t, const char *line)
{
    char who[64], what[32];
    unsigned n = 1;
    struct unit with = {0};
    if (strcmp(line, "reset") == 0) {
        unit_table_reset(t);
        return true;
    }
    if (strcmp(line, "book off") == 0) {
        t->bookless = true;
        return true;
    }
    if (sscanf(line, "dead %63s", who) == 1)
        return each_unit(t, who, set_dead, NULL) > 0;
    if (sscanf(line, "alive %63s", who) == 1)
        return each_unit(t, who, set_alive, NULL) > 0;
    if (sscanf(line, "garble %63s every %u", who, &n) >= 1) {
        with.garble_every = n;
        return each_unit(t, who, set_garble, &with) > 0;
    }
    if (sscanf(line, "drop %63s every %u", who, &n) >= 1) {
        with.drop_every = n;
        return each_unit(t, who, set_drop, &with) > 0;
    }
    if (sscanf(line, "latency %63s %31s", who, what) == 2)
        return unit_table_duration(what, &with.latency_ns) &&
               each_unit(t, who, set_latency, &with.latency_ns) > 0;
    if (sscanf(line, "late %63s %31s every %u", who, what, &n) >= 2) {
        with.late_every = n;
        return unit_table_duration(what, &with.late_ns) && each_unit(t, who, set_late, &with) > 0;
    }
    return false;
}

void unit_table_print(const struct unit_table *t, FILE *out)
{
    int64_t now = unit_table_now_ns();
    const char *comma = "";
    fprintf(out, "\"seconds\": %.6f, \"units\": {", (double)(now - t->since_ns) / 1e9);
    for (int i = 0; i < 256; i++) {
        const struct unit *u = &t->units[i];
        int64_t longest = now - u->last_ns > u->longest_ns ? now - u->last_ns : u->longest_ns;
        if (!u->exists)
            continue;
        fprintf(out, "%s\"%d\": {\"requests\": %llu, \"answered\": %llu, \"longest_ms\": %.3f}", comma, i,
                (unsigned long long)u->requests, (unsigned long long)u->answered, (double)longest / 1e6);
        comma = ", ";
    }
    fputs("}", out);
}
