/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_record - one record as a row: writing, reading and its checksum.
 *
 * Threads    Whoever holds the connection.
 * Ownership  A row lends its texts until the statement moves on.
 * Errors     FG_ECORRUPT when the checksum does not hold; else as store_db.h.
 *
 * The checksum is CRC-32C over, little-endian: seq (8 bytes), ts (8), layout (4), device (4; all ones for an
 * event), flags (4), length of body in bytes (4), body, extra. It is kept as a signed 32-bit number, because
 * SQLite needs 4 bytes for that and 6 for an unsigned one.
 */
#ifndef FG_STORE_RECORD_H
#define FG_STORE_RECORD_H

#include "store_internal.h"

struct store_row {
    uint64_t seq;
    int64_t ts_ms;
    uint32_t layout, device, flags;
    const char *body, *extra;
    size_t body_len, extra_len;
};

int store_record_insert(struct store_db *d, const struct store_row *row);
/* The row a statement with the columns of STMT_RANGE stands on. ret->seq is set even when FG_ECORRUPT. */
int store_record_read(struct sqlite3_stmt *stmt, struct store_row *ret);
/* Writes row's time, flags and extra (not lent by stmt) over those of the row stmt stands on; resets it. */
int store_record_retime(struct store_db *d, struct sqlite3_stmt *stmt, const struct store_row *row);
/* When a record was taken; STORE_TS_UNKNOWN when it is missing or damaged. */
int64_t store_record_ts(struct store_db *d, uint64_t seq);

#endif
