/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate export: what was measured, from the gateway's own database, as CSV or JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cmd.h"
#include "cmd_export_format.h"
#include "cmd_export_out.h"
#include "cmd_export_time.h"
#include "cmd_options.h"
#include "config.h"
#include "config_problem.h"
#include "json.h"
#include "text.h"

enum { PROGRESS_AFTER_MS = 1000, PROGRESS_EVERY_MS = 250 };

struct arguments {
    struct config_options config;
    const char *database, *device, *output;
    const char *from_text, *to_text;
    int64_t from_ms, to_ms; /* from <= ts < to */
    enum cmd_export_format format;
};

struct export
{
    const struct arguments *args;
    struct store_export *store;
    struct cmd_export_out out;
    struct err_note note;
    struct layout *layout; /* of layout_id; NULL: lost */
    uint32_t layout_id;
    uint64_t lines, damaged, damaged_first, damaged_last, untrusted_left_out;
    int64_t first_ms, last_ms; /* of what is in the database, in its order */
    bool any;
    int64_t begun_mono_ms, shown_mono_ms;
};

static void print_help(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate export [--from TIME] [--to TIME] [--device NAME] [--format csv|jsonl]\n"
          "                        [--output FILE] [--config FILE | --database FILE]\n"
          "\n"
          "Writes what was measured, from the database on this gateway, whether it was sent or not. The "
          "gateway\n"
          "may run meanwhile. Needs root or the group fieldgate.\n"
          "\n"
          "  --from TIME      the first moment; default: the beginning\n"
          "  --to TIME        the end; a day alone includes that day; default: all\n"
          "  --device NAME    only this device, and no events\n"
          "  --format WORD    csv (RFC 4180; the default) or jsonl (one JSON object a line)\n"
          "  --output FILE    instead of standard output; it is on the medium when the command ends\n"
          "  --database FILE  another database, such as a copy (copy FILE-wal with it)\n"
          "  --config FILE    instead of %s\n"
          "  --profiles DIR   the only folder to look for profiles in\n"
          "\n"
          "TIME: 2026-11-21, \"2026-11-21 07:00\" (the time zone of this box), 2026-11-21T07:00:00Z,\n"
          "or so long ago: 90s 30min 24h 7d\n"
          "\n"
          "exit: 0 done, 1 failed or something could not be read, 64 wrong usage, 78 the configuration has "
          "errors\n"),
        CMD_DEFAULT_CONFIG);
}

/* ---- arguments ---- */

static bool parse_time(const char *name, const char *text, bool end, int64_t *ret_ms)
{
    if (!text || cmd_export_time_parse(text, clock_wall_ms(), end, ret_ms) == 0)
        return true;
    fprintf(stderr,
            _("fieldgate export: %s: \"%s\" is not a time; write 2026-11-21, \"2026-11-21 07:00\", "
              "2026-11-21T07:00:00Z, 24h or 7d\n"),
            name, text);
    return false;
}

static const char *take_format(const char *word, void *arg)
{
    enum cmd_export_format *format = arg;
    *format = strcmp(word, "jsonl") == 0 ? CMD_EXPORT_JSONL : CMD_EXPORT_CSV;
    return *format == CMD_EXPORT_JSONL || strcmp(word, "csv") == 0 ? NULL : _("csv or jsonl");
}

static bool check_times(struct arguments *a)
{
    a->from_ms = INT64_MIN;
    a->to_ms = INT64_MAX;
    if (!parse_time("--from", a->from_text, false, &a->from_ms) ||
        !parse_time("--to", a->to_text, true, &a->to_ms))
        return false;
    if (a->from_ms < a->to_ms)
        return true;
    fprintf(stderr, _("fieldgate export: --from is not before --to\n"));
    return false;
}

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){.config = {.path = CMD_DEFAULT_CONFIG}};
    const struct cmd_option options[] = {
        {"from", .text = &a->from_text},
        {"to", .text = &a->to_text},
        {"device", .text = &a->device},
        {"format", .take = take_format, .arg = &a->format},
        {"output", 'o', .text = &a->output},
        {"database", .text = &a->database},
        {"config", 'c', .text = &a->config.path},
        {"profiles", .text = &a->config.profile_dir},
        {NULL},
    };
    const struct cmd_syntax syntax = {
        .help = print_help, .options = options, .words_hint = _("times with a space need quotes")};
    int code = cmd_options_take(argc, argv, &syntax);
    return code == CMD_GO_ON && !check_times(a) ? CMD_USAGE : code;
}

/* The store's path by the configuration; NULL when it cannot be read, which has been explained. */
static char *configured_database(const struct config_options *options, int *ret_code)
{
    struct config_problems problems = {0};
    struct config *config;
    char *path = NULL;
    int err = config_load(options, &config, &problems);
    if (err == 0) {
        path = strdup(config->store.path);
        config_free(config);
    } else {
        fprintf(stderr,
                _("fieldgate export: %s cannot be used (`fieldgate check` says why); name the database: "
                  "--database %s/buffer.db\n"),
                options->path, CMD_DEFAULT_STATE_DIR);
    }
    config_problems_free(&problems);
    *ret_code = err == FG_EINVALID ? CMD_CONFIG : CMD_FAILED;
    return path;
}

/* ---- devices ---- */

static void use_layout(struct export *x, uint32_t id)
{
    struct buf text = BUF_INIT;
    if (id == x->layout_id)
        return;
    layout_free(x->layout);
    x->layout = NULL;
    x->layout_id = id;
    if (store_export_layout(x->store, id, &text) == 0 && layout_parse(text.data, text.len, &x->layout) < 0)
        x->layout = NULL;
    buf_fini(&text);
}

static bool has_device(const struct layout *l, const char *name)
{
    for (size_t i = 0; l && i < layout_device_count(l); i++)
        if (strcmp(layout_device_name(l, i), name) == 0)
            return true;
    return false;
}

/* Of all layouts, newest last: a device that was taken away still has its history. */
static bool is_known(struct export *x, const char *device)
{
    struct config_near near;
    config_near_begin(&near, device);
    for (uint32_t id = 0; (id = store_export_next_layout(x->store, id)) != 0;) {
        use_layout(x, id);
        if (has_device(x->layout, device))
            return true;
    }
    fprintf(stderr, _("fieldgate export: no device \"%s\" was ever measured here"), device);
    for (size_t i = 0; x->layout && i < layout_device_count(x->layout); i++)
        config_near_try(&near, layout_device_name(x->layout, i));
    if (near.best)
        fprintf(stderr, _("; did you mean \"%s\"?"), near.best);
    fprintf(stderr, "\n");
    for (size_t i = 0; x->layout && i < layout_device_count(x->layout); i++)
        fprintf(stderr, "  %s\n", layout_device_name(x->layout, i));
    return false;
}

/* ---- records ---- */

static bool is_untrusted(const struct store_export_record *r)
{
    return r->extra_len > 0 && strstr(r->extra, "\"clock\":\"untrusted\"") != NULL;
}

static bool is_wanted(struct export *x, const struct store_export_record *r)
{
    const struct arguments *a = x->args;
    if (a->device) {
        const char *device = NULL;
        if (!r->is_event) {
            use_layout(x, r->layout);
            device = x->layout ? layout_device_name(x->layout, r->device) : NULL;
        }
        if (!device || strcmp(device, a->device) != 0)
            return false;
    }
    bool inside = r->ts_ms >= a->from_ms && r->ts_ms < a->to_ms;
    x->untrusted_left_out += !inside && is_untrusted(r);
    return inside;
}

static int export_batch(struct export *x, const struct store_export_batch *b)
{
    int err = 0;
    for (size_t i = 0; i < b->count && !err; i++) {
        const struct store_export_record *r = &b->records[i];
        if (!x->any)
            x->first_ms = r->ts_ms;
        x->any = true;
        x->last_ms = r->ts_ms;
        if (!is_wanted(x, r))
            continue;
        use_layout(x, r->layout);
        x->lines += cmd_export_format_record(x->args->format, x->layout, r, &x->out.text);
        err = cmd_export_out_record(&x->out, r->ts_ms, &x->note);
    }
    if (b->damaged && !x->damaged)
        x->damaged_first = b->damaged_first;
    if (b->damaged)
        x->damaged_last = b->damaged_last;
    x->damaged += b->damaged;
    return err;
}

static void show_progress(struct export *x, uint64_t done, uint64_t all)
{
    int64_t now = clock_mono_ms();
    if (now - x->begun_mono_ms < PROGRESS_AFTER_MS || now - x->shown_mono_ms < PROGRESS_EVERY_MS ||
        !isatty(STDERR_FILENO))
        return;
    x->shown_mono_ms = now;
    fputc('\r', stderr);
    fprintf(stderr, _("%3d %%  %" PRIu64 " lines "), (int)(done * 100 / all), x->lines);
}

static int export_all(struct export *x)
{
    uint64_t first, last;
    int err = store_export_range(x->store, &first, &last, &x->note);
    if (err)
        return err;
    cmd_export_format_head(x->args->format, &x->out.text);
    for (uint64_t seq = first; seq <= last && !err;) {
        const struct store_export_batch *b;
        err = store_export_read(x->store, seq, last, &b, &x->note);
        if (err)
            break;
        seq = b->next;
        err = export_batch(x, b);
        if (!err && seq <= last)
            show_progress(x, seq - first, last - first + 1);
    }
    if (x->shown_mono_ms)
        fprintf(stderr, "\r\033[K");
    return err;
}

/* ---- the end ---- */

static void say_failure(const struct export *x, int err)
{
    char time[CMD_EXPORT_TIME_TEXT] = "";
    if (err == FG_ECLOSED) /* `| head` */
        return;
    fprintf(stderr, "fieldgate export: %s\n", x->note.text[0] ? x->note.text : err_text(err));
    if (!x->out.path || err == FG_EINVALID)
        return;
    if (x->out.records > 0)
        cmd_export_time_format(x->out.last_ms, time);
    fprintf(stderr, _("fieldgate export: %s ends after %" PRIu64 " whole records%s%s\n"), x->out.path,
            x->out.records, time[0] ? _("; go on elsewhere with --from ") : "", time);
}

static void say_summary(const struct export *x)
{
    char first[CMD_EXPORT_TIME_TEXT], last[CMD_EXPORT_TIME_TEXT];
    if (x->out.path)
        printf(_("%s: %" PRIu64 " lines\n"), x->out.path, x->lines);
    if (x->untrusted_left_out)
        fprintf(stderr,
                _("fieldgate export: %" PRIu64
                  " records of a time when the clock was not set lie outside this range; "
                  "without --from and --to they are included\n"),
                x->untrusted_left_out);
    if (x->damaged)
        fprintf(stderr,
                _("fieldgate export: %" PRIu64 " records between seq %" PRIu64 " and %" PRIu64
                  " are damaged and were left out\n"),
                x->damaged, x->damaged_first, x->damaged_last);
    if (x->lines > 0)
        return;
    cmd_export_time_format(x->first_ms, first);
    cmd_export_time_format(x->last_ms, last);
    if (x->any)
        fprintf(stderr,
                _("fieldgate export: nothing in this range; the database has records from %s to %s\n"), first,
                last);
    else
        fprintf(stderr, _("fieldgate export: the database has no records yet\n"));
}

static int run(struct export *x, const char *database)
{
    x->begun_mono_ms = clock_mono_ms();
    int err = store_export_open(database, &x->store, &x->note);
    if (err) {
        say_failure(x, err);
        return CMD_FAILED;
    }
    if (x->args->device && !is_known(x, x->args->device))
        return CMD_FAILED;
    err = cmd_export_out_open(&x->out, x->args->output, database, &x->note);
    if (!err)
        err = cmd_export_out_close(&x->out, export_all(x), &x->note);
    if (err)
        say_failure(x, err);
    else
        say_summary(x);
    return err || x->damaged ? CMD_FAILED : CMD_DONE;
}

int cmd_export(int argc, char **argv)
{
    struct arguments args;
    int code = parse_arguments(argc, argv, &args);
    if (code != CMD_GO_ON)
        return code;
    struct export x = {.args = &args};
    char *configured = args.database ? NULL : configured_database(&args.config, &code);
    const char *database = args.database ? args.database : configured;
    if (database)
        code = run(&x, database);
    layout_free(x.layout);
    store_export_close(x.store);
    free(configured);
    return code;
}
