/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run - the service: reads the configuration (or falls back to the last good one), runs until told to
 * stop. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_runtime.h"
#include "config.h"
#include "gateway.h"
#include "health.h"
#include "heap.h"
#include "log.h"
#include "store.h"
#include "text.h"
#include "uplink_backoff.h"

struct run_options {
    char **argv; /* main()'s own */
    const char *config_path;
    const char *profile_dir;
    const char *runtime_dir;
    const char *state_dir; /* NULL: systemd's, else the folder of store.path */
    bool debug;
};

/* A configuration in force: the given one, or the last good one. */
struct run_config {
    struct config *config;
    char path[PATH_MAX];
    const char *state; /* "current" or "fallback" */
};

enum run_end { RUN_STOP, RUN_AGAIN };

enum { HEAP_LOOK_EVERY_S = 10 };

static void usage(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate run [--config FILE] [--profiles DIR] [--state-dir DIR] [--runtime-dir DIR] "
          "[--debug]\n\n"
          "Polls the configured devices, keeps every reading and forwards it to the brokers, until SIGTERM.\n"
          "An invalid configuration is reported line by line; the last good one is then used, if there is "
          "one.\n\n"
          "  --config FILE      the configuration (%s)\n"
          "  --profiles DIR     device profiles (profiles/ beside the file, then %s/profiles)\n"
          "  --state-dir DIR    identity and last good configuration (folder of store.path; under systemd\n"
          "                     its state folder)\n"
          "  --runtime-dir DIR  status.json, metrics.prom and control (%s)\n"
          "  --debug            more log lines\n"),
        CMD_DEFAULT_CONFIG, FG_SHARE, CMD_DEFAULT_RUNTIME_DIR);
}

static int parse_options(int argc, char **argv, struct run_options *o)
{
    *o = (struct run_options){.argv = argv - 1, /* main() passed us the tail of it */
                              .config_path = CMD_DEFAULT_CONFIG,
                              .runtime_dir = CMD_DEFAULT_RUNTIME_DIR};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config_path},
        {"profiles", .text = &o->profile_dir},
        {"state-dir", .text = &o->state_dir},
        {"runtime-dir", .text = &o->runtime_dir},
        {"debug", .flag = &o->debug},
        {NULL},
    };
    return cmd_options_take(argc, argv, &(struct cmd_syntax){.help = usage, .options = options});
}

/* ---- configuration ---- */

static void log_problems(const struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *p = &problems->items[i];
        const char *code = p->warning ? "FG-CONFIG-WARNING" : "FG-CONFIG-BAD";
        char place[32] = "";
        if (p->line > 0)
            snprintf(place, sizeof place, ":%d:%d", p->line, p->column);
        log_line(p->warning ? LOG_PRI_WARNING : LOG_PRI_ERROR, code, "%s%s: %s", p->file, place, p->text);
    }
}

static int load_logged(const struct config_options *options, struct config **ret)
{
    struct config_problems problems = {0};
    int err = config_load(options, ret, &problems);
    log_problems(&problems);
    config_problems_free(&problems);
    return err;
}

/* Where identity and last good configuration live when the file cannot tell. */
static const char *given_state_dir(const struct run_options *o)
{
    if (o->state_dir)
        return o->state_dir;
    const char *systemd = getenv("STATE_DIRECTORY");
    return systemd && *systemd ? systemd : NULL;
}

static void state_dir_of(const struct run_options *o, const struct config *c, char ret[PATH_MAX])
{
    const char *given = given_state_dir(o);
    snprintf(ret, PATH_MAX, "%s", given ? given : c->store.path);
    if (given)
        return;
    char *slash = strrchr(ret, '/');
    if (!slash)
        snprintf(ret, PATH_MAX, ".");
    else
        slash[slash == ret ? 1 : 0] = '\0';
}

static void say_fallback(const struct run_options *o, struct run_config *rc)
{
    rc->state = "fallback";
    log_line(LOG_PRI_ERROR, "FG-CONFIG-FALLBACK",
             "%s: cannot be used; running on the last good configuration %s; correct the lines named above, "
             "then run `fieldgate apply`",
             o->config_path, rc->path);
}

static int load_fallback(const struct run_options *o, struct run_config *ret)
{
    const char *dir = given_state_dir(o) ? given_state_dir(o) : CMD_DEFAULT_STATE_DIR;
    if (config_kept_path(dir, ret->path, sizeof ret->path) < 0) {
        log_line(LOG_PRI_ERROR, "FG-CONFIG-BAD",
                 "%s: cannot be used, and no earlier good configuration is kept in %s; correct the lines "
                 "named above "
                 "and start again",
                 o->config_path, dir);
        return FG_EINVALID;
    }
    /* A password that is gone must not silence the farm: its uplink waits for it, the rest goes on. */
    struct config_options options = {.path = ret->path, .secrets_optional = true};
    int err = load_logged(&options, &ret->config);
    if (err < 0)
        return err;
    say_fallback(o, ret);
    return 0;
}

static int load_config(const struct run_options *o, struct run_config *ret)
{
    struct config_options options = {
        .path = o->config_path, .profile_dir = o->profile_dir, .secrets_required = true};
    int err = load_logged(&options, &ret->config);
    if (err == FG_EINVALID || err == FG_ENOTFOUND || err == FG_EIO)
        return load_fallback(o, ret);
    snprintf(ret->path, sizeof ret->path, "%s", o->config_path);
    ret->state = "current";
    return err;
}

static void keep_config(const struct run_options *o, const struct run_config *rc, const char *state_dir)
{
    if (strcmp(rc->state, "current") != 0)
        return;
    struct config_options options = {.path = o->config_path, .profile_dir = o->profile_dir};
    if (config_keep(&options, rc->config, state_dir) < 0)
        log_line(LOG_PRI_WARNING, "FG-CONFIG-WARNING",
                 "%s: the last good configuration cannot be kept there; check the folder's owner and space",
                 state_dir);
}

/* ---- running ---- */

/* The texts keep their memory from one second to the next. */
struct status_files {
    struct buf json, metrics;
    bool said; /* that they cannot be written */
};

static void write_status(struct gateway *g, const char *runtime_dir, struct status_files *f)
{
    struct err_note note = {0};
    buf_reset(&f->json);
    buf_reset(&f->metrics);
    gateway_status(g, &f->json, &f->metrics);
    int err = health_write_file(runtime_dir, "status.json", &f->json, &note);
    if (err == 0)
        err = health_write_file(runtime_dir, "metrics.prom", &f->metrics, &note);
    if (err < 0 && !f->said)
        log_line(LOG_PRI_WARNING, "FG-STATUS", "%s; `fieldgate status` cannot work; check --runtime-dir",
                 note.text);
    f->said = err < 0;
}

static void say_summary(struct gateway *g, void (*say)(const char *))
{
    struct buf text = BUF_INIT;
    gateway_summary(g, &text);
    if (buf_ok(&text))
        say(text.data);
    buf_fini(&text);
}

/* Until a signal comes: which it was. */
static int serve_until_signal(struct gateway *g, const struct run_options *o, const sigset_t *signals,
                              struct status_files *files)
{
    write_status(g, o->runtime_dir, files);
    say_summary(g, health_ready);
    for (unsigned rounds = 1;; rounds++) {
        struct timespec second = {.tv_sec = 1};
        int sig = sigtimedwait(signals, NULL, &second);
        if (sig > 0)
            return sig;
        if (gateway_tick(g))
            health_feed_watchdog();
        write_status(g, o->runtime_dir, files);
        say_summary(g, health_say);
        if (rounds % HEAP_LOOK_EVERY_S == 0)
            heap_look();
    }
}

static enum run_end serve(struct gateway *g, const struct run_options *o, const sigset_t *signals)
{
    struct status_files files = {BUF_INIT, BUF_INIT, false};
    int sig = serve_until_signal(g, o, signals, &files);
    buf_fini(&files.json);
    buf_fini(&files.metrics);
    log_line(LOG_PRI_INFO, "FG-STOP", "signal=%s: %s", strsignal(sig),
             sig == SIGHUP ? _("starting again with the configuration as it is now") : _("stopping"));
    return sig == SIGHUP ? RUN_AGAIN : RUN_STOP;
}

/* A time that tests shorten. */
static int64_t time_of(const char *variable, int64_t otherwise_ms)
{
    const char *text = getenv(variable);
    return text ? strtoll(text, NULL, 10) : otherwise_ms;
}

/* A fresh process image: nothing of the old configuration can linger. The main process id stays. The signals
 * stay blocked: one that comes before the new image waits for them must not end it. */
static int start_again(const struct run_options *o)
{
    text_forget_language();
    execv("/proc/self/exe", o->argv);
    log_line(LOG_PRI_ERROR, "FG-START", "cannot start again: %s", text_errno(errno));
    return CMD_FAILED;
}

static int run_gateway(const struct run_options *o, struct run_config *rc, const sigset_t *signals,
                       enum run_end *ret_end)
{
    char state_dir[PATH_MAX], id[64];
    struct err_note note = {0};
    state_dir_of(o, rc->config, state_dir);
    bool kept = gateway_id(rc->config, state_dir, id, sizeof id, &note) == 0;
    if (!kept)
        log_line(
            LOG_PRI_ERROR, "FG-ID",
            "gateway=%s: this id was made just now and cannot be kept: %s; until it is, each start makes "
            "another one: free space or check the folder's owner, or set gateway.id in the configuration",
            id, note.text);
    if (config_expand(rc->config, id) < 0)
        return CMD_FAILED;
    struct gateway_options options = {
        .config = rc->config,
        .gateway_id = id,
        .id_not_kept = !kept,
        .config_path = rc->path,
        .config_state = rc->state,
        .state_dir = state_dir,
        .runtime_dir = o->runtime_dir,
        /* Thousands of gateways lose a broker in the same second: they return spread over 20 s. */
        .first_retry_max_ms = time_of("FG_FIRST_RETRY_MAX_MS", UPLINK_BACKOFF_LOST_MS),
        .refusal_first_ms = time_of("FG_REFUSAL_FIRST_MS", 0),
        .return_every_ms = time_of("FG_RETURN_EVERY_MS", 0),
    };
    struct gateway *g = NULL;
    /* systemd makes it; by hand it may be missing; a failure shows when it is used */
    mkdir(o->runtime_dir, 0755);
    int err = gateway_new(&options, &g, &note);
    if (err == 0)
        err = gateway_start(g, &note);
    if (err < 0) {
        log_line(LOG_PRI_ERROR, "FG-START", "cannot start: %s", note.text);
        if (g && gateway_stop(g))
            gateway_free(g);
        return CMD_FAILED;
    }
    log_line(LOG_PRI_INFO, "FG-START", "gateway=%s version=%s config=%s: running", id, FG_VERSION, rc->path);
    keep_config(o, rc, state_dir);
    *ret_end = serve(g, o, signals);
    health_stopping();
    if (!gateway_stop(g)) /* a thread is still inside the resolver and uses what gateway_free() would free */
        _exit(*ret_end == RUN_AGAIN ? start_again(o) : CMD_DONE);
    gateway_free(g);
    return CMD_DONE;
}

/* A configuration without a mistake may still be one that nothing can run with: store.path names a folder
 * that is not there. Worth a try only where the last good one keeps its readings elsewhere. */
static bool fall_back(const struct run_options *o, struct run_config *rc)
{
    const char *dir = given_state_dir(o) ? given_state_dir(o) : CMD_DEFAULT_STATE_DIR;
    struct run_config good = {0};
    struct config_options options = {.path = good.path, .secrets_optional = true};
    struct config_problems problems = {0};
    if (strcmp(rc->state, "current") != 0 || config_kept_path(dir, good.path, sizeof good.path) < 0)
        return false;
    int err = config_load(&options, &good.config, &problems);
    config_problems_free(&problems);
    if (err < 0 || strcmp(good.config->store.path, rc->config->store.path) == 0) {
        config_free(good.config);
        return false;
    }
    say_fallback(o, &good);
    config_free(rc->config);
    *rc = good;
    return true;
}

int cmd_run(int argc, char **argv)
{
    struct run_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    heap_begin();
    store_begin();
    log_init(o.debug);
    umask(0027);
    prctl(PR_SET_NAME, CMD_PROCESS_NAME); /* after a restart on SIGHUP the kernel would say "exe" */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before the first thread, so that all inherit it */

    struct run_config rc = {0};
    if (load_config(&o, &rc) < 0)
        return CMD_CONFIG;
    enum run_end end = RUN_STOP;
    code = run_gateway(&o, &rc, &signals, &end);
    if (code == CMD_FAILED && fall_back(&o, &rc))
        code = run_gateway(&o, &rc, &signals, &end);
    config_free(rc.config);
    return code == CMD_DONE && end == RUN_AGAIN ? start_again(&o) : code;
}
