/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate show: the configuration in effect, with every default, as YAML that can be loaded again. */
#include <stdio.h>

#include "cmd.h"
#include "cmd_options.h"
#include "config.h"
#include "err.h"
#include "text.h"

static void print_help(FILE *out)
{
    fprintf(out,
            _("usage: fieldgate show [--config FILE] [--profiles DIR]\n"
              "\n"
              "Prints the configuration that is in effect, with every default written out.\n"
              "Passwords never appear, only where they are.\n"
              "\n"
              "  --config FILE    instead of %s\n"
              "  --profiles DIR   the only folder to look for profiles in\n"
              "\n"
              "exit: 0 done, 78 the configuration has errors, 64 wrong usage\n"),
            CMD_DEFAULT_CONFIG);
}

/* -1: wrong usage, which has been explained; 1: only help is wanted. */
static int parse_arguments(int argc, char **argv, struct config_options *ret)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"profiles", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *ret = (struct config_options){.path = CMD_DEFAULT_CONFIG};
    optind = 0; /* main() has used getopt before */
    int c;
    while ((c = cmd_option(argc, argv, "c:h", options)) != -1) {
        if (c == 'c')
            ret->path = optarg;
        else if (c == 'p')
            ret->profile_dir = optarg;
        else
            return c == 'h' ? 1 : -1;
    }
    if (optind < argc)
        fprintf(stderr, _("fieldgate show: unexpected \"%s\"; write --config FILE\n"), argv[optind]);
    return optind < argc ? -1 : 0;
}

static int show(const struct config_options *options)
{
    struct config_problems problems = {0};
    struct config *config;
    struct buf said = BUF_INIT, text = BUF_INIT;
    int err = config_load(options, &config, &problems);
    config_problems_print(&problems, &said);
    if (said.len > 0 && buf_ok(&said))
        fputs(said.data, stderr);
    if (err == 0) {
        config_show(config, &text);
        err = buf_ok(&text) ? 0 : FG_ENOMEM;
    }
    if (err == 0)
        fputs(text.data, stdout); /* main() sees whether it was written */
    if (err < 0 && err != FG_EINVALID)
        fprintf(stderr, "fieldgate show: %s\n", err_text(err));
    buf_fini(&text);
    buf_fini(&said);
    config_free(config);
    config_problems_free(&problems);
    return err == 0 ? CMD_DONE : err == FG_EINVALID ? CMD_CONFIG : CMD_FAILED;
}

int cmd_show(int argc, char **argv)
{
    struct config_options options;
    int wanted = parse_arguments(argc, argv, &options);
    if (wanted == 0)
        return show(&options);
    print_help(wanted < 0 ? stderr : stdout);
    return wanted < 0 ? CMD_USAGE : CMD_DONE;
}
