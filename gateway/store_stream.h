/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_stream - whether the stream of a database goes on or a new one must begin, judged by a small text
 * file beside it that a copied, restored or replaced database does not carry along.
 *
 * Threads    Pure functions on one file.
 * Ownership  Values.
 * Errors     As store_file.h. A side file that is missing or damaged is no error: it is not `known`.
 *
 * A new stream is always safe; going on wrongly would use a number twice. So every doubt opens one.
 */
#ifndef FG_STORE_STREAM_H
#define FG_STORE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

#define STORE_TOKEN_TEXT 33
#define STORE_MACHINE_TEXT 65

struct store_side {
    bool known;
    char stream[STORE_STREAM_TEXT];
    uint64_t first;     /* of the stream */
    uint64_t reserved;  /* no number above was ever given */
    uint64_t oldest;    /* numbers below were gone when this was written, delivered or told as lost */
    uint64_t committed; /* numbers up to here were committed when this was written */
    uint32_t layout;    /* the number given last */
    char machine[STORE_MACHINE_TEXT];
    uint64_t inode; /* of the database; its device number is left out: it may change at each boot */
    char token[STORE_TOKEN_TEXT]; /* also in the database; new at each open, so that an old copy is found out
                                   */
    char previous[STORE_TOKEN_TEXT]; /* while opening: the token the database may still have */
    bool clean;                      /* closed in good order */
    bool memory; /* records go, or went, to memory under another stream: see store_memory.h */
};

/* What the open database itself says. */
struct store_found {
    bool created;                   /* there was none */
    bool damaged;                   /* it was set aside and salvaged */
    bool has_log;                   /* there was a WAL before it was opened */
    bool log_cut;                   /* the WAL had more committed frames when its process ended */
    bool other_boot;                /* the machine was switched off or restarted since */
    char stream[STORE_STREAM_TEXT]; /* its last; empty: none */
    char token[STORE_TOKEN_TEXT];
    uint64_t newest;
    uint64_t inode;
    const char *machine;
};

int store_side_read(const char *path, struct store_side *ret);
int store_side_write(const char *path, const struct store_side *side);
/* The same in place, where a full disk has no room for another file. Torn by a power cut it is not `known`.
 */
int store_side_overwrite(const char *path, const struct store_side *side);
/* Why a new stream must begin; NULL: the stream goes on. */
const char *store_stream_reason(const struct store_side *side, const struct store_found *found);
/* cap - 1 random hex digits. */
void store_random_hex(char *ret, size_t cap);
/* The given id, or that of /etc/machine-id; empty when there is none. */
void store_machine_id(const char *given, char ret[STORE_MACHINE_TEXT]);

#endif
