/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_db - the SQLite connection of a store: schema, pragmas, prepared statements, error translation.
 *
 * Threads    None of its own: whoever owns the struct holds its lock.
 * Ownership  store_db_open()/store_db_close(); statements live as long as the connection.
 * Errors     SQLite's codes become FG_EFULL, FG_ECORRUPT, FG_ERETRY (locked by a tool), FG_ENOMEM, else
 * FG_EIO.
 */
#ifndef FG_STORE_DB_H
#define FG_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define STORE_APPLICATION_ID 0x46474154 /* "FGAT" */
#define STORE_USER_VERSION 1
/* Measured at 12 records a commit: 1024 and 2048 write a fifth fewer bytes than 4096, and 2048 wastes no more
 * of the database than 4096 does. */
#define STORE_PAGE_SIZE 2048

enum store_stmt {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_INSERT,        /* seq ts layout device flags body extra crc */
    STMT_RETIME,        /* seq ts flags extra crc */
    STMT_DELETE,        /* first last */
    STMT_RANGE,         /* first last -> columns as in STMT_INSERT */
    STMT_ONE,           /* seq -> the same */
    STMT_EVENTS,        /* first last -> seq body */
    STMT_PAGE_COUNT,    /* -> pages */
    STMT_FREE_COUNT,    /* -> pages */
    STMT_META_SET,      /* key value */
    STMT_META_GET,      /* key -> value */
    STMT_UPLINK_SET,    /* id upto delivered dropped */
    STMT_WAITING_CLEAR, /* uplink */
    STMT_WAITING_ADD,   /* uplink first last */
    STMT_HOLE_CLEAR,
    STMT_HOLE_ADD, /* first last */
    STMT_LOSS_CLEAR,
    STMT_LOSS_ADD,    /* uplink reason first last count first_ts last_ts stream */
    STMT_MARK_ADD,    /* seq run_ms */
    STMT_MARK_UNTIL,  /* run_ms -> seq */
    STMT_MARK_FORGET, /* seq */
    STMT_MARK_SHIFT,  /* ms */
    STMT_MARKS,       /* seq -> seq run_ms, of those before it */
    STMT_STREAM_ADD,  /* first_seq id opened_ts reason */
    STMT_LAYOUT_ADD,  /* id first_seq text crc */
    STMT_LAYOUT_GET,  /* id -> text crc */
};
#define STORE_STMT_COUNT (STMT_LAYOUT_GET + 1)

struct sqlite3;
struct sqlite3_stmt;

struct store_db {
    struct sqlite3 *db;
    struct sqlite3_stmt *stmt[STORE_STMT_COUNT];
};

/* How a cap in bytes is divided. */
struct store_sizes {
    int64_t wal_pages;  /* checkpoint when the WAL has so many */
    int64_t max_pages;  /* SQLite refuses to grow beyond */
    int64_t soft_pages; /* make room from here on */
    size_t group_bytes; /* of encoded records in one transaction */
};
/* FG_EINVALID when max_bytes is too small to work with. */
int store_sizes(int64_t max_bytes, struct store_sizes *ret, struct err_note *note);
/* The same without a WAL; less than 256 KiB is taken for that much. */
void store_sizes_in_memory(int64_t max_bytes, struct store_sizes *ret);

/* Makes a complete, empty database at path, atomically: there is never half a database under that name. */
int store_db_create(const char *path, struct err_note *note);
/* Opens an existing database of ours, for reading and writing. */
int store_db_open(struct store_db *d, const char *path, const struct store_sizes *sizes,
                  struct err_note *note);
/* For filling a new one nobody uses yet: fast, and not safe until store_db_close() and an fsync. */
int store_db_open_build(struct store_db *d, const char *path, const struct store_sizes *sizes,
                        struct err_note *note);
/* A database of ours that exists in memory only. */
int store_db_open_memory(struct store_db *d, const struct store_sizes *sizes, struct err_note *note);
/* Accepts what store_db_open() left behind when it failed. */
void store_db_close(struct store_db *d);
/* How many frames of the WAL SQLite has found committed; 0 when there is no WAL. */
uint32_t store_db_log_frames(struct store_db *d);
/* Looks for damage: all of a small file, the small tables and the newest records of a large one. */
int store_db_check(struct store_db *d, struct err_note *note);

/* Translates a result code of SQLite; 0 for OK, ROW and DONE. */
int store_db_error(int rc);
/* Translates the code, and says in the note what SQLite says. */
int store_db_fail(struct store_db *d, int rc, struct err_note *note, const char *doing);
/* Runs a statement whose parameters are bound to its end and resets it. */
int store_db_run(struct store_db *d, enum store_stmt which);
/* Runs a statement with n integer parameters. */
int store_db_run_ints(struct store_db *d, enum store_stmt which, const int64_t *values, int n);
/* The first column of the first row of a statement without parameters; `otherwise` when NULL or no row. */
int store_db_get_int(struct store_db *d, enum store_stmt which, int64_t otherwise, int64_t *ret);
int store_db_meta_set(struct store_db *d, const char *key, const char *text);
int store_db_meta_set_int(struct store_db *d, const char *key, int64_t value);
/* The same for any SQL text. */
int store_db_query_int(struct store_db *d, const char *sql, int64_t otherwise, int64_t *ret);

#endif
