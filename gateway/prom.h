/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prom - lines in Prometheus' text exposition format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Threads    Pure functions; a buffer belongs to one thread.
 * Ownership  Everything is lent.
 * Errors     Only through the buffer (buf_ok).
 */
#ifndef FG_PROM_H
#define FG_PROM_H

#include <stdint.h>

#include "buf.h"

struct prom_label {
    const char *key, *value; /* key NULL: the end of the list */
};

/* What a metric is, before its first sample. */
void prom_head(struct buf *out, const char *name, const char *type, const char *help);
/* A sample; labels NULL: it has none. */
void prom_add(struct buf *out, const char *name, const struct prom_label *labels, int64_t value);
/* The same of a value in thousandths: seconds of milliseconds, a ratio of a permille. */
void prom_add_milli(struct buf *out, const char *name, const struct prom_label *labels, uint64_t value);

#endif
