/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demand - what must hold for any input: said with its place before the fuzzer stops, because a build without
 * frames shows only that it stopped.
 */
#ifndef FG_FUZZ_DEMAND_H
#define FG_FUZZ_DEMAND_H

#include <stdio.h>
#include <stdlib.h>

#define demand(holds)                                                                                        \
    do {                                                                                                     \
        if (!(holds)) {                                                                                      \
            fprintf(stderr, "DEMAND: %s:%d: not so: %s\n", __FILE__, __LINE__, #holds);                      \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

#endif
