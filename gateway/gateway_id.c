/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_id - the identity of a gateway that was not given one: made once, kept, and tied to the machine. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "gateway.h"
#include "health.h"

#define ID_FILE "gateway-id"

struct kept_id {
    char id[64];
    char machine[64];
};

static bool read_line(const char *path, char *ret, size_t cap)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool got = fgets(ret, (int)cap, f) != NULL;
    fclose(f);
    if (got)
        ret[strcspn(ret, "\n")] = '\0';
    return got && ret[0];
}

static void machine_id(char ret[64])
{
    if (!read_line("/etc/machine-id", ret, 64))
        snprintf(ret, 64, "unknown");
}

static bool read_kept(const char *state_dir, struct kept_id *ret)
{
    char path[4096], line[160];
    snprintf(path, sizeof path, "%s/" ID_FILE, state_dir);
    return read_line(path, line, sizeof line) && sscanf(line, "%63s %63s", ret->id, ret->machine) == 2;
}

static void make(char *ret_id, size_t cap)
{
    unsigned char r[6];
    /* So few bytes cannot fail once the pool is ready; before, it waits. */
    while (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        ;
    snprintf(ret_id, cap, "gw-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5]);
}

int gateway_id_keep(const char *state_dir, const char *id, struct err_note *note)
{
    char machine[64];
    struct buf text = BUF_INIT;
    machine_id(machine);
    buf_addf(&text, "%s %s\n", id, machine);
    int err = buf_ok(&text) ? health_keep_file(state_dir, ID_FILE, &text, note) : FG_ENOMEM;
    buf_fini(&text);
    return err;
}

int gateway_id(const struct config *config, const char *state_dir, char *ret_id, size_t cap,
               struct err_note *note)
{
    if (config->gateway.id) {
        snprintf(ret_id, cap, "%s", config->gateway.id);
        return 0;
    }
    char machine[64];
    struct kept_id kept;
    machine_id(machine);
    if (read_kept(state_dir, &kept) && strcmp(kept.machine, machine) == 0) {
        snprintf(ret_id, cap, "%s", kept.id);
        return 0;
    }
    make(ret_id, cap);
    return gateway_id_keep(state_dir, ret_id, note);
}
