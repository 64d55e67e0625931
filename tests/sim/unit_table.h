/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit_table - Modbus units that answer reads, the faults switched on in them, and the book of what they
 * gave.
 *
 * Threads    One.
 * Ownership  A plain struct; the book grows in memory (a file's disk would hold up the line) and is never
 *            freed.
 * Errors     Without memory the program ends.
 *
 * Written from "MODBUS Application Protocol V1.1b3" and "MODBUS over Serial Line V1.02", with no Modbus
 * library, so that it can disagree with the one the daemon uses. Every register tells where it comes from:
 * unit_table_word().
 */
#ifndef FG_UNIT_TABLE_H
#define FG_UNIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

#define UNIT_PDU_MAX 253

enum unit_fault {
    UNIT_FAULT_NONE,
    UNIT_FAULT_LATE,
    UNIT_FAULT_GARBLED,
    UNIT_FAULT_DROPPED,
    UNIT_FAULT_COLLIDED,
    UNIT_FAULT_NOISY /* on a serial line: stray bytes before it */
};

struct unit {
    bool exists, dead;
    int64_t latency_ns; /* from the end of the question to the begin of the answer, always */
    int64_t late_ns;    /* on top of that, for every late_every'th answer */
    unsigned late_every, garble_every, drop_every;

    uint32_t served; /* answers ever made: the n of unit_table_word() */
    /* Since the last reset: */
    uint64_t requests, answered;
    int64_t last_ns, longest_ns; /* when it was last answered; the longest time between two answers */
};

/* One answer in the book. */
struct unit_entry {
    int64_t wall_ms, mono_ns; /* when it had left */
    int unit, function, address, count, exception;
    uint32_t n;
    enum unit_fault fault;
};

struct unit_table {
    struct unit units[256];
    int registers;    /* 0 .. registers - 1 exist in every table of every unit */
    int64_t since_ns; /* the last reset */
    bool bookless;
    struct unit_entry *book;
    size_t book_len, book_room;
};

/* One answer, from the question to its fate. */
struct unit_answer {
    int unit, function, address, count, exception;
    uint32_t n;
    enum unit_fault fault;
    int64_t delay_ns; /* from the end of the question */
    uint8_t pdu[UNIT_PDU_MAX];
    size_t len;
};

int64_t unit_table_now_ns(void);
/* "600ms", "2s", "100us"; false when it is none. */
bool unit_table_duration(const char *text, int64_t *ret_ns);
uint16_t unit_table_crc(const uint8_t *bytes, size_t len);
/* Five bits of the address, three of the unit, eight of the number of the answer. */
uint16_t unit_table_word(int unit, int address, uint32_t n);

/* units: "1-10" or "3,5,7-9". */
bool unit_table_init(struct unit_table *t, const char *units, int registers);
void unit_table_reset(struct unit_table *t);

/* The answer of a unit to a question (function code on); false: it keeps silent. */
bool unit_table_answer(struct unit_table *t, int unit, const uint8_t *pdu, size_t len,
                       struct unit_answer *ret);
/* The answer has left, well or badly. */
void unit_table_settle(struct unit_table *t, const struct unit_answer *a);

/* Obeys "dead 3", "alive all", "late 2 600ms [every 3]", "latency 1-10 5ms", "garble 4 every 20",
 * "drop 4 every 20", "reset", "book off"; false when it is none of these. */
bool unit_table_obey(struct unit_table *t, const char *line);
/* The units' part of the statistics: "units": {...}. */
void unit_table_print(const struct unit_table *t, FILE *out);
/* The book: one JSON array in one line. */
void unit_table_print_book(const struct unit_table *t, FILE *out);
/* Of the book since the last reset, what was sent whole: [[unit, function, address, count, us], ...]. */
void unit_table_print_times(const struct unit_table *t, FILE *out);

#endif
