/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_status - the health of the running gateway, once or again and again; the page itself is
 * cmd_status_page.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_runtime.h"
#include "cmd_status_page.h"
#include "cmd_status_words.h"
#include "text.h"

enum { STALE_MS = 10000, WATCH_SECONDS = 2 };

struct status_options {
    const char *runtime_dir;
    bool json, watch, all;
};

static void usage(FILE *out)
{
    fprintf(out, _("usage: fieldgate status [--runtime-dir DIR] [--all] [--json] [--watch]\n\n"
                   "Prints the health of the running gateway on one screen: what is wrong and what to try "
                   "first.\nExit 0: it runs; 1: it does not, or hangs.\n\n"
                   "  --all      every value of every device, and how its questions went\n"
                   "  --json     the status file as it is\n"
                   "  --watch    again every 2 seconds, until interrupted\n"));
}

static int parse_options(int argc, char **argv, struct status_options *o)
{
    *o = (struct status_options){.runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    const struct cmd_option options[] = {
        {"runtime-dir", .text = &o->runtime_dir},
        {"json", .flag = &o->json},
        {"watch", .flag = &o->watch},
        {"all", .flag = &o->all},
        {NULL},
    };
    return cmd_options_take(argc, argv, &(struct cmd_syntax){.help = usage, .options = options});
}

/* ---- command ---- */

static int say_why_not(int err, const char *runtime_dir)
{
    if (err == FG_ENOTFOUND)
        fprintf(stderr,
                _("fieldgate status: no gateway runs here (%s/status.json is missing); start it with "
                  "`systemctl start fieldgate`\n"),
                runtime_dir);
    else if (err == FG_EIO)
        fprintf(stderr, _("fieldgate status: %s/status.json: %s; check --runtime-dir\n"), runtime_dir,
                text_errno(errno));
    else
        fprintf(stderr,
                _("fieldgate status: %s/status.json is not what a gateway writes: %s; check --runtime-dir, "
                  "and see what "
                  "`systemctl status fieldgate` says\n"),
                runtime_dir, err_text(err));
    return CMD_FAILED;
}

static void print_page(const struct status_options *o, const cJSON *status)
{
    struct screen s;
    screen_init(&s, STDOUT_FILENO);
    status_page(&s, status, o->all);
    if (buf_ok(&s.text))
        fwrite(s.text.data, 1, s.text.len, stdout);
    screen_fini(&s);
}

static int show_once(const struct status_options *o)
{
    struct runtime_status s;
    int err = runtime_read(o->runtime_dir, &s);
    if (err < 0)
        return say_why_not(err, o->runtime_dir);
    text_language(json_string(s.json, "language", "auto"));
    if (o->json)
        fputs(s.text, stdout);
    else
        print_page(o, s.json);
    int code = CMD_DONE;
    char age[32];
    if (!runtime_is_alive(&s)) {
        fprintf(stderr,
                _("fieldgate status: the gateway has ended; this is its last word, from %s ago; see its log: "
                  "journalctl -u fieldgate\n"),
                status_span(s.age_ms, age));
        code = CMD_FAILED;
    } else if (s.age_ms > STALE_MS) {
        fprintf(stderr, _("fieldgate status: the gateway has written nothing for %s; it may hang\n"),
                status_span(s.age_ms, age));
        code = CMD_FAILED;
    }
    runtime_free(&s);
    fflush(stdout);
    return code;
}

int cmd_status(int argc, char **argv)
{
    struct status_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    if (!o.watch)
        return show_once(&o);
    for (;;) {
        if (isatty(STDOUT_FILENO) == 1 && !o.json)
            printf("\033[H\033[2J");
        show_once(&o);
        if (ferror(stdout))
            return CMD_FAILED;
        sleep(WATCH_SECONDS);
    }
}
