/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_shim - writes down every operation that changes one folder, and lends files their old inode numbers.
 *
 * Threads    Operations may come from any thread; shim_begin() and shim_end() while none does.
 * Ownership  The history belongs to the caller.
 * Errors     What cannot be modelled ends the program.
 *
 * It stands in for open, write, pwrite, ftruncate, fsync, fdatasync, unlink, rename and close of the C
 * library: the dynamic linker lets SQLite's calls end here too. A VFS of SQLite's would see only SQLite's own
 * files; the store also renames a new database into place and writes its side file with plain system calls,
 * and the order between those and SQLite's is part of what a power cut tests. Shared memory (-shm, an index
 * that SQLite builds anew) and the lock file have no content worth keeping and are left out.
 */
#ifndef FG_CRASH_SHIM_H
#define FG_CRASH_SHIM_H

#include "crash_disk.h"

/* From now on what happens in the folder, which holds exactly the image's files, is written down. */
void shim_begin(const char *folder, const struct image *start, struct history *h);
void shim_end(void);
/* A mark in the history; safe beside operations. */
void shim_committed(uint64_t last);
void shim_acked(size_t uplink, uint64_t first, uint64_t last);

/* The files of the image, written into the folder, get the image's inode numbers as the store sees them: a
 * power cut does not change them, copying does. Until the next call. */
void shim_lend_inodes(const char *folder, const struct image *i);

/* The monotonic clock of the store runs ahead by so much more. */
void shim_skip_time(int64_t ms);

#endif
