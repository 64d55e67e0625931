/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_scan - finds devices without knowing unit number, speed or parity, and guesses what they are. It only
 * ever reads. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_scan.h"
#include "config.h"
#include "text.h"

enum { TCP_PORT = 502, LIST_MAX = 8 };

struct scan_options {
    struct config_options config;
    const char *target, *runtime_dir;
    int bauds[LIST_MAX];
    size_t baud_count;
    char formats[LIST_MAX][4];
    size_t format_count;
    bool units_said;
    int first_unit, last_unit;
    int wait_ms; /* 0: not said */
    bool quick, single;
};

static void usage(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate scan PORT|HOST[:PORT]|BUS [--baud N,..] [--format F,..] [--units A-B] [--quick]\n"
          "                      [--single] [--wait 70ms] [--config FILE] [--profiles DIR] [--runtime-dir "
          "DIR]\n\n"
          "Finds Modbus devices without knowing their number, speed or parity: /dev/ttyUSB0, "
          "192.168.1.20:502,\n"
          "or the name of a bus in the configuration. Likely settings come first. It only reads, never "
          "writes.\n"
          "When a running gateway owns the bus, it is asked for a pause, which ends with the scan.\n"
          "Prints what was found, a guess at the model, and a configuration block to paste. Ctrl-C ends the\n"
          "search and prints what was found so far.\n\n"
          "  --baud N,..    only these speeds          --format F,..  only these: 8N1, 8E1, 8O1, 8N2\n"
          "  --units A-B    only these unit numbers    --quick        only numbers that sensors are sold "
          "with\n"
          "  --single       one device is connected: also ask at 248 to 255, where many answer to all\n"
          "  --wait TIME    how long to wait for each answer: 1ms to 10000ms (usually 70ms on a line, 300ms "
          "on "
          "TCP)\n"));
}

/* ---- options ---- */

static bool parse_bauds(char *text, struct scan_options *o)
{
    for (char *word; (word = strtok_r(text, ",", &text)) != NULL && o->baud_count < LIST_MAX;)
        o->bauds[o->baud_count++] = (int)strtol(word, NULL, 10);
    return o->baud_count > 0;
}

static bool parse_formats(char *text, struct scan_options *o)
{
    for (char *word; (word = strtok_r(text, ",", &text)) != NULL && o->format_count < LIST_MAX;) {
        if (strlen(word) != 3)
            return false;
        strcpy(o->formats[o->format_count++], word);
    }
    return o->format_count > 0;
}

static bool parse_units(const char *text, struct scan_options *o)
{
    char *end;
    o->first_unit = o->last_unit = (int)strtol(text, &end, 10);
    if (*end == '-')
        o->last_unit = (int)strtol(end + 1, &end, 10);
    o->units_said = true;
    return end != text && *end == '\0' && o->first_unit >= 0 && o->last_unit >= o->first_unit &&
           o->last_unit <= 255;
}

static bool parse_wait(const char *text, struct scan_options *o)
{
    char *end;
    long ms = strtol(text, &end, 10);
    o->wait_ms = (int)ms;
    return strcmp(end, "ms") == 0 && ms >= 1 && ms <= 10000;
}

static bool take_option(int c, char *argument, struct scan_options *o)
{
    bool good = true;
    switch (c) {
    case 'c':
        o->config.path = argument;
        break;
    case 'p':
        o->config.profile_dir = argument;
        break;
    case 'r':
        o->runtime_dir = argument;
        break;
    case 'b':
        good = parse_bauds(argument, o);
        break;
    case 'f':
        good = parse_formats(argument, o);
        break;
    case 'u':
        good = parse_units(argument, o);
        break;
    case 'w':
        good = parse_wait(argument, o);
        break;
    case 'q':
        o->quick = true;
        break;
    case 's':
        o->single = true;
        break;
    default:
        return false;
    }
    if (!good)
        fprintf(stderr, _("fieldgate scan: \"%s\" is not understood\n"), argument);
    return good;
}

static int parse_options(int argc, char **argv, struct scan_options *o)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"profiles", required_argument, NULL, 'p'},
        {"runtime-dir", required_argument, NULL, 'r'},
        {"baud", required_argument, NULL, 'b'},
        {"format", required_argument, NULL, 'f'},
        {"units", required_argument, NULL, 'u'},
        {"wait", required_argument, NULL, 'w'},
        {"quick", no_argument, NULL, 'q'},
        {"single", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *o =
        (struct scan_options){.config = {.path = CMD_DEFAULT_CONFIG}, .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    optind = 0;
    for (int c; (c = cmd_option(argc, argv, "c:h", longs)) != -1;) {
        if (c == 'h') {
            usage(stdout);
            return 1;
        }
        if (!take_option(c, optarg, o)) {
            usage(stderr);
            return -1;
        }
    }
    if (argc - optind != 1) {
        fprintf(stderr, _("fieldgate scan: name one port, host or bus\n"));
        usage(stderr);
        return -1;
    }
    o->target = argv[optind];
    return 0;
}

/* ---- where ---- */

static bool same_file(const char *a, const char *b)
{
    char real_a[PATH_MAX], real_b[PATH_MAX];
    if (strcmp(a, b) == 0)
        return true;
    return realpath(a, real_a) && realpath(b, real_b) && strcmp(real_a, real_b) == 0;
}

static void take_bus(const struct config_bus *b, struct scan_place *ret)
{
    *ret = (struct scan_place){.protocol = b->protocol,
                               .protocol_known = true,
                               .tcp_port = b->tcp_port,
                               .bus = b->name,
                               .line = b->line};
    snprintf(ret->where, sizeof ret->where, "%s", b->protocol == MODBUS_RTU ? b->port : b->host);
}

/* "host", "host:port", "[::1]:502" */
static void split_host(const char *target, struct scan_place *ret)
{
    const char *colon = strrchr(target, ':');
    bool bracket = target[0] == '[';
    ret->protocol = MODBUS_TCP;
    ret->tcp_port = TCP_PORT;
    snprintf(ret->where, sizeof ret->where, "%s", target);
    if (bracket ? colon && colon[-1] == ']' : colon && strchr(target, ':') == colon) {
        ret->tcp_port = (int)strtol(colon + 1, NULL, 10);
        snprintf(ret->where, sizeof ret->where, "%.*s", (int)(colon - target), target);
    }
    size_t len = strlen(ret->where);
    if (bracket && len > 2 && ret->where[len - 1] == ']') {
        memmove(ret->where, ret->where + 1, len - 2);
        ret->where[len - 2] = '\0';
    }
}

/* c may be NULL: a scan is often made before there is a configuration. */
static void find_place(const char *target, const struct config *c, struct scan_place *ret)
{
    *ret = (struct scan_place){0};
    for (size_t i = 0; c && i < c->bus_count; i++)
        if (strcmp(c->buses[i].name, target) == 0) {
            take_bus(&c->buses[i], ret);
            return;
        }
    if (strchr(target, '/')) {
        ret->protocol = MODBUS_RTU;
        ret->protocol_known = true;
        snprintf(ret->where, sizeof ret->where, "%s", target);
    } else {
        split_host(target, ret);
    }
    for (size_t i = 0; c && i < c->bus_count; i++) {
        const struct config_bus *b = &c->buses[i];
        bool serial = ret->protocol == MODBUS_RTU && b->protocol == MODBUS_RTU;
        if (serial ? same_file(b->port, ret->where)
                   : ret->protocol != MODBUS_RTU && b->protocol != MODBUS_RTU &&
                         b->tcp_port == ret->tcp_port && strcmp(b->host, ret->where) == 0) {
            take_bus(b, ret);
            return;
        }
    }
}

/* ---- what to try ---- */

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

static void choose_lines(const struct scan_options *o, struct modbus_scan_options *ret)
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

static int make_plan(const struct scan_run *r, const struct scan_options *o, struct modbus_scan_plan *ret)
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

static int scan(struct scan_run *r, const struct scan_options *o)
{
    struct modbus_scan_plan plan = {0};
    struct err_note note = {0};
    if (make_plan(r, o, &plan) < 0)
        return CMD_USAGE;
    if (scan_hold_begin(&r->hold, r->runtime_dir, r->place.bus, &note) < 0) {
        fprintf(stderr, _("fieldgate scan: the running gateway does not give the bus away: %s\n"), note.text);
        modbus_scan_plan_free(&plan);
        return CMD_FAILED;
    }
    if (r->hold.bus)
        fprintf(stderr, _("scan: the running gateway pauses bus %s meanwhile\n"), r->hold.bus);
    scan_search(r, &plan);
    scan_guess_all(r);
    modbus_scan_close(r->scan);
    r->scan = NULL;
    scan_hold_end(&r->hold);
    scan_print(&r->place, &r->findings);
    if (r->findings.count == 0 && !r->failed)
        fprintf(stderr, _("fieldgate scan: nobody answered; check power, wires A/B (try them swapped) and "
                          "ground, with one device alone\n"));
    modbus_scan_plan_free(&plan);
    return r->findings.count > 0 ? CMD_DONE : CMD_FAILED;
}

int cmd_scan(int argc, char **argv)
{
    struct scan_options o;
    int parsed = parse_options(argc, argv, &o);
    if (parsed)
        return parsed > 0 ? CMD_DONE : CMD_USAGE;
    struct scan_run r = {.runtime_dir = o.runtime_dir};
    sigemptyset(&r.signals);
    sigaddset(&r.signals, SIGINT);
    sigaddset(&r.signals, SIGTERM);
    sigaddset(&r.signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &r.signals, NULL);
    struct config *c = NULL;
    struct config_problems problems = {0};
    if (config_load(&o.config, &c, &problems) < 0)
        c = NULL; /* a port or host can be scanned without any configuration */
    config_problems_free(&problems);
    find_place(o.target, c, &r.place);
    int code = CMD_FAILED;
    r.findings.items = calloc(SCAN_FINDINGS_MAX, sizeof *r.findings.items);
    if (r.findings.items && scan_profiles_load(&o.config, &r.profiles) == 0)
        code = scan(&r, &o);
    scan_profiles_free(&r.profiles);
    free(r.findings.items);
    config_free(c);
    return code;
}
