/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perfect_master - asks the units of a serial line in turn, as fast as the line allows, and does nothing
 * else.
 *
 *     perfect_master PORT BAUD FORMAT UNITS REGISTERS SECONDS
 *
 * The reference for the daemon on the same line: the same questions, with exactly the silence that the units
 * insist on between the last byte of an answer and the next question. It waits 500 ms for an answer, looks at
 * its length and first byte only, decodes nothing and keeps nothing. Prints one JSON object at the end.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_NS 500000000LL
/* Sleeping is not exact; the rest of a silence is spent looking at the clock. */
#define SPIN_NS 200000

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wait_until(int64_t at_ns)
{
    int64_t wake = at_ns - SPIN_NS;
    struct timespec t = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
    if (wake > now_ns())
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    while (now_ns() < at_ns)
        ;
}

static size_t make_question(uint8_t *q, int unit, int registers)
{
    unsigned crc = 0xFFFF;
    memcpy(q, (uint8_t[]){(uint8_t)unit, 3, 0, 0, (uint8_t)(registers >> 8), (uint8_t)(registers & 0xFF)}, 6);
    for (int i = 0; i < 6; i++) {
        crc ^= q[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    q[6] = (uint8_t)(crc & 0xFF);
    q[7] = (uint8_t)(crc >> 8);
    return 8;
}

/* The number of bytes that came until the deadline or the expected length; *ret_ns: when the last did. */
static size_t read_answer(int fd, uint8_t *bytes, size_t want, int64_t deadline_ns, int64_t *ret_ns)
{
    size_t len = 0;
    while (len < want) {
        int64_t left = deadline_ns - now_ns();
        struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || ppoll(&p, 1, &t, NULL) <= 0)
            break;
        ssize_t n = read(fd, bytes + len, want - len);
        *ret_ns = now_ns();
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    return len;
}

static int open_port(const char *path, int baud, const char *format)
{
    speed_t speed = baud == 1200     ? B1200
                    : baud == 4800   ? B4800
                    : baud == 9600   ? B9600
                    : baud == 19200  ? B19200
                    : baud == 38400  ? B38400
                    : baud == 115200 ? B115200
                                     : B0;
    struct termios t;
    int fd = open(path, O_RDWR | O_NOCTTY);
    if (fd < 0 || speed == B0 || tcgetattr(fd, &t) < 0)
        return -1;
    cfmakeraw(&t);
    cfsetspeed(&t, speed);
    if (format[1] != 'N')
        t.c_cflag |= PARENB | (format[1] == 'O' ? PARODD : 0u);
    if (format[2] == '2')
        t.c_cflag |= CSTOPB;
    return tcsetattr(fd, TCSANOW, &t) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 64;
    const int baud = atoi(argv[2]), units = atoi(argv[4]), registers = atoi(argv[5]);
    const char *format = argv[3];
    const int bits = 9 + (format[1] != 'N') + (format[2] - '0');
    const int64_t char_ns = bits * 1000000000LL / baud;
    const int64_t silence_ns = baud > 19200 ? 1750000 : 35 * char_ns / 10;
    const size_t want = (size_t)(5 + 2 * registers);
    int fd = open_port(argv[1], baud, format);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    long answered = 0, asked = 0;
    int64_t begin = now_ns(), end = begin + (int64_t)(atof(argv[6]) * 1e9), quiet = begin;
    for (int unit = 1; now_ns() < end; unit = unit % units + 1, asked++) {
        uint8_t question[8], answer[256];
        size_t len = make_question(question, unit, registers);
        wait_until(quiet + silence_ns);
        if (write(fd, question, len) != (ssize_t)len)
            return 1;
        quiet = now_ns() + (int64_t)len * char_ns;
        answered += read_answer(fd, answer, want, quiet + TIMEOUT_NS, &quiet) == want && answer[0] == unit;
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{\"asked\": %ld, \"answered\": %ld, \"seconds\": %.6f}\n", asked, answered, seconds);
    return 0;
}
