/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - the error codes of fieldgate, chosen by the action they call for, and a
 * place for the one line of text that goes with them.
 *
 * Threads    All functions may be called from any thread; a note belongs to one caller.
 * Ownership  Nothing is allocated.
 * Errors     0 or a count is success, a negative enum fg_err a failure. A function
 *            either logs a failure or returns it, never both.
 */
#ifndef FG_ERR_H
#define FG_ERR_H

enum fg_err {
    FG_ERETRY = -1,    /* not now; the same call may succeed later */
    FG_ETIMEOUT = -2,  /* nobody answered in time; retry or skip */
    FG_ECLOSED = -3,   /* the other side, or we ourselves, closed it; reopen or stop */
    FG_EFULL = -4,     /* no room; make room or drop and count */
    FG_EIO = -5,       /* the medium failed; report, go on without it */
    FG_ECORRUPT = -6,  /* what was read is damaged; skip and account for it */
    FG_EFOREIGN = -7,  /* not ours, or newer than we are; refuse and stop */
    FG_EINVALID = -8,  /* the input is wrong; report it to whoever wrote it */
    FG_ENOTFOUND = -9, /* no such thing; report */
    FG_ENOMEM = -10,   /* no memory; stop cleanly */
    FG_ERANGE = -11,   /* a number does not fit; report */
};

/* One line for a human: what, where, and what to do next. Empty when nothing was said. */
struct err_note {
    char text[512];
};

/* A short name for an error code; never NULL. */
const char *err_text(int err);

/* Translates the format (text.h) and writes the note (cut to fit, always terminated) and returns err, so that
 * a caller can write `return err_note(note, FG_EIO, "...")`. note may be NULL. */
int err_note(struct err_note *note, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
