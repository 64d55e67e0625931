/* SPDX-License-Identifier: Apache-2.0 */
#include "command_memory.h"

#include <stdlib.h>

#include "err.h"

int command_memory_init(struct command_memory *m, size_t cap)
{
    *m = (struct command_memory){.seen = calloc(cap, sizeof *m->seen), .cap = cap};
    return m->seen ? 0 : FG_ENOMEM;
}

void command_memory_fini(struct command_memory *m)
{
    free(m->seen);
    *m = (struct command_memory){0};
}

/* FNV-1a, 64 bit. */
static uint64_t hash_of(const char *id, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)id[i]) * 0x100000001b3u;
    return hash;
}

int64_t command_memory_age(const struct command_memory *m, const char *id, size_t len, int64_t now_mono_ms)
{
    const uint64_t hash = hash_of(id, len);
    for (size_t i = 0; i < m->cap; i++) {
        int64_t age = now_mono_ms - m->seen[i].mono_ms;
        if (m->seen[i].mono_ms != 0 && m->seen[i].hash == hash && age < COMMAND_REMEMBERED_MS)
            return age;
    }
    return -1;
}

void command_memory_note(struct command_memory *m, const char *id, size_t len, int64_t now_mono_ms)
{
    m->seen[m->next] = (struct command_seen){hash_of(id, len), now_mono_ms};
    m->next = (m->next + 1) % m->cap;
}
