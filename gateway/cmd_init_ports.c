/* SPDX-License-Identifier: Apache-2.0 */
/* Which serial ports this machine has: see cmd_init.h. */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_init.h"
#include "text.h"

static const char *chip_of(const char *name)
{
    static const struct {
        const char *mark, *chip;
    } chips[] = {{"1a86", "CH340"},      {"FTDI", "FTDI"},     {"Silicon_Labs", "CP210x"},
                 {"Prolific", "PL2303"}, {"067b", "PL2303"},   {"0403", "FTDI"},
                 {"10c4", "CP210x"},     {"STMicro", "STM32"}, {"Moxa", "Moxa"}};
    for (size_t i = 0; i < sizeof chips / sizeof chips[0]; i++)
        if (strstr(name, chips[i].mark))
            return chips[i].chip;
    return NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_listed(const struct init_port *ports, size_t count, const char *real)
{
    char other[PATH_MAX];
    for (size_t i = 0; i < count; i++)
        if (realpath(ports[i].path, other) && strcmp(real, other) == 0)
            return true;
    return false;
}

static void describe(struct init_port *p, const char *real, bool stays, bool board)
{
    const char *chip = chip_of(last_part(p->path));
    if (board)
        snprintf(p->what, sizeof p->what,
                 _("a serial port of the board; on many boards the console is there"));
    else if (stays && chip)
        snprintf(p->what, sizeof p->what, _("USB adapter with a %s, now %s"), chip, last_part(real));
    else if (stays)
        snprintf(p->what, sizeof p->what, _("USB adapter, now %s"), last_part(real));
    else
        snprintf(p->what, sizeof p->what, _("USB adapter; this name changes when adapters are plugged anew"));
}

size_t init_ports_list(const char *dev, struct init_port ret[INIT_PORTS_MAX])
{
    static const struct {
        const char *pattern;
        bool stays, board;
    } places[] = {{"serial/by-id/*", true, false},
                  {"ttyUSB[0-9]*", false, false},
                  {"ttyACM[0-9]*", false, false},
                  {"ttyAMA[0-9]*", false, true}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char pattern[PATH_MAX], real[PATH_MAX];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s", dev, places[i].pattern);
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t n = 0; n < found.gl_pathc && count < INIT_PORTS_MAX; n++) {
            struct init_port *p = &ret[count];
            if (strlen(found.gl_pathv[n]) >= sizeof p->path || !realpath(found.gl_pathv[n], real) ||
                is_listed(ret, count, real))
                continue;
            *p = (struct init_port){.adapter = !places[i].board};
            strcpy(p->path, found.gl_pathv[n]);
            describe(p, real, places[i].stays, places[i].board);
            count++;
        }
        globfree(&found);
    }
    return count;
}
