/* SPDX-License-Identifier: Apache-2.0 */
/* main - finds the command and hands over. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "config_problem.h"
#include "text.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"init", cmd_init, N_("ask, look for devices, and write a configuration that works")},
    {"run", cmd_run, N_("poll, buffer and forward until told to stop (what the service does)")},
    {"check", cmd_check, N_("read the configuration and print every problem")},
    {"apply", cmd_apply, N_("check, then restart the running gateway with it")},
    {"show", cmd_show, N_("print what is in effect, defaults included")},
    {"status", cmd_status, N_("print the health of the running gateway")},
    {"bundle", cmd_bundle, N_("collect what support needs into one file, without secrets")},
    {"export", cmd_export, N_("write what was measured to a file, as CSV or JSON lines")},
    {"probe", cmd_probe, N_("read one device now and show what came, and how else it could be read")},
    {"scan", cmd_scan, N_("find devices whose number, speed and parity nobody knows")},
    {"pause", cmd_pause, N_("have the running gateway leave a bus alone for a while")},
    {"resume", cmd_resume, N_("end a pause")},
    {"poll", cmd_poll, N_("have the running gateway read a device now")},
    {"profiles", cmd_profiles, N_("list the device models that can be read, or show all about one")},
    {"version", cmd_version, N_("print the version")},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void usage(FILE *out)
{
    fprintf(out, _("usage: fieldgate COMMAND [OPTION]...\n\ncommands:\n"));
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, _(commands[i].help));
    fprintf(out,
            _("\n`fieldgate COMMAND --help` tells more. The configuration is %s unless --config names "
              "another.\n"),
            CMD_DEFAULT_CONFIG);
}

static void version_usage(FILE *out)
{
    fprintf(out, _("usage: fieldgate version\n\nPrints the version of the program.\n"));
}

int cmd_version(int argc, char **argv)
{
    const struct cmd_option none[] = {{NULL}};
    int code = cmd_options_take(argc, argv, &(struct cmd_syntax){.help = version_usage, .options = none});
    if (code != CMD_GO_ON)
        return code;
    printf("fieldgate %s\n", FG_VERSION);
    return CMD_DONE;
}

/* What could not be written was not done, whatever the command thinks. */
static int finish(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE) /* `fieldgate show | head` is nothing to complain about */
        fprintf(stderr, _("fieldgate: the output cannot be written: %s\n"),
                errno != 0 ? text_errno(errno) : _("some of it is missing"));
    return code == CMD_DONE ? CMD_FAILED : code;
}

static int unknown_command(const char *word)
{
    struct config_near near;
    config_near_begin(&near, word);
    for (int i = 0; i < COMMAND_COUNT; i++)
        config_near_try(&near, commands[i].name);
    if (near.best)
        fprintf(stderr, _("fieldgate: there is no command \"%s\"; did you mean \"%s\"?\n\n"), word,
                near.best);
    else
        fprintf(stderr, _("fieldgate: there is no command \"%s\"\n"), word);
    usage(stderr);
    return CMD_USAGE;
}

int main(int argc, char **argv)
{
    text_init();
    /* A broker or reader that goes away is an error code to us, never a signal. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        usage(stderr);
        return CMD_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return finish(CMD_DONE);
    }
    if (strcmp(argv[1], "--version") == 0)
        return finish(cmd_version(1, argv));
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return finish(commands[i].run(argc - 1, argv + 1));
    return unknown_command(argv[1]);
}
