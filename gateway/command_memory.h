/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_memory - which ids were carried out of late, so that a command that comes twice is done once.
 *
 * Threads    One thread at a time.
 * Ownership  command_memory_init()/command_memory_fini(), also after a failed init.
 * Errors     FG_ENOMEM from init.
 *
 * An id is remembered for COMMAND_REMEMBERED_MS, unless more than `cap` others came after it: whoever limits
 * how many come chooses cap so that this does not happen. Ids are kept as 64-bit hashes.
 */
#ifndef FG_COMMAND_MEMORY_H
#define FG_COMMAND_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Twice the age that a command may have, in either direction: what is forgotten is stale. */
enum { COMMAND_REMEMBERED_MS = 10 * 60 * 1000 };

struct command_memory {
    struct command_seen {
        uint64_t hash;
        int64_t mono_ms; /* 0: empty */
    } * seen;
    size_t cap, next;
};

int command_memory_init(struct command_memory *m, size_t cap);
void command_memory_fini(struct command_memory *m);
/* id: its JSON text. Milliseconds since it was noted; -1: it is not known. */
int64_t command_memory_age(const struct command_memory *m, const char *id, size_t len, int64_t now_mono_ms);
void command_memory_note(struct command_memory *m, const char *id, size_t len, int64_t now_mono_ms);

#endif
