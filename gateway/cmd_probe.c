/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_probe - reads one device once and shows what came, raw and read, and how else it could be read. Through
 * the running gateway when that owns the bus, else by itself. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_options.h"
#include "config.h"
#include "control_client.h"
#include "gateway_build.h"
#include "probe.h"
#include "text.h"

enum { WATCH_SECONDS = 2, BUDGET_MS = 30000, PAUSE_MS = 60000 };

struct probe_options {
    struct config_options config;
    const char *device, *runtime_dir;
    bool json, watch;
};

static void usage(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate probe DEVICE [--config FILE] [--profiles DIR] [--runtime-dir DIR] [--watch] "
          "[--json]\n\n"
          "Reads every point of the device once and prints the registers as they came, the value, and a\n"
          "verdict. Where a value is not plausible it shows what other byte orders, types and addresses\n"
          "would give, and which of them would be. Nothing is ever written to the device.\n"
          "A running gateway is asked to do it between two polls; without one, the port is opened here.\n\n"
          "  --watch    again every 2 seconds, until interrupted\n"
          "  --json     the report as it is\n"));
}

static int parse_options(int argc, char **argv, struct probe_options *o)
{
    *o = (struct probe_options){.config = {.path = CMD_DEFAULT_CONFIG},
                                .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config.path},
        {"profiles", .text = &o->config.profile_dir},
        {"runtime-dir", .text = &o->runtime_dir},
        {"watch", .flag = &o->watch},
        {"json", .flag = &o->json},
        {NULL},
    };
    return cmd_options_take(argc, argv,
                            &(struct cmd_syntax){.help = usage,
                                                 .options = options,
                                                 .words = &o->device,
                                                 .words_least = 1,
                                                 .words_most = 1,
                                                 .words_hint = _("name one device")});
}

/* ---- the report ---- */

static void value_text(const cJSON *value, char ret[40])
{
    if (cJSON_IsBool(value))
        snprintf(ret, 40, "%s", cJSON_IsTrue(value) ? _("on") : _("off"));
    else if (cJSON_IsNumber(value))
        snprintf(ret, 40, "%.15g", value->valuedouble);
    else
        snprintf(ret, 40, "-");
}

static const char *verdict_text(const cJSON *point, char ret[96])
{
    const char *verdict = json_string(point, "verdict", "?");
    int64_t exception = json_int(point, "exception", 0);
    if (strcmp(verdict, "refused") != 0)
        snprintf(ret, 96, "%s", verdict);
    else if (exception == 2)
        snprintf(ret, 96, _("the device does not have this register (exception 2)"));
    else if (exception)
        snprintf(ret, 96, _("refused with exception %lld"), (long long)exception);
    else
        snprintf(ret, 96, "%s", json_string(point, "why", "?"));
    text_mend(ret);
    return ret;
}

/* First what would be plausible, then what else was looked at. */
static void print_views(const cJSON *point)
{
    const cJSON *views = cJSON_GetObjectItemCaseSensitive(point, "views"),
                *first = views ? views->child : NULL;
    char value[40];
    int others = 0;
    for (const cJSON *view = first; view; view = view->next) {
        const char *hint = json_string(view, "hint", NULL);
        if (hint)
            printf("      -> %s\n", hint);
    }
    for (const cJSON *view = first; view; view = view->next) {
        if (json_string(view, "hint", NULL))
            continue;
        value_text(cJSON_GetObjectItemCaseSensitive(view, "value"), value);
        printf("%s%s %s", others++ ? ", " : _("      not plausible: "), json_string(view, "as", "?"), value);
    }
    if (others)
        printf("\n");
}

struct row {
    const char *name, *where, *type, *raw, *value, *unit, *verdict;
};

static void print_row(const struct row *r)
{
    printf("  %-*s %-*s %-*s %-*s %*s %-*s %s\n", text_field(r->name, 24), r->name, text_field(r->where, 14),
           r->where, text_field(r->type, 9), r->type, text_field(r->raw, 20), r->raw,
           text_field(r->value, 12), r->value, text_field(r->unit, 10), r->unit, r->verdict);
}

static void print_point(const cJSON *point)
{
    char value[40], where[40], verdict[96];
    value_text(cJSON_GetObjectItemCaseSensitive(point, "value"), value);
    snprintf(where, sizeof where, "%s %lld", json_string(point, "register", "?"),
             (long long)json_int(point, "address", 0));
    print_row(&(struct row){.name = json_string(point, "name", "?"),
                            .where = where,
                            .type = json_string(point, "type", "?"),
                            .raw = json_string(point, "raw", ""),
                            .value = value,
                            .unit = json_string(point, "unit", ""),
                            .verdict = verdict_text(point, verdict)});
    print_views(point);
}

static const char *advice(const char *reason)
{
    if (strcmp(reason, "no_reply") == 0)
        return _("check power, wires A/B, unit number, speed and parity; `fieldgate scan` looks for it");
    if (strcmp(reason, "bad_crc") == 0)
        return _("check wires, ground and termination, or two devices with one number");
    if (strcmp(reason, "bad_frame") == 0)
        return _("check speed and parity, or another master on this line");
    return _("check the port or host");
}

static int print_report(const struct probe_options *o, const cJSON *report)
{
    const char *failed = json_string(report, "failed", NULL);
    const cJSON *points = cJSON_GetObjectItemCaseSensitive(report, "points");
    if (o->json) {
        char *text = cJSON_PrintUnformatted(report);
        printf("%s\n", text ? text : "");
        cJSON_free(text);
        return failed ? CMD_FAILED : CMD_DONE;
    }
    printf(_("%s: bus %s, unit %lld, %d point(s), %lld ms\n"), json_string(report, "device", "?"),
           json_string(report, "bus", "?"), (long long)json_int(report, "unit", 0),
           cJSON_GetArraySize(points), (long long)json_int(report, "took_ms", 0));
    if (failed) {
        const char *note = json_string(report, "note", "");
        printf("  %s: %s\n", failed, *note ? note : advice(failed));
        return CMD_FAILED;
    }
    print_row(&(struct row){.name = _("point"),
                            .where = _("register"),
                            .type = _("type"),
                            .raw = _("raw (hex)"),
                            .value = _("value"),
                            .unit = _("unit"),
                            .verdict = _("verdict")});
    for (const cJSON *point = points ? points->child : NULL; point; point = point->next)
        print_point(point);
    int64_t shift = json_int(report, "shift", 0);
    if (shift < 0)
        printf(_(
            "  -> every point fits one address lower: the manual counts from 1, take 1 off each address\n"));
    else if (shift > 0)
        printf(_("  -> every point fits one address higher: add 1 to each address\n"));
    return CMD_DONE;
}

/* ---- by ourselves ---- */

static const struct config_device *find_device(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->device_count; i++)
        if (strcmp(c->devices[i].name, name) == 0)
            return &c->devices[i];
    fprintf(stderr, _("fieldgate probe: the configuration has no device \"%s\"; there are:"), name);
    for (size_t i = 0; i < c->device_count; i++)
        fprintf(stderr, " %s", c->devices[i].name);
    fprintf(stderr, "\n");
    return NULL;
}

static int probe_device(const struct probe_options *o, const struct config *c, const struct config_device *d)
{
    const struct config_bus *bus = &c->buses[d->bus];
    struct modbus_device_options device = config_device_options(d);
    struct driver *driver;
    struct err_note note = {0};
    struct buf out = BUF_INIT;
    if (gateway_open_driver(bus, &device, 1, &driver, &note) < 0) {
        fprintf(stderr, "fieldgate probe: %s\n", note.text);
        return CMD_FAILED;
    }
    struct probe_target target = {.device = d->name,
                                  .bus = bus->name,
                                  .unit = d->unit,
                                  .max_registers = d->max_registers,
                                  .points = d->points,
                                  .point_count = d->point_count,
                                  .budget_ms = BUDGET_MS};
    probe_run(driver, &target, &out);
    driver->ops->close(driver);
    cJSON *report = buf_ok(&out) ? json_parse(out.data, out.len) : NULL;
    int code = report ? print_report(o, report) : CMD_FAILED;
    cJSON_Delete(report);
    buf_fini(&out);
    return code;
}

static int load(const struct probe_options *o, struct config **ret)
{
    struct config_problems problems = {0};
    struct buf text = BUF_INIT;
    int err = config_load(&o->config, ret, &problems);
    config_problems_print(&problems, &text);
    if (err < 0 && text.len)
        fputs(text.data, stderr);
    buf_fini(&text);
    config_problems_free(&problems);
    return err;
}

/* running: a gateway runs that does not know this device; it may own the bus all the same. */
static int probe_here(const struct probe_options *o, bool running)
{
    struct config *c;
    struct err_note note;
    cJSON *answer = NULL;
    int err = load(o, &c);
    if (err < 0)
        return err == FG_EINVALID ? CMD_CONFIG : CMD_FAILED;
    int code = CMD_FAILED;
    const struct config_device *d = find_device(c, o->device);
    const char *bus = d ? c->buses[d->bus].name : NULL;
    bool paused =
        d && running && control_command(o->runtime_dir, "pause", "bus", bus, PAUSE_MS, &answer, &note) == 0;
    if (d)
        code = probe_device(o, c, d);
    cJSON_Delete(answer);
    answer = NULL;
    if (paused && control_command(o->runtime_dir, "resume", "bus", bus, 0, &answer, &note) < 0)
        fprintf(stderr, _("fieldgate probe: %s; the bus goes on by itself within a minute\n"), note.text);
    cJSON_Delete(answer);
    config_free(c);
    return code;
}

static int probe_once(const struct probe_options *o)
{
    struct err_note note = {0};
    cJSON *answer = NULL;
    int err = control_command(o->runtime_dir, "probe", "device", o->device, 0, &answer, &note);
    if (err == FG_ECLOSED || err == FG_ENOTFOUND)
        return probe_here(o, err == FG_ENOTFOUND);
    if (err < 0) {
        fprintf(stderr, "fieldgate probe: %s\n", note.text);
        return CMD_FAILED;
    }
    int code = print_report(o, cJSON_GetObjectItemCaseSensitive(answer, "probe"));
    cJSON_Delete(answer);
    return code;
}

int cmd_probe(int argc, char **argv)
{
    struct probe_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    if (!o.watch)
        return probe_once(&o);
    for (;;) {
        if (isatty(STDOUT_FILENO) == 1 && !o.json)
            printf("\033[H\033[2J");
        code = probe_once(&o);
        fflush(stdout);
        if (ferror(stdout) || code == CMD_CONFIG)
            return code;
        sleep(WATCH_SECONDS);
    }
}
