/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash_disk - a model of one folder on a disk: what a power cut leaves of it.
 *
 * Threads    None of its own; one disk belongs to one thread.
 * Ownership  A disk and an image own their bytes; a history owns its operations. _fini() frees.
 * Errors     Out of memory ends the program.
 *
 * The model: a write is only on the disk once its file was synced. Until then each of its 512-byte sectors
 * may be there or not, in any order, and so may the file's size; a sector is never torn. Names (create,
 * rename, unlink) last once the folder was synced; until then any first part of them may, in order, as on a
 * journalling file system. A name and the bytes of its file are independent: a renamed file that nobody
 * synced may be empty.
 */
#ifndef FG_CRASH_DISK_H
#define FG_CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_NAME 64

enum op_kind {
    OP_WRITE,
    OP_TRUNCATE,
    OP_SYNC,
    OP_CREATE,
    OP_UNLINK,
    OP_RENAME,
    OP_SYNC_FOLDER,
    OP_COMMITTED, /* no operation: from here on the store has said that everything up to `last` is committed
                   */
    OP_ACKED,     /* no operation: the broker of `uplink` has first..last from here on */
};

struct op {
    enum op_kind kind;
    unsigned file;  /* WRITE TRUNCATE SYNC CREATE */
    int64_t offset; /* WRITE; TRUNCATE: the new size */
    size_t len;     /* WRITE */
    unsigned char *bytes;
    uint64_t inode;                        /* CREATE */
    char name[CRASH_NAME], to[CRASH_NAME]; /* to: RENAME */
    size_t uplink;
    uint64_t first, last;
};

struct history {
    struct op *ops;
    size_t count, cap;
};
struct op *history_add(struct history *h, enum op_kind kind);
void history_fini(struct history *h);

struct image_file {
    char name[CRASH_NAME];
    uint64_t inode;
    unsigned char *bytes;
    size_t size;
};
struct image {
    struct image_file *files;
    size_t count;
};
void image_fini(struct image *i);
/* Empties the folder and writes the files into it. */
void image_write(const struct image *i, const char *folder);
void folder_empty(const char *folder);

struct disk;
/* The folder as in the image, all durable; the history's operations come on top. The image's files have the
 * numbers 0.. in the history. normal: count only those syncs of the WAL that SQLite makes with
 * synchronous=NORMAL. */
struct disk *disk_new(const struct image *start, const struct history *h, bool normal);
void disk_free(struct disk *d);
/* The next operation happens; NULL at the end. */
const struct op *disk_step(struct disk *d);
/* What a power cut now leaves: chosen by the random number, among it everything and nothing of what is not
 * synced. */
void disk_cut(const struct disk *d, uint64_t random, struct image *ret);

/* The next number of a sequence (splitmix64), and one below a limit. */
uint64_t crash_random(uint64_t *state);
uint64_t crash_below(uint64_t *state, uint64_t limit);
void *crash_alloc(void *old, size_t size);

#endif
