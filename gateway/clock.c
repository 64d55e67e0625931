/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

/* No record can have been taken before this program existed: 2026-01-01 00:00 UTC. */
static const int64_t EARLIEST_WALL_MS = 1767225600000;

static struct timespec now(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0)
        abort();
    return t;
}

int64_t clock_mono_ms(void)
{
    struct timespec t = now(CLOCK_BOOTTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_us(void)
{
    struct timespec t = now(CLOCK_BOOTTIME);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec t = now(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_sleep_until_us(int64_t mono_us)
{
    /* CLOCK_BOOTTIME has no absolute clock_nanosleep on every kernel we support; sleep the difference, again
     * if a signal cuts it short. */
    for (;;) {
        int64_t left = mono_us - clock_mono_us();
        if (left <= 0)
            return;
        struct timespec t = {.tv_sec = (time_t)(left / 1000000), .tv_nsec = (long)(left % 1000000) * 1000};
        nanosleep(&t, NULL);
    }
}

struct timespec clock_cond_after_us(int64_t us)
{
    struct timespec t = now(CLOCK_MONOTONIC);
    int64_t ns = (int64_t)t.tv_nsec + us % 1000000 * 1000;
    t.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

static bool kernel_is_synchronised(void)
{
    struct timex t;
    memset(&t, 0, sizeof t);
    int state = adjtimex(&t); /* a hardened service may not ask: then the answer is no, not yes */
    return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

/* systemd-timesyncd leaves this once it has set the clock; the kernel's flag may lag behind it. */
static bool timesyncd_has_set_it(void)
{
    return access("/run/systemd/timesync/synchronized", F_OK) == 0;
}

static bool has_rtc(void)
{
    return access("/sys/class/rtc/rtc0", F_OK) == 0;
}

bool clock_trusted(enum clock_trust rule)
{
    if (rule == CLOCK_TRUST_ALWAYS)
        return true;
    if (clock_wall_ms() < EARLIEST_WALL_MS)
        return false;
    bool set_by_network = kernel_is_synchronised() || timesyncd_has_set_it();
    switch (rule) {
    case CLOCK_TRUST_AUTO:
        return set_by_network || has_rtc();
    case CLOCK_TRUST_NTP:
        return set_by_network;
    case CLOCK_TRUST_RTC:
        return has_rtc();
    case CLOCK_TRUST_ALWAYS:
        break;
    }
    return true;
}

void clock_boot_id(char ret_id[33])
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    size_t len = 0;
    for (const char *c = text; *c && *c != '\n' && len < 32; c++)
        if (*c != '-')
            ret_id[len++] = *c;
    while (len <
           32) /* without /proc: one id for all boots is better than a wrong correction: never equal text */
        ret_id[len++] = '0';
    ret_id[32] = '\0';
}
