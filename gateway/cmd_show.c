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
    struct config_options o = {.path = CMD_DEFAULT_CONFIG};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o.path},
        {"profiles", .text = &o.profile_dir},
        {NULL},
    };
    const struct cmd_syntax syntax = {
        .help = print_help, .options = options, .words_hint = _("write --config FILE")};
    int code = cmd_options_take(argc, argv, &syntax);
    return code == CMD_GO_ON ? show(&o) : code;
}
