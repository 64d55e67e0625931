/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_pause - short orders to the running gateway: pause BUS TIME, resume BUS, poll DEVICE. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "command.h"
#include "config_number.h"
#include "control_client.h"
#include "text.h"

struct order {
    const char *command, *runtime_dir;
    const char *arguments[2];
};

static void usage(FILE *out)
{
    fprintf(out,
            _("usage: fieldgate pause BUS TIME [--runtime-dir DIR]\n"
              "       fieldgate resume BUS [--runtime-dir DIR]\n"
              "       fieldgate poll DEVICE [--runtime-dir DIR]\n\n"
              "pause    the running gateway leaves the bus alone and closes its port for so long (5min, at\n"
              "         most 15min); nothing is measured there, and it goes on by itself\n"
              "resume   ends a pause at once\n"
              "poll     the device is read as soon as possible, whatever its interval\n"));
}

static int parse_options(int argc, char **argv, int words, struct order *o)
{
    *o = (struct order){.command = argv[0], .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    const struct cmd_option options[] = {{"runtime-dir", .text = &o->runtime_dir}, {NULL}};
    return cmd_options_take(argc, argv,
                            &(struct cmd_syntax){.help = usage,
                                                 .options = options,
                                                 .words = o->arguments,
                                                 .words_least = words,
                                                 .words_most = words,
                                                 .words_hint = words == 2 ? _("name a bus, and for how long")
                                                               : strcmp(argv[0], "poll") == 0
                                                                   ? _("name one device")
                                                                   : _("name one bus")});
}

static int give(const struct order *o, const char *key, int64_t for_ms)
{
    struct err_note note = {0};
    cJSON *answer = NULL;
    int err = control_command(o->runtime_dir, o->command, key, o->arguments[0], for_ms, &answer, &note);
    cJSON_Delete(answer);
    if (err == 0)
        return CMD_DONE;
    fprintf(stderr, "fieldgate %s: %s\n", o->command, note.text);
    return CMD_FAILED;
}

int cmd_pause(int argc, char **argv)
{
    struct order o;
    struct err_note note = {0};
    int64_t for_ms;
    int code = parse_options(argc, argv, 2, &o);
    if (code != CMD_GO_ON)
        return code;
    if (config_duration_parse(o.arguments[1], COMMAND_PAUSE_MAX_MS, &for_ms, &note) < 0) {
        fprintf(stderr, "fieldgate pause: \"%s\": %s\n", o.arguments[1], note.text);
        return CMD_USAGE;
    }
    if (for_ms < 1 || for_ms > COMMAND_PAUSE_MAX_MS) {
        fprintf(stderr,
                _("fieldgate pause: \"%s\": write 1s to 15min; pause again before it ends to go on\n"),
                o.arguments[1]);
        return CMD_USAGE;
    }
    code = give(&o, "bus", for_ms);
    if (code == CMD_DONE)
        printf(_("%s: paused for %s, its port is free; `fieldgate resume %s` ends it\n"), o.arguments[0],
               o.arguments[1], o.arguments[0]);
    return code;
}

int cmd_resume(int argc, char **argv)
{
    struct order o;
    int code = parse_options(argc, argv, 1, &o);
    if (code != CMD_GO_ON)
        return code;
    return give(&o, "bus", 0);
}

int cmd_poll(int argc, char **argv)
{
    struct order o;
    int code = parse_options(argc, argv, 1, &o);
    if (code != CMD_GO_ON)
        return code;
    return give(&o, "device", 0);
}
