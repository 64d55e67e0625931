/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan_expect - compares registers with what a profile's `expect` says of a model.
 *
 * Threads    Pure function.
 * Ownership  Nothing is kept.
 * Errors     FG_EINVALID for a text that is not understood, FG_ERANGE when it speaks of more registers than
 *            there are.
 *
 * One word a register: `unit` the device's own number, `0x3343` or `17` that number, `0..7` a range,
 * `2400|4800|9600` one of these, `-` anything. `float32 40..300` speaks of two registers together.
 */
#ifndef FG_SCAN_EXPECT_H
#define FG_SCAN_EXPECT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* 1: they fit; 0: they do not. */
int scan_expect_fits(const char *expect, int unit, const uint16_t *words, size_t count);

#endif
