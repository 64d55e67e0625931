/* SPDX-License-Identifier: Apache-2.0 */
/* fieldgate profiles: which device models are known, and all about one of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_options.h"
#include "cmd_profiles.h"
#include "config_problem.h"
#include "err.h"
#include "text.h"

struct profiles_options {
    struct config_options config;
    const char *word; /* NULL: all */
};

/* What stands in the table. */
struct found {
    struct config_profile **items;
    size_t count;
};

static void print_help(FILE *out)
{
    fprintf(
        out,
        _("usage: fieldgate profiles [--config FILE] [--profiles DIR] [WORD]\n"
          "\n"
          "Lists the device models that the gateway can read: your own profiles, then the installed ones.\n"
          "With a word only those that have it in their name, title or manufacturer; accents and capital\n"
          "letters do not matter. With the exact name of a profile all that it says: factory settings,\n"
          "wires, notes, and each point with its register.\n"
          "\n"
          "  --config FILE    the folder `profiles` beside it holds your own profiles;\n"
          "                   %s unless said\n"
          "  --profiles DIR   the only folder to look for profiles in\n"
          "\n"
          "exit: 0 done, 1 nothing was found, 78 a profile has errors, 64 wrong usage\n"),
        CMD_DEFAULT_CONFIG);
}

static int parse_options(int argc, char **argv, struct profiles_options *o)
{
    *o = (struct profiles_options){.config.path = CMD_DEFAULT_CONFIG};
    const struct cmd_option options[] = {
        {"config", 'c', .text = &o->config.path},
        {"profiles", .text = &o->config.profile_dir},
        {NULL},
    };
    return cmd_options_take(argc, argv,
                            &(struct cmd_syntax){.help = print_help,
                                                 .options = options,
                                                 .words = &o->word,
                                                 .words_most = 1,
                                                 .words_hint = _("write one word, or several in quotes")});
}

static void print_problems(const struct config_problems *problems)
{
    struct buf text = BUF_INIT;
    config_problems_print(problems, &text);
    if (text.len > 0 && buf_ok(&text))
        fputs(text.data, stderr);
    buf_fini(&text);
}

/* FG_ENOMEM also when the text could not be put together. */
static int print_text(const struct buf *text)
{
    if (!buf_ok(text))
        return FG_ENOMEM;
    return fputs(text->data, stdout) == EOF || fflush(stdout) == EOF ? FG_EIO : 0;
}

static int print_sheet(const struct config_folders *folders, const struct config_profile *p)
{
    char path[4224];
    struct buf text = BUF_INIT;
    int err = config_profile_find(folders->list, p->name, path, sizeof(path));
    cmd_profiles_sheet(p, err == 0 ? path : "-", &text);
    err = print_text(&text);
    buf_fini(&text);
    return err;
}

/* ---- the table ---- */

enum { COLUMN_NAME, COLUMN_POINTS, COLUMN_MATURITY, COLUMN_MANUFACTURER, COLUMN_TITLE, COLUMN_COUNT };

static void fill_row(const struct config_profile *p, const char *cells[COLUMN_COUNT], char count[24])
{
    snprintf(count, 24, "%zu", p->point_count);
    cells[COLUMN_NAME] = p->name;
    cells[COLUMN_POINTS] = count;
    cells[COLUMN_MATURITY] = p->tested ? _("tested") : _("manual");
    cells[COLUMN_MANUFACTURER] = p->manufacturer ? p->manufacturer : "";
    cells[COLUMN_TITLE] = p->title;
}

static void widen(int widths[COLUMN_COUNT], const char *const cells[COLUMN_COUNT])
{
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (cmd_profiles_width(cells[c]) > widths[c])
            widths[c] = cmd_profiles_width(cells[c]);
}

/* The title stands last: it is the longest, and may break where the terminal ends. */
static void add_row(struct buf *out, const int widths[COLUMN_COUNT], const char *const cells[COLUMN_COUNT])
{
    for (int c = 0; c < COLUMN_COUNT; c++) {
        int space = widths[c] - cmd_profiles_width(cells[c]);
        bool number = c == COLUMN_POINTS;
        buf_addf(out, "%*s%s", number ? space : 0, "", cells[c]);
        if (c < COLUMN_TITLE)
            buf_addf(out, "%*s", (number ? 0 : space) + 2, "");
    }
    buf_addc(out, '\n');
}

static int print_table(const struct found *f)
{
    const char *const head[COLUMN_COUNT] = {_("PROFILE"), _("POINTS"), _("MATURITY"), _("MANUFACTURER"),
                                            _("TITLE")};
    const char *cells[COLUMN_COUNT];
    char count[24];
    int widths[COLUMN_COUNT] = {0};
    struct buf text = BUF_INIT;
    widen(widths, head);
    for (size_t i = 0; i < f->count; i++) {
        fill_row(f->items[i], cells, count);
        widen(widths, cells);
    }
    add_row(&text, widths, head);
    for (size_t i = 0; i < f->count; i++) {
        fill_row(f->items[i], cells, count);
        add_row(&text, widths, cells);
    }
    int err = print_text(&text);
    buf_fini(&text);
    return err;
}

/* ---- looking ---- */

/* 1: the folded text holds the folded word; 0: not; FG_ENOMEM. */
static int holds(const char *text, const char *word)
{
    struct buf in = BUF_INIT, what = BUF_INIT;
    cmd_profiles_fold(text, &in);
    cmd_profiles_fold(word, &what);
    int ret = buf_ok(&in) && buf_ok(&what) ? strstr(in.data, what.data) != NULL : FG_ENOMEM;
    buf_fini(&in);
    buf_fini(&what);
    return ret;
}

static int fits(const struct config_profile *p, const char *word)
{
    const char *const texts[] = {p->name, p->title, p->manufacturer};
    int ret = word ? 0 : 1;
    for (size_t i = 0; i < 3 && ret == 0; i++)
        ret = texts[i] ? holds(texts[i], word) : 0;
    return ret;
}

static bool is_one_of(const char *word, char **names, size_t count)
{
    for (size_t i = 0; word && i < count; i++)
        if (strcmp(names[i], word) == 0)
            return true;
    return false;
}

/* Profiles with errors are reported, not found. exact: only the name itself. */
static int look(const struct config_folders *folders, const char *word, bool exact, char **names,
                size_t count, struct found *ret, struct config_problems *problems)
{
    ret->items = calloc(count + 1, sizeof(struct config_profile *));
    if (!ret->items)
        return FG_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct config_profile *p = NULL;
        if (exact && strcmp(names[i], word) != 0)
            continue;
        int err = config_profile_read(folders->list, names[i], &p, NULL, problems);
        if (err == FG_ENOMEM)
            return err;
        int fit = err == 0 ? fits(p, exact ? NULL : word) : 0;
        if (fit > 0)
            ret->items[ret->count++] = p;
        else
            config_profile_free(p);
        if (fit < 0)
            return fit;
    }
    return 0;
}

static void print_nothing(const struct config_folders *folders, const char *word, char **names, size_t count)
{
    struct config_near near;
    if (count == 0) {
        fprintf(stderr,
                _("fieldgate profiles: there are no profiles in %s%s%s; name their folder with --profiles\n"),
                folders->list[0], folders->list[1] ? _(" or ") : "",
                folders->list[1] ? folders->list[1] : "");
        return;
    }
    if (!word)
        return; /* all of them have errors, which were told */
    config_near_begin(&near, word);
    for (size_t i = 0; i < count; i++)
        config_near_try(&near, names[i]);
    fprintf(stderr, _("fieldgate profiles: no name, title or manufacturer has \"%s\""), word);
    if (near.best)
        fprintf(stderr, _("; did you mean \"%s\"?\n"), near.best);
    else
        fprintf(stderr, _("; `fieldgate profiles` lists all %zu\n"), count);
}

static int list(const struct profiles_options *o, const struct config_folders *folders, char **names,
                size_t count, struct found *found, struct config_problems *problems)
{
    bool exact = is_one_of(o->word, names, count);
    int err = look(folders, o->word, exact, names, count, found, problems);
    if (err < 0)
        return err;
    config_problems_sort(problems, folders->list[0]);
    print_problems(problems);
    if (found->count == 0 && !exact)
        print_nothing(folders, o->word, names, count);
    else if (exact && found->count == 1)
        err = print_sheet(folders, found->items[0]);
    else if (found->count > 0)
        err = print_table(found);
    return err;
}

int cmd_profiles(int argc, char **argv)
{
    struct profiles_options o;
    int code = parse_options(argc, argv, &o);
    if (code != CMD_GO_ON)
        return code;
    struct config_folders folders;
    struct config_problems problems = {0};
    struct found found = {0};
    char **names = NULL;
    size_t count = 0;
    config_profile_folders(&o.config, &folders);
    int err = config_profile_names(folders.list, &names, &count);
    if (err == 0)
        err = list(&o, &folders, names, count, &found, &problems);
    if (err < 0)
        fprintf(stderr, "fieldgate profiles: %s\n", err_text(err));
    code = err < 0 ? CMD_FAILED : problems.errors > 0 ? CMD_CONFIG : found.count == 0 ? CMD_FAILED : CMD_DONE;
    for (size_t i = 0; i < found.count; i++)
        config_profile_free(found.items[i]);
    free(found.items);
    config_profile_names_free(names, count);
    config_problems_free(&problems);
    return code;
}
