/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_explain - says in plain words why a text is no usable YAML: a tab, a missing quote, a wrong encoding.
 *
 * Threads    Pure functions.
 * Ownership  The problem belongs to the caller.
 * Errors     Each function that fills in a problem returns FG_EINVALID (or FG_EIO), so that callers can
 * return it.
 */
#ifndef FG_YAML_EXPLAIN_H
#define FG_YAML_EXPLAIN_H

#include "yaml_doc.h"

/* What the parser said, in its own words. */
struct yaml_complaint {
    const char *problem, *context; /* NULL: nothing said */
    int line, column;              /* 1-based */
    int context_line;              /* where the thing began that could not be ended */
    int context_column;
};

int yaml_explain_at(struct yaml_problem *problem, int line, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Translates the parser's complaint about this text. */
int yaml_explain(struct yaml_problem *problem, const char *text, size_t len,
                 const struct yaml_complaint *said);
/* 0 when every byte belongs to printable UTF-8, else FG_EINVALID with the place of the first that does not.
 */
int yaml_explain_bytes(struct yaml_problem *problem, const char *text, size_t len);

#endif
