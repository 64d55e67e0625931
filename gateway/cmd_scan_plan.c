/* SPDX-License-Identifier: Apache-2.0 */
/* What a scan tries, and the whole of it from the pause to the guesses: see cmd_scan.h. */
#include <stdlib.h>
#include <string.h>

#include "cmd_scan.h"
#include "text.h"

enum { BAUD_MOST = 4000000 };

static bool take_bauds(const char *value, struct scan_limits *o)
{
    char *end = NULL;
    for (o->baud_count = 0; o->baud_count < SCAN_LIST_MAX; value = end + 1) {
        long baud = strtol(value, &end, 10);
        if (end == value || baud < 1 || baud > BAUD_MOST || (*end != ',' && *end != '\0'))
            return false;
        o->bauds[o->baud_count++] = (int)baud;
        if (*end == '\0')
            return true;
    }
    return false;
}

const char *scan_take_bauds(const char *value, void *limits)
{
    return take_bauds(value, limits) ? NULL : _("speeds such as 4800,9600, eight at most");
}

static bool take_formats(const char *value, struct scan_limits *o)
{
    for (o->format_count = 0; o->format_count < SCAN_LIST_MAX; value += 4) {
        if (strcspn(value, ",") != 3)
            return false;
        memcpy(o->formats[o->format_count], value, 3);
        o->formats[o->format_count++][3] = '\0';
        if (value[3] == '\0')
            return true;
    }
    return false;
}

const char *scan_take_formats(const char *value, void *limits)
{
    return take_formats(value, limits) ? NULL : _("formats such as 8N1,8E1");
}

const char *scan_take_units(const char *value, void *limits)
{
    struct scan_limits *o = limits;
    char *end;
    o->first_unit = o->last_unit = (int)strtol(value, &end, 10);
    if (*end == '-')
        o->last_unit = (int)strtol(end + 1, &end, 10);
    o->units_said = true;
    bool good = end != value && *end == '\0' && o->first_unit >= 0 && o->last_unit >= o->first_unit &&
                o->last_unit <= 255;
    return good ? NULL : _("a number or a range from 0 to 255, such as 1-10");
}

const char *scan_take_wait(const char *value, void *limits)
{
    struct scan_limits *o = limits;
    char *end;
    long ms = strtol(value, &end, 10);
    o->wait_ms = (int)ms;
    return strcmp(end, "ms") == 0 && ms >= 1 && ms <= 10000 ? NULL : _("1ms to 10000ms");
}

/* What profiles say of devices as they are delivered. */
static size_t collect_known(const struct scan_profiles *p, struct modbus_scan_known *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct config_profile *profile = p->items[i];
        struct modbus_scan_known k = {.line = profile->line, .unit = profile->unit};
        for (size_t n = 0; n < profile->point_count && k.function == 0; n++) {
            enum point_register table = profile->points[n].table;
            if (table != POINT_HOLDING && table != POINT_INPUT)
                continue;
            k.function = table == POINT_HOLDING ? 3 : 4;
            k.address = profile->points[n].address;
        }
        ret[count++] = k;
    }
    return count;
}

static void choose_lines(const struct scan_limits *o, struct modbus_scan_options *ret)
{
    static const int bauds[] = {9600, 4800, 19200, 2400, 38400, 115200};
    static const char formats[][4] = {"8N1", "8E1", "8O1"};
    size_t baud_count = o->baud_count ? o->baud_count : sizeof bauds / sizeof bauds[0];
    size_t format_count = o->format_count ? o->format_count : sizeof formats / sizeof formats[0];
    if (o->baud_count == 0 && o->format_count == 0)
        return;
    for (size_t f = 0; f < format_count; f++)
        for (size_t b = 0; b < baud_count && ret->line_count < MODBUS_SCAN_LINES_MAX; b++) {
            struct modbus_line *line = &ret->lines[ret->line_count++];
            line->baud = o->baud_count ? o->bauds[b] : bauds[b];
            strcpy(line->format, o->format_count ? o->formats[f] : formats[f]);
        }
}

static int make_plan(const struct scan_run *r, const struct scan_limits *o, struct modbus_scan_plan *ret)
{
    struct err_note note = {0};
    const bool serial = r->place.protocol == MODBUS_RTU;
    struct modbus_scan_known *known = calloc(r->profiles.count + 1, sizeof *known);
    if (!known)
        return FG_ENOMEM;
    struct modbus_scan_options options = {.known = known,
                                          .known_count = collect_known(&r->profiles, known),
                                          .first_unit = serial ? 1 : 0,
                                          .last_unit = serial ? 247 : 255,
                                          .wait_ms = (uint16_t)o->wait_ms,
                                          .quick = o->quick,
                                          .single = o->single,
                                          .serial = serial};
    if (o->units_said) {
        options.first_unit = o->first_unit;
        options.last_unit = o->last_unit;
    }
    if (serial)
        choose_lines(o, &options);
    int err = modbus_scan_plan(&options, ret, &note);
    if (err < 0)
        fprintf(stderr, "fieldgate scan: %s\n", note.text);
    free(known);
    return err;
}

int scan_whole(struct scan_run *r, const struct scan_limits *limits)
{
    struct modbus_scan_plan plan = {0};
    struct err_note note = {0};
    int err = make_plan(r, limits, &plan);
    if (err < 0)
        return FG_EINVALID;
    err = scan_hold_begin(&r->hold, r->runtime_dir, r->place.bus, &note);
    if (err < 0) {
        fprintf(stderr, _("fieldgate scan: the running gateway does not give the bus away: %s\n"), note.text);
        modbus_scan_plan_free(&plan);
        return FG_EIO;
    }
    if (r->hold.bus)
        fprintf(stderr, _("scan: the running gateway pauses bus %s meanwhile\n"), r->hold.bus);
    scan_search(r, &plan);
    r->interrupted = r->stopped;
    scan_guess_all(r);
    r->interrupted |= r->stopped;
    modbus_scan_close(r->scan);
    r->scan = NULL;
    scan_hold_end(&r->hold);
    modbus_scan_plan_free(&plan);
    return 0;
}
