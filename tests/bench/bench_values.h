/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_values - the readings that the store and its reference keep, and the book of how long commits took.
 *
 * Threads    Pure functions.
 * Ownership  Values.
 * Errors     None.
 *
 * What a soil probe, a weather station and an energy meter give: numbers of two to five digits that drift
 * slowly, most with one decimal: "23.4" and its comma are 4.9 bytes of text on the average of eight points.
 */
#ifndef BENCH_VALUES_H
#define BENCH_VALUES_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_DEVICES 100
#define BENCH_START_MS INT64_C(1795230245123)

struct bench_value {
    int64_t magnitude;
    int decimals;
};

/* The value of point k of a device after n polls. */
static inline struct bench_value bench_value(uint64_t device, uint64_t n, uint64_t k)
{
    static const struct bench_value base[8] = {{234, 1},   {291, 1}, {412, 0},  {65, 1},
                                               {22845, 2}, {84, 0},  {1005, 1}, {1234, 1}};
    uint64_t noise = (device * 7919 + n / 3 * 104729 + k * 1299709) >> 3;
    struct bench_value v = base[k % 8];
    v.magnitude += (int64_t)(noise % 97) * v.magnitude / 1000;
    return v;
}

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* A number behind a name in a file of /proc: kilobytes, or bytes; -1 when it is not there. */
static inline int64_t bench_proc(const char *path, const char *name)
{
    char line[256];
    size_t len = strlen(name);
    int64_t value = -1;
    FILE *file = fopen(path, "r");
    while (file && value < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            value = strtoll(line + len + 1, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

static inline int bench_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts what it is given. */
static inline void bench_print_latency(int64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, bench_compare);
    printf("{\"commits\": %zu, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", count, (double)ns[count / 2] / 1e6,
           (double)ns[count * 99 / 100] / 1e6);
}

#endif
