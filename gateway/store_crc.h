/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_crc - CRC-32C (Castagnoli), because SQLite has no page checksums and a flipped bit in a value would
 * otherwise be delivered as a reading.
 *
 * Threads    Pure function.
 * Ownership  Nothing is kept.
 * Errors     None.
 */
#ifndef FG_STORE_CRC_H
#define FG_STORE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* before: 0, or the result for the bytes that came before these. */
uint32_t store_crc(uint32_t before, const void *bytes, size_t len);

#endif
