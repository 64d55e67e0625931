/* SPDX-License-Identifier: Apache-2.0 */
#include "store_record.h"

#include <sqlite3.h>

#include "store_crc.h"

static void put(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

static int32_t checksum(const struct store_row *row)
{
    unsigned char head[32];
    put(head, row->seq, 8);
    put(head + 8, (uint64_t)row->ts_ms, 8);
    put(head + 16, row->layout, 4);
    put(head + 20, row->device, 4);
    put(head + 24, row->flags, 4);
    put(head + 28, row->body_len, 4);
    uint32_t crc = store_crc(0, head, sizeof head);
    crc = store_crc(crc, row->body, row->body_len);
    return (int32_t)store_crc(crc, row->extra, row->extra_len);
}

int store_record_insert(struct store_db *d, const struct store_row *row)
{
    sqlite3_stmt *stmt = d->stmt[STMT_INSERT];
    sqlite3_bind_int64(stmt, 1, (int64_t)row->seq);
    sqlite3_bind_int64(stmt, 2, row->ts_ms);
    sqlite3_bind_int64(stmt, 3, row->layout);
    if (row->device == STORE_EVENT)
        sqlite3_bind_null(stmt, 4);
    else
        sqlite3_bind_int64(stmt, 4, row->device);
    sqlite3_bind_int64(stmt, 5, row->flags);
    sqlite3_bind_text(stmt, 6, row->body, (int)row->body_len, SQLITE_STATIC);
    if (row->extra_len)
        sqlite3_bind_text(stmt, 7, row->extra, (int)row->extra_len, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, 7);
    sqlite3_bind_int(stmt, 8, checksum(row));
    return store_db_run(d, STMT_INSERT);
}

int store_record_read(struct sqlite3_stmt *stmt, struct store_row *ret)
{
    ret->seq = (uint64_t)sqlite3_column_int64(stmt, 0);
    ret->ts_ms = sqlite3_column_int64(stmt, 1);
    ret->layout = (uint32_t)sqlite3_column_int64(stmt, 2);
    bool event = sqlite3_column_type(stmt, 3) == SQLITE_NULL;
    ret->device = event ? STORE_EVENT : (uint32_t)sqlite3_column_int64(stmt, 3);
    ret->flags = (uint32_t)sqlite3_column_int64(stmt, 4);
    ret->body = (const char *)sqlite3_column_text(stmt, 5);
    ret->body_len = (size_t)sqlite3_column_bytes(stmt, 5);
    ret->extra = (const char *)sqlite3_column_text(stmt, 6);
    ret->extra_len = (size_t)sqlite3_column_bytes(stmt, 6);
    if (!ret->body) {
        ret->body = "";
        return FG_ECORRUPT;
    }
    if (!ret->extra)
        ret->extra = "";
    return checksum(ret) == sqlite3_column_int(stmt, 7) ? 0 : FG_ECORRUPT;
}

int store_record_retime(struct store_db *d, sqlite3_stmt *stmt, const struct store_row *row)
{
    sqlite3_stmt *update = d->stmt[STMT_RETIME];
    int32_t crc = checksum(row); /* before the body is gone */
    sqlite3_reset(stmt);
    sqlite3_bind_int64(update, 1, (int64_t)row->seq);
    sqlite3_bind_int64(update, 2, row->ts_ms);
    sqlite3_bind_int64(update, 3, row->flags);
    sqlite3_bind_text(update, 4, row->extra, (int)row->extra_len, SQLITE_STATIC);
    sqlite3_bind_int(update, 5, crc);
    return store_db_run(d, STMT_RETIME);
}

int64_t store_record_ts(struct store_db *d, uint64_t seq)
{
    sqlite3_stmt *stmt = d->stmt[STMT_ONE];
    struct store_row row;
    int64_t ts = STORE_TS_UNKNOWN;
    sqlite3_bind_int64(stmt, 1, (int64_t)seq);
    if (sqlite3_step(stmt) == SQLITE_ROW && store_record_read(stmt, &row) == 0)
        ts = row.ts_ms;
    sqlite3_reset(stmt);
    return ts;
}
