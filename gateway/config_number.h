/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_number - durations, sizes, rates, register numbers and bit ranges as people write them.
 *
 * Threads    Pure functions.
 * Ownership  Values.
 * Errors     FG_EINVALID with a note that says what to write instead. The note does not repeat the text.
 */
#ifndef FG_CONFIG_NUMBER_H
#define FG_CONFIG_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "../drivers/point.h"
#include "buf.h"
#include "err.h"

/* "500ms" -> 500. usual_max_ms (0: any) only chooses the examples in a note. */
int config_duration_parse(const char *text, int64_t usual_max_ms, int64_t *ret_ms, struct err_note *note);
/* "64KiB" -> 65536 */
int config_size_parse(const char *text, int64_t *ret_bytes, struct err_note *note);
/* "20KiB/s" -> 20480 */
int config_rate_parse(const char *text, int64_t *ret_bytes_per_second, struct err_note *note);
/* Decimal, or hexadecimal after 0x. ret_hex may be NULL. */
int config_int_parse(const char *text, int64_t *ret, bool *ret_hex, struct err_note *note);
/* "0-7" or "3" */
int config_bits_parse(const char *text, uint8_t *ret_first, uint8_t *ret_last, struct err_note *note);
/* "40001" -> holding register 0 */
int config_reference_parse(const char *text, enum point_register *ret_table, uint16_t *ret_address,
                           struct err_note *note);

/* In the largest unit that loses nothing. */
void config_duration_show(int64_t ms, struct buf *out);
void config_size_show(int64_t bytes, struct buf *out);

#endif
