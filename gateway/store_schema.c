/* SPDX-License-Identifier: Apache-2.0 */
#include "store_schema.h"

/* NULL, 0 and 1 cost no bytes in a row, and a rowid table is the cheapest queue: measured, an extra index or
 * WITHOUT ROWID costs half as much again in flash writes. */
const char *const store_schema_sql =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE record(seq INTEGER PRIMARY KEY, ts INTEGER, layout INTEGER,"
    " device INTEGER, /* NULL: an event */"
    " flags INTEGER, body TEXT, extra TEXT,"
    " crc INTEGER /* CRC-32C, see store_record.h */);"
    "CREATE TABLE layout(id INTEGER PRIMARY KEY, first_seq INTEGER, text TEXT, crc INTEGER);"
    "CREATE TABLE stream(first_seq INTEGER PRIMARY KEY, id TEXT, opened_ts INTEGER, reason TEXT);"
    "CREATE TABLE uplink(id INTEGER PRIMARY KEY, name TEXT UNIQUE, start_seq INTEGER, absent INTEGER,"
    " upto INTEGER, delivered INTEGER, dropped INTEGER);"
    /* Under the negative id of an uplink: what it lost and is still there. */
    "CREATE TABLE waiting(uplink INTEGER, first INTEGER, last INTEGER, PRIMARY KEY(uplink, first))"
    " WITHOUT ROWID;"
    "CREATE TABLE hole(first INTEGER PRIMARY KEY, last INTEGER);"
    "CREATE TABLE loss(uplink INTEGER, reason INTEGER, stream TEXT, first INTEGER, last INTEGER,"
    " count INTEGER, first_ts INTEGER, last_ts INTEGER);"
    "CREATE TABLE mark(seq INTEGER PRIMARY KEY, run_ms INTEGER);"
    /* For the sqlite3 shell: one row per point that was due. */
    "CREATE VIEW reading AS SELECT"
    " (SELECT id FROM stream WHERE first_seq <= r.seq ORDER BY first_seq DESC LIMIT 1) AS stream,"
    " r.seq AS seq,"
    " strftime('%Y-%m-%dT%H:%M:%fZ', r.ts / 1000.0, 'unixepoch') AS time,"
    " json_extract(l.text, '$.devices[' || r.device || '].name') AS device,"
    " json_extract(p.value, '$.name') AS point,"
    " CASE WHEN b.type IN ('integer', 'real', 'true', 'false') THEN b.value"
    "  WHEN b.type = 'object' THEN json_extract(b.value, '$.mean') END AS value,"
    " CASE WHEN json_type(r.body) = 'text' THEN json_extract(r.body, '$')"
    "  WHEN b.type = 'text' THEN b.value"
    "  WHEN b.type = 'array' THEN json_extract(b.value, '$[0]') ELSE 'good' END AS quality,"
    " CASE WHEN b.type = 'array' THEN json_extract(b.value, '$[1]') END AS doubtful,"
    " json_extract(p.value, '$.unit') AS unit"
    " FROM record r JOIN layout l ON l.id = r.layout"
    " JOIN json_each(l.text, '$.models.\"' ||"
    "  json_extract(l.text, '$.devices[' || r.device || '].model') || '\".points') p"
    " LEFT JOIN json_each(r.body) b ON b.key = p.key AND json_type(r.body) = 'array'"
    " WHERE r.device IS NOT NULL AND (json_type(r.body) = 'text' OR b.type <> 'null');";

#define COLUMNS "seq, ts, layout, device, flags, body, extra, crc"

const char *store_schema_statement(enum store_stmt which)
{
    switch (which) {
    case STMT_BEGIN:
        return "BEGIN IMMEDIATE";
    case STMT_COMMIT:
        return "COMMIT";
    case STMT_ROLLBACK:
        return "ROLLBACK";
    case STMT_INSERT:
        return "INSERT INTO record(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    case STMT_RETIME:
        return "UPDATE record SET ts = ?2, flags = ?3, extra = ?4, crc = ?5 WHERE seq = ?1";
    case STMT_DELETE:
        return "DELETE FROM record WHERE seq BETWEEN ?1 AND ?2";
    case STMT_RANGE:
        return "SELECT " COLUMNS " FROM record WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
    case STMT_ONE:
        return "SELECT " COLUMNS " FROM record WHERE seq = ?1";
    case STMT_EVENTS:
        return "SELECT seq, body FROM record WHERE seq BETWEEN ?1 AND ?2 AND device IS NULL";
    case STMT_PAGE_COUNT:
        return "PRAGMA page_count";
    case STMT_FREE_COUNT:
        return "PRAGMA freelist_count";
    case STMT_META_SET:
        return "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2";
    case STMT_META_GET:
        return "SELECT value FROM meta WHERE key = ?1";
    case STMT_UPLINK_SET:
        return "UPDATE uplink SET upto = ?2, delivered = ?3, dropped = ?4 WHERE id = ?1";
    case STMT_WAITING_CLEAR:
        return "DELETE FROM waiting WHERE uplink = ?1";
    case STMT_WAITING_ADD:
        return "INSERT INTO waiting(uplink, first, last) VALUES(?1, ?2, ?3)";
    case STMT_HOLE_CLEAR:
        return "DELETE FROM hole";
    case STMT_HOLE_ADD:
        return "INSERT INTO hole(first, last) VALUES(?1, ?2)";
    case STMT_LOSS_CLEAR:
        return "DELETE FROM loss";
    case STMT_LOSS_ADD:
        return "INSERT INTO loss(uplink, reason, first, last, count, first_ts, last_ts, stream)"
               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    case STMT_MARK_ADD:
        return "INSERT OR REPLACE INTO mark(seq, run_ms) VALUES(?1, ?2)";
    case STMT_MARK_UNTIL:
        /* Both columns rise together: a damaged row that does not fit in makes nothing look old. */
        return "SELECT max(seq) FROM mark WHERE run_ms <= ?1 AND"
               " seq < ifnull((SELECT min(seq) FROM mark WHERE run_ms > ?1), 9223372036854775807)";
    case STMT_MARK_FORGET:
        return "DELETE FROM mark WHERE seq < ?1";
    case STMT_MARK_SHIFT:
        return "UPDATE mark SET run_ms = run_ms + ?1";
    case STMT_MARKS:
        return "SELECT seq, run_ms FROM mark WHERE seq < ?1 ORDER BY seq";
    case STMT_STREAM_ADD:
        return "INSERT OR REPLACE INTO stream(first_seq, id, opened_ts, reason) VALUES(?1, ?2, ?3, ?4)";
    case STMT_LAYOUT_ADD:
        return "INSERT OR REPLACE INTO layout(id, first_seq, text, crc) VALUES(?1, ?2, ?3, ?4)";
    case STMT_LAYOUT_GET:
        return "SELECT text, crc FROM layout WHERE id = ?1";
    }
    return "";
}
