/* SPDX-License-Identifier: Apache-2.0 */
#include "store_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "store_crc.h"
#include "store_file.h"

#define SIDE_MAX 1024
#define SIDE_TITLE "fieldgate-stream 1\n"

void store_random_hex(char *ret, size_t cap)
{
    for (size_t i = 0; i + 1 < cap; i++) {
        unsigned char byte;
        /* getrandom() of so few bytes cannot fail once the pool is ready; before, it waits. */
        while (getrandom(&byte, 1, 0) != 1)
            ;
        ret[i] = "0123456789abcdef"[byte & 15];
    }
    ret[cap - 1] = 0;
}

void store_machine_id(const char *given, char ret[STORE_MACHINE_TEXT])
{
    struct buf text = BUF_INIT;
    if (!given && store_file_read("/etc/machine-id", STORE_MACHINE_TEXT - 1, &text) == 0)
        given = text.data;
    size_t n = given ? strcspn(given, " \n") : 0;
    if (n >= STORE_MACHINE_TEXT)
        n = STORE_MACHINE_TEXT - 1;
    if (n > 0)
        memcpy(ret, given, n);
    ret[n] = 0;
    buf_fini(&text);
}

/* The value of the line "key value\n"; empty when missing or too long. */
static void value_of(const char *text, const char *key, char *ret, size_t cap)
{
    size_t len = strlen(key);
    ret[0] = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, key, len) != 0 || line[len] != ' ')
            continue;
        size_t n = strcspn(line + len + 1, "\n");
        if (n < cap) {
            memcpy(ret, line + len + 1, n);
            ret[n] = 0;
        }
        return;
    }
}

static uint64_t number_of(const char *text, const char *key)
{
    char value[24];
    value_of(text, key, value, sizeof value);
    return strtoull(value, NULL, 10);
}

static bool is_whole(const struct buf *text)
{
    if (strncmp(text->data, SIDE_TITLE, strlen(SIDE_TITLE)) != 0)
        return false;
    const char *check = strstr(text->data, "\ncheck ");
    if (!check)
        return false;
    char want[16];
    snprintf(want, sizeof want, "%08" PRIx32, store_crc(0, text->data, (size_t)(check + 1 - text->data)));
    return strncmp(check + 7, want, 8) == 0;
}

int store_side_read(const char *path, struct store_side *ret)
{
    struct buf name = BUF_INIT, text = BUF_INIT;
    memset(ret, 0, sizeof *ret);
    buf_addf(&name, "%s-stream", path);
    int err = buf_ok(&name) ? store_file_read(name.data, SIDE_MAX, &text) : FG_ENOMEM;
    if (!err && is_whole(&text)) {
        value_of(text.data, "stream", ret->stream, sizeof ret->stream);
        value_of(text.data, "machine", ret->machine, sizeof ret->machine);
        value_of(text.data, "token", ret->token, sizeof ret->token);
        value_of(text.data, "previous", ret->previous, sizeof ret->previous);
        ret->first = number_of(text.data, "first");
        ret->reserved = number_of(text.data, "reserved");
        ret->oldest = number_of(text.data, "oldest");
        ret->committed = number_of(text.data, "committed");
        ret->layout = (uint32_t)number_of(text.data, "layout");
        ret->inode = number_of(text.data, "inode");
        ret->clean = number_of(text.data, "clean") != 0;
        ret->memory = number_of(text.data, "memory") != 0;
        ret->known = true;
    }
    buf_fini(&name);
    buf_fini(&text);
    return err == FG_ENOTFOUND ? 0 : err;
}

typedef int write_file(const char *path, const struct buf *bytes);

static int write_by(write_file *write, const char *path, const struct store_side *side)
{
    struct buf name = BUF_INIT, text = BUF_INIT;
    buf_addf(&name, "%s-stream", path);
    buf_adds(&text, SIDE_TITLE);
    buf_addf(&text,
             "stream %s\nfirst %" PRIu64 "\nreserved %" PRIu64 "\noldest %" PRIu64 "\ncommitted %" PRIu64
             "\n",
             side->stream, side->first, side->reserved, side->oldest, side->committed);
    buf_addf(&text, "layout %u\nmachine %s\ninode %" PRIu64 "\ntoken %s\nprevious %s\nclean %d\nmemory %d\n",
             side->layout, side->machine, side->inode, side->token, side->previous, side->clean,
             side->memory);
    if (buf_ok(&text))
        buf_addf(&text, "check %08" PRIx32 "\n", store_crc(0, text.data, text.len));
    int err = buf_ok(&name) && buf_ok(&text) ? write(name.data, &text) : FG_ENOMEM;
    buf_fini(&name);
    buf_fini(&text);
    return err;
}

int store_side_write(const char *path, const struct store_side *side)
{
    return write_by(store_file_write, path, side);
}

int store_side_overwrite(const char *path, const struct store_side *side)
{
    return write_by(store_file_overwrite, path, side);
}

const char *store_stream_reason(const struct store_side *side, const struct store_found *found)
{
    if (found->damaged)
        return "damaged";
    if (found->created)
        return side->known ? "missing" : "created";
    if (!found->stream[0])
        return "created";
    /* Another stream was sent since, and not all of it is here. */
    if (side->known && side->memory)
        return "memory_lost";
    if (!side->known || strcmp(side->stream, found->stream) != 0)
        return "unproven";
    if (side->machine[0] && found->machine[0] && strcmp(side->machine, found->machine) != 0)
        return "cloned";
    /* The second token covers a power cut between writing this file and the database, at the last open. */
    bool same_token = strcmp(side->token, found->token) == 0 ||
                      (side->previous[0] && strcmp(side->previous, found->token) == 0);
    if (!same_token)
        return "restored";
    if (side->inode != found->inode)
        return "replaced";
    if (found->newest < side->committed)
        return "rolled_back";
    /* Only a clean close removes the WAL: whoever removed it since may have taken the last commits with it.
     */
    if (!side->clean && !found->has_log)
        return "log_missing";
    /* SQLite's index of the WAL outlives the process, not the machine. */
    if (found->log_cut && !found->other_boot)
        return "log_cut";
    /* Cards confirm writes that a power cut then takes back, and what was sent since then was real. */
    if (!side->clean && found->other_boot)
        return "power_cut";
    return NULL;
}
