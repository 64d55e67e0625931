/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate check: says everything that is wrong with the configuration, and what it amounts to. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "config.h"
#include "err.h"
#include "text.h"

struct check_options {
    struct config_options config;
    bool strict;
};

static void print_help(FILE *out)
{
    fprintf(out,
            _("usage: fieldgate check [--config FILE] [--profiles DIR] [--strict]\n"
              "\n"
              "Reads the configuration and every profile it uses, and prints all that is wrong.\n"
              "Nothing is started or changed.\n"
              "\n"
              "  --config FILE    instead of %s\n"
              "  --profiles DIR   the only folder to look for profiles in\n"
              "  --strict         warnings count as errors\n"
              "\n"
              "exit: 0 it can be used, 78 it has errors, 64 wrong usage\n"),
            CMD_DEFAULT_CONFIG);
}

static int parse_options(int argc, char **argv, struct check_options *o)
{
    *o = (struct check_options){.config.path = CMD_DEFAULT_CONFIG};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config.path},
        {"profiles", .text = &o->config.profile_dir},
        {"strict", .flag = &o->strict},
        {NULL},
    };
    const struct cmd_syntax syntax = {
        .help = print_help, .options = options, .words_hint = _("write --config FILE")};
    return cmd_options_take(argc, argv, &syntax);
}

static void print_problems(const struct config_problems *problems)
{
    struct buf text = BUF_INIT;
    config_problems_print(problems, &text);
    if (text.len > 0 && buf_ok(&text))
        fputs(text.data, stderr);
    buf_fini(&text);
}

static void print_count(struct buf *out, size_t n, const char *one, const char *many)
{
    buf_addf(out, "%s%zu %s", out->len > 0 ? ", " : "", n, n == 1 ? one : many);
}

static void print_loads(const struct config *c)
{
    for (size_t i = 0; i < c->bus_count; i++) {
        struct busload load;
        if (config_bus_load(c, i, &load) < 0)
            continue;
        if (load.permille < 10)
            printf(_("bus %s: under 1 %% of the line's time\n"), c->buses[i].name);
        else
            printf(_("bus %s: %lld %% of the line's time\n"), c->buses[i].name,
                   (long long)(load.permille + 5) / 10);
    }
}

static void show_day(const struct config *c, size_t uplink, enum config_traffic which, char ret[32])
{
    const double day = (double)config_traffic(c, uplink, which) * 86.4;
    snprintf(ret, 32, day < 1e6 ? "%.0f kB" : "%.1f MB", day < 1e6 ? day / 1e3 : day / 1e6);
}

/* Mobile data is paid for by the month, and bought by the day. */
static void print_traffic(const struct config *c)
{
    for (size_t i = 0; i < c->uplink_count && c->device_count > 0; i++) {
        char most[32], least[32], without[32];
        show_day(c, i, CONFIG_TRAFFIC_MOST, most);
        show_day(c, i, CONFIG_TRAFFIC_LEAST, least);
        show_day(c, i, CONFIG_TRAFFIC_WITHOUT_RULES, without);
        if (strcmp(most, without) == 0 && strcmp(least, without) == 0)
            printf(_("uplink %s: about %s of readings a day\n"), c->uplinks[i].name, most);
        else if (strcmp(most, least) == 0)
            printf(_("uplink %s: about %s of readings a day; %s without aggregate:\n"), c->uplinks[i].name,
                   most, without);
        else
            printf(_("uplink %s: from %s of readings a day, when nothing changes, to %s, when all does; %s "
                     "without "
                     "report: and aggregate:\n"),
                   c->uplinks[i].name, least, most, without);
    }
}

static void print_summary(const char *path, const struct config *c, const struct config_problems *problems)
{
    size_t points = 0;
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < c->device_count; i++)
        points += c->devices[i].point_count;
    print_count(&text, c->bus_count, _("bus"), _("buses"));
    print_count(&text, c->device_count, _("device"), _("devices"));
    print_count(&text, points, _("point"), _("points"));
    print_count(&text, c->uplink_count, _("uplink"), _("uplinks"));
    if (problems->warnings > 0)
        print_count(&text, problems->warnings, _("warning"), _("warnings"));
    if (buf_ok(&text))
        printf("%s: OK: %s\n", path, text.data);
    buf_fini(&text);
    print_loads(c);
    print_traffic(c);
}

static void print_failure(const char *path, const struct config_problems *problems)
{
    struct buf text = BUF_INIT;
    print_count(&text, problems->errors, _("error"), _("errors"));
    if (problems->warnings > 0)
        print_count(&text, problems->warnings, _("warning"), _("warnings"));
    if (buf_ok(&text))
        printf("%s: %s: %s\n", path, _("NOT OK"), text.data);
    buf_fini(&text);
}

int cmd_check(int argc, char **argv)
{
    struct check_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    struct config_problems problems = {0};
    struct config *config;
    int err = config_load(&o.config, &config, &problems);
    print_problems(&problems);
    bool refused = err < 0 || (o.strict && problems.warnings > 0);
    if (err < 0 && err != FG_EINVALID)
        fprintf(stderr, "fieldgate check: %s\n", err_text(err));
    else if (refused)
        print_failure(o.config.path, &problems);
    else
        print_summary(o.config.path, config, &problems);
    config_free(config);
    config_problems_free(&problems);
    return !refused ? CMD_DONE : err < 0 && err != FG_EINVALID ? CMD_FAILED : CMD_CONFIG;
}
