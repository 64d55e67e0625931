/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_profiles - all device profiles of the profile folders.
 *
 * Threads    One thread.
 * Ownership  scan_profiles_free() frees what scan_profiles_load() gave.
 * Errors     FG_ENOMEM. Profiles with errors are left out and counted.
 */
#ifndef FG_SCAN_PROFILES_H
#define FG_SCAN_PROFILES_H

#include "config_profile.h"

struct scan_profiles {
    struct config_profile **items; /* by name */
    size_t count;
    size_t broken;
};

int scan_profiles_load(const struct config_options *options, struct scan_profiles *ret);
void scan_profiles_free(struct scan_profiles *p);

#endif
