/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the time sources, and whether the wall clock can be believed.
 *
 * Threads    Any thread.
 * Ownership  Nothing is allocated.
 * Errors     None: a clock that cannot be read is a bug of the platform and aborts.
 *
 * Waits and ages use monotonic time (CLOCK_BOOTTIME: it also counts while the machine sleeps); wall time is
 * only a label on a record. All times are milliseconds in int64_t, with `wall` or `mono` in the name.
 */
#ifndef FG_CLOCK_H
#define FG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum clock_trust {
    CLOCK_TRUST_AUTO,   /* NTP has set it, or a hardware clock was read at boot */
    CLOCK_TRUST_NTP,    /* only when the kernel says it is synchronised */
    CLOCK_TRUST_RTC,    /* a battery-backed clock is there and plausible */
    CLOCK_TRUST_ALWAYS, /* somebody else vouches for it */
};

int64_t clock_mono_ms(void);
/* Microseconds of the same clock, for bus silences. */
int64_t clock_mono_us(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);
/* Sleeps until the given instant of clock_mono_us(); returns at once when it has passed. */
void clock_sleep_until_us(int64_t mono_us);
/* So long from now, for pthread_cond_timedwait() on a condition of CLOCK_MONOTONIC, which does not count
 * while the machine sleeps: an instant of clock_mono_ms() would be far in its future. */
struct timespec clock_cond_after_us(int64_t us);
/* Whether wall time can be believed now, under the given rule. A time before this program was built is
 * never believed. Cheap enough to ask once a second, not once a reading. */
bool clock_trusted(enum clock_trust rule);
/* The kernel's id of this boot: 32 hex digits, no dashes, terminated. */
void clock_boot_id(char ret_id[33]);

#endif
