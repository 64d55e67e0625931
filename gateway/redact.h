/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact - takes secrets out of texts that are to leave the gateway.
 *
 * Threads    One thread.
 * Ownership  redact_init() and redact_fini(); known secrets are copied, and wiped by redact_fini().
 * Errors     Only through buffers: when buf_ok() fails for the known secrets (redact_ok()), nothing may be
 * given out.
 *
 * Taken out: every known secret wherever it stands; user and password of a URL; the value behind a key that
 * means a secret (password: token= ...), a YAML block too; private keys in PEM. Too much rather than too
 * little.
 */
#ifndef FG_REDACT_H
#define FG_REDACT_H

#include "buf.h"

#define REDACTED "[removed]"

struct redact {
    struct buf known; /* each ends in a zero byte */
};

void redact_init(struct redact *r);
void redact_fini(struct redact *r);
bool redact_ok(const struct redact *r);
/* The lines of a file with a secret, each a secret of its own. Less than 4 bytes is none: it would take half
 * of every text with it. */
void redact_know(struct redact *r, const char *text, size_t len);
/* Appends the text without secrets. */
void redact_text(const struct redact *r, const char *text, size_t len, struct buf *out);

#endif
