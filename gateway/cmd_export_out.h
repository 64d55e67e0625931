/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_export_out - where an export goes: standard output, or a file that never ends in the middle of a
 * record.
 *
 * Threads    One thread.
 * Ownership  cmd_export_out_close() closes the file.
 * Errors     FG_EFULL: no space, and the file was cut back to its last whole record; FG_ECLOSED: nobody reads
 * our output any more; else FG_EIO. With a note.
 */
#ifndef FG_CMD_EXPORT_OUT_H
#define FG_CMD_EXPORT_OUT_H

#include <sys/types.h>

#include "buf.h"
#include "err.h"

struct cmd_export_mark;

struct cmd_export_out {
    const char *path; /* NULL: standard output */
    int fd;
    struct buf text;               /* to be written; append to it */
    struct cmd_export_mark *marks; /* where records end in it */
    size_t mark_count, mark_cap;
    int64_t written;  /* bytes */
    uint64_t records; /* whole ones, in the file */
    int64_t last_ms;  /* time of the last of them */
};

/* path: NULL or "-": standard output. A file that exists is replaced, unless it is the one named by
 * `not_this`, which is read, or belongs to it. */
int cmd_export_out_open(struct cmd_export_out *o, const char *path, const char *not_this,
                        struct err_note *note);
/* A record ends where the text ends now. May write. */
int cmd_export_out_record(struct cmd_export_out *o, int64_t ts_ms, struct err_note *note);
/* Writes the rest; then it is on the medium, not only on its way: a stick may be pulled out. Closes in any
 * case. */
int cmd_export_out_close(struct cmd_export_out *o, int err, struct err_note *note);

#endif
