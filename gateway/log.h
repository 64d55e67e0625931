/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per change of state, to the journal or stderr. The door to sd-journal.
 *
 * Threads    Any thread.
 * Ownership  Copies what it is given.
 * Errors     Cannot fail visibly: a log that cannot be written is dropped.
 *
 * A line is `<priority>CODE key=value ...: text; next step`. The code (FG-BUS-SILENT) is stable and explained
 * in docs/MESSAGES.md; a test holds the two together, so a code stands in the source as one literal. Secrets
 * are never passed here. In the journal the pairs before the colon are fields of their own: bus=field is
 * FIELDGATE_BUS=field, beside FIELDGATE_CODE. The format is translated here (text.h); a translation keeps
 * every `key=` as it is.
 */
#ifndef FG_LOG_H
#define FG_LOG_H

enum log_priority {
    LOG_PRI_ERROR = 3,   /* something is lost or will be unless somebody acts */
    LOG_PRI_WARNING = 4, /* needs attention; the gateway goes on */
    LOG_PRI_NOTICE = 5,  /* an expected but notable change */
    LOG_PRI_INFO = 6,    /* start, stop, recovered */
    LOG_PRI_DEBUG = 7,   /* only with --debug */
};

/* To be called once before the first line; debug: show LOG_PRI_DEBUG too. Uses the journal when stderr is
 * connected to it, else stderr with the <N> prefix (without the prefix on a terminal). */
void log_init(int debug);
void log_line(enum log_priority priority, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
