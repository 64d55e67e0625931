/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_file - what the store does with files outside SQLite: whose a file is, the lock, atomic writing,
 * setting a damaged database aside.
 *
 * Threads    Pure functions on files.
 * Ownership  store_file_lock() gives a descriptor that close() releases.
 * Errors     FG_EIO, FG_EFULL (no space), FG_ENOTFOUND, FG_ENOMEM; others where named.
 */
#ifndef FG_STORE_FILE_H
#define FG_STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum store_file_kind {
    STORE_FILE_NONE, /* nothing there, or an empty file */
    STORE_FILE_OURS,
    STORE_FILE_FOREIGN, /* somebody else's, or not to be understood */
    STORE_FILE_NEWER,   /* ours, of a later version */
    STORE_FILE_GARBAGE, /* no database at all: a damaged one of ours, or a foreign file */
};

/* Looks at the first bytes, without SQLite, so that a foreign file and its side files stay untouched. */
int store_file_kind(const char *path, enum store_file_kind *ret, struct err_note *note);
/* Locks path + "-lock" for this process; FG_ERETRY with a note while another one has it, FG_EFULL or FG_EIO
 * when there is no lock and none can be made. */
int store_file_lock(const char *path, int *ret_fd, struct err_note *note);
/* The inode; 0: no such file. */
uint64_t store_file_inode(const char *path);
/* How many frames of the WAL the index beside it (-shm) calls committed; 0 when it cannot be read. Only while
 * this process does not have the database open: with the first descriptor of a file that is closed, all locks
 * on it are lost, SQLite's too, and others would take the index for one that nobody uses. Then
 * store_db_log_frames(). */
uint32_t store_file_log_frames(const char *path);
/* The same from the first bytes of the index. */
#define STORE_INDEX_HEAD 96
uint32_t store_file_index_frames(const char *head);
/* Whether it is not the disk's fault that path cannot be used: there is no such folder, we are not allowed
 * to, it is not a file. */
bool store_file_misplaced(const char *path);
/* Bytes that may still be written on path's file system; 0 when it takes none. */
int64_t store_file_room(const char *path);
/* Bytes of path + tail; 0: no such file. */
int64_t store_file_size(const char *path, const char *tail);
/* rename() that lasts: the folder is synced. */
int store_file_rename(const char *from, const char *to);
/* fsync() of a file by name. */
int store_file_sync(const char *path);
/* Replaces path by these bytes, or leaves it as it was. */
int store_file_write(const char *path, const struct buf *bytes);
/* Writes these bytes over those of a file that exists. */
int store_file_overwrite(const char *path, const struct buf *bytes);
/* At most max bytes. */
int store_file_read(const char *path, size_t max, struct buf *ret);
/* Renames the database and its WAL to path.damaged-<wall ms>; ret_path is that name. */
int store_file_set_aside(const char *path, int64_t wall_ms, struct buf *ret_path, struct err_note *note);

#endif
