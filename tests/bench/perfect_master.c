/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perfect_master - asks the units of a serial line in turn, as fast as the line allows, and does nothing
 * else.
 *
 *     perfect_master PORT BAUD FORMAT SECONDS < QUESTIONS
 *
 * A line of QUESTIONS is "UNIT FUNCTION ADDRESS COUNT"; it begins again when all were asked, and ends with
 * the last one when SECONDS are over. The reference for the daemon on the same line: exactly the silence that
 * the units insist on between the last byte of an answer and the next question. It waits 500 ms for an
 * answer, looks at its length and check sum, decodes nothing and keeps nothing. What is not the answer it
 * hears out. Prints one JSON object at the end.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define QUESTIONS_MAX 1024
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

struct question {
    int unit, function, address, count;
    size_t want; /* bytes of the answer */
    uint8_t bytes[8];
};

static unsigned crc_of(const uint8_t *bytes, size_t len)
{
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

static bool read_question(struct question *q)
{
    if (scanf("%d %d %d %d", &q->unit, &q->function, &q->address, &q->count) != 4)
        return false;
    q->want = 5 + (size_t)(q->function <= 2 ? (q->count + 7) / 8 : 2 * q->count);
    const uint8_t head[] = {(uint8_t)q->unit,           (uint8_t)q->function,
                            (uint8_t)(q->address >> 8), (uint8_t)(q->address & 0xFF),
                            (uint8_t)(q->count >> 8),   (uint8_t)(q->count & 0xFF)};
    unsigned crc = crc_of(head, sizeof head);
    memcpy(q->bytes, head, sizeof head);
    q->bytes[6] = (uint8_t)(crc & 0xFF);
    q->bytes[7] = (uint8_t)(crc >> 8);
    return true;
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
    static struct question questions[QUESTIONS_MAX];
    size_t count = 0;
    if (argc != 5)
        return 64;
    while (count < QUESTIONS_MAX && read_question(&questions[count]))
        count++;
    const int baud = atoi(argv[2]);
    const char *format = argv[3];
    const int bits = 9 + (format[1] != 'N') + (format[2] - '0');
    const int64_t char_ns = bits * 1000000000LL / baud;
    const int64_t silence_ns = baud > 19200 ? 1750000 : 35 * char_ns / 10;
    int fd = open_port(argv[1], baud, format);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    long answered = 0, asked = 0;
    int64_t begin = now_ns(), end = begin + (int64_t)(atof(argv[4]) * 1e9), quiet = begin;
    for (size_t i = 0; count > 0 && now_ns() < end; i = (i + 1) % count, asked++) {
        const struct question *q = &questions[i];
        uint8_t answer[512];
        wait_until(quiet + silence_ns);
        if (write(fd, q->bytes, sizeof q->bytes) != sizeof q->bytes)
            return 1;
        quiet = now_ns() + (int64_t)sizeof q->bytes * char_ns;
        size_t len = read_answer(fd, answer, q->want, quiet + TIMEOUT_NS, &quiet);
        if (len == q->want && answer[0] == q->unit && crc_of(answer, len) == 0)
            answered++;
        else if (len > 0)
            while (read_answer(fd, answer, sizeof answer, now_ns() + silence_ns, &quiet) > 0)
                ;
    }
    double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{\"asked\": %ld, \"answered\": %ld, \"seconds\": %.6f}\n", asked, answered, seconds);
    return 0;
}
