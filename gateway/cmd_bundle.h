/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_bundle - what goes into a support bundle: each part is a file of the archive.
 *
 * Threads    Main thread.
 * Ownership  bundle_init() and bundle_fini(). Options are lent.
 * Errors     A part that cannot be had is a note in the bundle, never an end of it.
 *
 * Everything goes through bundle_add(), which takes secrets out: bundle_learn_secrets() comes first.
 */
#ifndef FG_CMD_BUNDLE_H
#define FG_CMD_BUNDLE_H

#include "buf.h"
#include "redact.h"

struct bundle_options {
    const char *config_path, *profile_dir, *runtime_dir, *state_dir, *output;
    int log_lines;
};

struct bundle {
    struct bundle_options options;
    struct redact redact;
    struct buf archive;  /* tar */
    struct buf contents; /* a line for each part, for people */
    char gateway[64];
    char database[4096]; /* "": not known */
    int64_t now_s;
};

void bundle_init(struct bundle *b, const struct bundle_options *options);
void bundle_fini(struct bundle *b);
/* Reads what the configuration names as secret, and the folders of credentials. */
void bundle_learn_secrets(struct bundle *b);
/* Adds a part without its secrets; what: for people, translated. */
void bundle_add(struct bundle *b, const char *name, const char *what, const char *text, size_t len);
/* The whole file, at most 4 MiB of it; false: it cannot be read, errno tells. */
bool bundle_read(const char *path, struct buf *ret);

/* cmd_bundle_parts.c */
void bundle_collect(struct bundle *b);

#endif
