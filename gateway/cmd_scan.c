/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_scan - finds devices without knowing unit number, speed or parity, and guesses what they are. It only
 * ever reads. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_scan.h"
#include "config.h"
#include "text.h"

struct scan_options {
    struct config_options config;
    const char *target, *runtime_dir;
    struct scan_limits limits;
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

static int parse_options(int argc, char **argv, struct scan_options *o)
{
    *o =
        (struct scan_options){.config = {.path = CMD_DEFAULT_CONFIG}, .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    struct scan_limits *limits = &o->limits;
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config.path},
        {"profiles", .text = &o->config.profile_dir},
        {"runtime-dir", .text = &o->runtime_dir},
        {"baud", .take = scan_take_bauds, .arg = limits},
        {"format", .take = scan_take_formats, .arg = limits},
        {"units", .take = scan_take_units, .arg = limits},
        {"wait", .take = scan_take_wait, .arg = limits},
        {"quick", .flag = &limits->quick},
        {"single", .flag = &limits->single},
        {NULL},
    };
    return cmd_options_take(argc, argv,
                            &(struct cmd_syntax){.help = usage,
                                                 .options = options,
                                                 .words = &o->target,
                                                 .words_least = 1,
                                                 .words_most = 1,
                                                 .words_hint = _("name one port, host or bus")});
}

static int scan(struct scan_run *r, const struct scan_limits *limits)
{
    int err = scan_whole(r, limits);
    if (err < 0)
        return err == FG_EINVALID ? CMD_USAGE : CMD_FAILED;
    scan_print(&r->place, &r->findings);
    if (r->findings.count == 0 && !r->failed)
        fprintf(stderr, _("fieldgate scan: nobody answered; check power, wires A/B (try them swapped) and "
                          "ground, with one device alone\n"));
    return r->findings.count > 0 ? CMD_DONE : CMD_FAILED;
}

/* A single word may be meant for a bus: a host's name that nobody knows would be a riddle. */
static void say_if_no_bus(const char *target, const struct config *c, const struct scan_place *place,
                          const char *path)
{
    if (place->bus || strpbrk(target, "/.:"))
        return;
    if (c)
        fprintf(stderr, _("scan: \"%s\" is no bus of %s, so it is taken for a host\n"), target, path);
    else
        fprintf(stderr,
                _("scan: the buses of %s are not known (`fieldgate check` says why), so \"%s\" is taken for "
                  "a host\n"),
                path, target);
}

int cmd_scan(int argc, char **argv)
{
    struct scan_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
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
    scan_find_place(o.target, c, &r.place);
    say_if_no_bus(o.target, c, &r.place, o.config.path);
    code = CMD_FAILED;
    r.findings.items = calloc(SCAN_FINDINGS_MAX, sizeof *r.findings.items);
    if (r.findings.items && scan_profiles_load(&o.config, &r.profiles) == 0)
        code = scan(&r, &o.limits);
    scan_profiles_free(&r.profiles);
    free(r.findings.items);
    config_free(c);
    return code;
}
