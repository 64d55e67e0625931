/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_apply - checks the configuration, restarts the running gateway with it, and waits until it runs. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_runtime.h"
#include "config.h"
#include "health.h"
#include "json.h"
#include "text.h"

enum { WAIT_MS = 15000, LOOK_EVERY_US = 100 * 1000 };

struct apply_options {
    struct config_options config;
    const char *runtime_dir;
};

static void usage(FILE *out)
{
    fprintf(out,
            _("usage: fieldgate apply [--config FILE] [--profiles DIR] [--runtime-dir DIR]\n\n"
              "Checks the configuration; when it is good, restarts the running gateway, which takes about a "
              "second\n"
              "and loses nothing, and waits until it runs with it. A bad configuration changes nothing.\n"));
}

static int parse_options(int argc, char **argv, struct apply_options *o)
{
    *o = (struct apply_options){.config = {.path = CMD_DEFAULT_CONFIG},
                                .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config.path},
        {"profiles", .text = &o->config.profile_dir},
        {"runtime-dir", .text = &o->runtime_dir},
        {NULL},
    };
    return cmd_options_take(argc, argv, &(struct cmd_syntax){.help = usage, .options = options});
}

static int check(const struct apply_options *o)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct buf text = BUF_INIT;
    int err = config_load(&o->config, &config, &problems);
    config_problems_print(&problems, &text);
    if (text.len)
        fputs(text.data, stderr);
    if (err < 0)
        fprintf(stderr, _("%s: not applied: %zu error(s); the running gateway was not touched\n"),
                o->config.path, problems.errors);
    buf_fini(&text);
    config_problems_free(&problems);
    config_free(config);
    return err;
}

static int run_and_wait(char *const argv[])
{
    pid_t pid;
    int status;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool unit_is_active(void)
{
    char *const ask[] = {"systemctl", "is-active", "--quiet", "fieldgate.service", NULL};
    return health_systemd_runs() && run_and_wait(ask) == 0;
}

/* A gateway that runs on the last good configuration does not say which file it was given. */
static bool reads_another_file(const struct runtime_status *before, const char *path)
{
    const char *theirs = json_string(before->json, "config_path", "");
    struct stat a, b;
    if (strcmp(json_string(before->json, "config", ""), "current") != 0 || theirs[0] != '/')
        return false;
    return stat(theirs, &a) == 0 && stat(path, &b) == 0 && (a.st_dev != b.st_dev || a.st_ino != b.st_ino);
}

/* Under systemd the unit is restarted, because only that renews its credentials; else the process is told to
 * start itself again. */
static int restart(const struct runtime_status *before, const char *runtime_dir)
{
    if (strcmp(runtime_dir, CMD_DEFAULT_RUNTIME_DIR) == 0 && unit_is_active()) {
        char *const again[] = {"systemctl", "restart", "fieldgate.service", NULL};
        if (run_and_wait(again) == 0)
            return CMD_DONE;
        fprintf(stderr, _("fieldgate apply: `systemctl restart fieldgate` failed; run it as root\n"));
        return CMD_FAILED;
    }
    if (kill((pid_t)before->pid, SIGHUP) == 0)
        return CMD_DONE;
    fprintf(stderr,
            _("fieldgate apply: cannot tell process %lld to restart: %s; run this as root or as its user\n"),
            (long long)before->pid, text_errno(errno));
    return CMD_FAILED;
}

static int wait_for_new_start(const char *runtime_dir, int64_t started_before_ms)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (clock_mono_ms() < deadline) {
        struct runtime_status now;
        if (runtime_read(runtime_dir, &now) == 0) {
            bool is_new = now.started_ts != started_before_ms;
            bool current = strcmp(json_string(now.json, "config", ""), "current") == 0;
            runtime_free(&now);
            if (is_new && !current)
                break;
            if (is_new) {
                printf(_("applied: the gateway runs with the new configuration\n"));
                return CMD_DONE;
            }
        }
        usleep(LOOK_EVERY_US);
    }
    fprintf(stderr, _("fieldgate apply: the gateway did not come up with the new configuration; see its log "
                      "(journalctl -u fieldgate) and `fieldgate status`\n"));
    return CMD_FAILED;
}

int cmd_apply(int argc, char **argv)
{
    struct apply_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    if (check(&o) < 0)
        return CMD_CONFIG;
    struct runtime_status before;
    if (runtime_read(o.runtime_dir, &before) < 0 || !runtime_is_alive(&before)) {
        printf(_("%s: good, but no gateway is running that would use it; start it with `systemctl start "
                 "fieldgate`\n"),
               o.config.path);
        return CMD_DONE;
    }
    int64_t started = before.started_ts;
    if (reads_another_file(&before, o.config.path)) {
        fprintf(
            stderr,
            _("fieldgate apply: %s is good, but the running gateway reads %s, which was not changed; name "
              "that file, or copy the new one there\n"),
            o.config.path, json_string(before.json, "config_path", "?"));
        runtime_free(&before);
        return CMD_FAILED;
    }
    code = restart(&before, o.runtime_dir);
    runtime_free(&before);
    return code == CMD_DONE ? wait_for_new_start(o.runtime_dir, started) : code;
}
