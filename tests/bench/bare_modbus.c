/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_modbus - a loop around libmodbus over TCP that asks the same questions as the daemon and drops the
 * answers.
 *
 *     bare_modbus PORT UNITS REGISTERS BLOCKS SECONDS [PERIOD_S [ROWS]]
 *
 * The reference for the daemon on the same endpoint: every unit in turn, BLOCKS requests of REGISTERS
 * registers each, as daemon and endpoint lay them out (block i begins at i x (REGISTERS + 1)); as fast as it
 * goes, or all of them once in each period: at its beginning, or in so many rows, evenly apart. Prints one
 * JSON object at the end.
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_until(double at)
{
    struct timespec t = {.tv_sec = (time_t)at, .tv_nsec = (long)((at - (double)(time_t)at) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static double processor_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 8)
        return 64;
    const int units = atoi(argv[2]), registers = atoi(argv[3]), blocks = atoi(argv[4]);
    uint16_t words[MODBUS_MAX_READ_REGISTERS];
    const double period = argc > 6 ? atof(argv[6]) : 0;
    const int rows = argc > 7 ? atoi(argv[7]) : 1; /* in a period */
    long answered = 0, asked = 0;
    modbus_t *m = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (!m || modbus_connect(m) < 0) {
        fprintf(stderr, "bare_modbus: %s\n", modbus_strerror(errno));
        modbus_free(m);
        return 1;
    }
    modbus_set_response_timeout(m, 1, 0);
    double begin = now(), end = begin + atof(argv[5]), next = begin;
    for (int unit = 1; now() < end; unit = unit % units + 1) {
        if (period > 0 && (unit - 1) % (units / rows) == 0)
            sleep_until(next += period / rows);
        modbus_set_slave(m, unit);
        for (int i = 0; i < blocks; i++, asked++)
            answered += modbus_read_registers(m, i * (registers + 1), registers, words) == registers;
    }
    printf("{\"asked\": %ld, \"answered\": %ld, \"seconds\": %.6f, \"processor_s\": %.6f}\n", asked, answered,
           now() - begin, processor_s());
    modbus_close(m);
    modbus_free(m);
    return 0;
}
