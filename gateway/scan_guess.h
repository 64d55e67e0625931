/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_guess - which of the known models is a device that was found? Reads what each profile declares and
 * scores how well it fits.
 *
 * Threads    One thread.
 * Ownership  Profiles are lent, also by the guesses.
 * Errors     FG_ENOMEM.
 *
 * The score, 0 to 100, is a guess and meant to be shown as one: look-alikes share maps, and two plausible
 * numbers are not a soil probe. What counts: the `identify` registers (most when `expect` says what stands
 * there), the points (in range, not zero, not refused), the factory line and unit. A profile without `expect`
 * gets at most 75, and less when few points tell anything.
 */
#ifndef FG_SCAN_GUESS_H
#define FG_SCAN_GUESS_H

#include "sample.h"
#include "scan_profiles.h"

/* Reads registers or bits, one word each: 0, FG_EINVALID when the device refuses, FG_ETIMEOUT for silence. */
typedef int scan_read(void *context, enum point_register table, uint16_t address, uint16_t count,
                      uint16_t *words);

struct scan_device {
    int unit;                /* its own number; 0: not known */
    struct modbus_line line; /* baud 0: none */
    scan_read *read;
    void *context;
};

struct scan_guess {
    const struct config_profile *profile;
    int score;
    size_t good, count; /* points with a plausible value, and all */
    bool identified;    /* its `expect` is fulfilled */
};

#define SCAN_GUESSES_MAX 3

/* Fills ret, the best first; returns how many (below 20 is not worth telling). */
int scan_guess(const struct scan_device *d, const struct scan_profiles *profiles,
               struct scan_guess ret[SCAN_GUESSES_MAX]);
/* The device's own number from a register that some profile says to hold it; 0 when none tells. For a device
 * that was found at an address for all. */
int scan_own_unit(const struct scan_device *d, const struct scan_profiles *profiles);

#endif
