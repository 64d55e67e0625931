/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_options.h"

#include <getopt.h>
#include <string.h>

#include "cmd.h"
#include "text.h"

enum { OPTIONS_MOST = 24, FIRST_OPTION = 256, HELP = 'h' };

/* The table as getopt_long() wants it. Its own words would be English on most boxes: the leading colon has it
 * report a missing value as ':' and print nothing. */
struct getopt_table {
    struct option longs[OPTIONS_MOST + 2];
    char shorts[2 * OPTIONS_MOST + 3];
};

static bool has_value(const struct cmd_option *o)
{
    return !o->flag;
}

static void make_table(const struct cmd_option *options, struct getopt_table *ret)
{
    size_t n = 0, length = 0;
    ret->shorts[length++] = ':';
    ret->shorts[length++] = HELP;
    for (; n < OPTIONS_MOST && options[n].name; n++) {
        const struct cmd_option *o = &options[n];
        ret->longs[n] = (struct option){o->name, has_value(o) ? required_argument : no_argument, NULL,
                                        FIRST_OPTION + (int)n};
        if (!o->letter)
            continue;
        ret->shorts[length++] = o->letter;
        if (has_value(o))
            ret->shorts[length++] = ':';
    }
    ret->shorts[length] = '\0';
    ret->longs[n] = (struct option){"help", no_argument, NULL, HELP};
    ret->longs[n + 1] = (struct option){NULL, 0, NULL, 0};
}

static const struct cmd_option *by_letter(const struct cmd_option *options, int letter)
{
    while (options->name && options->letter != letter)
        options++;
    return options;
}

static int refuse(const char *command)
{
    fprintf(stderr, _("`fieldgate %s --help` tells more\n"), command);
    return CMD_USAGE;
}

/* A cluster of letters (-xq) is left behind only after its last one: until then it is the next word. */
static const char *word_of(char **argv, int letter)
{
    const char *next = argv[optind];
    return next && next[0] == '-' && strchr(next, (char)letter) ? next : argv[optind - 1];
}

static int refuse_option(char **argv, int c)
{
    const char *said = argv[optind - 1]; /* of a long option */
    const bool is_long = optopt == 0 || optopt >= FIRST_OPTION || optopt == HELP;
    if (c == ':')
        fprintf(stderr, _("fieldgate %s: option %s needs a value\n"), argv[0], said);
    else if (optopt == 0)
        fprintf(stderr, _("fieldgate %s: there is no option %s\n"), argv[0], said);
    else if (is_long)
        fprintf(stderr, _("fieldgate %s: option %.*s takes no value\n"), argv[0], (int)strcspn(said, "="),
                said);
    else if (optopt > ' ' && optopt < 0x7f)
        fprintf(stderr, _("fieldgate %s: there is no option -%c\n"), argv[0], optopt);
    else /* a byte of a letter that has several */
        fprintf(stderr, _("fieldgate %s: there is no option %s\n"), argv[0], word_of(argv, optopt));
    return refuse(argv[0]);
}

static int take(const char *command, const struct cmd_option *o, const char *value)
{
    const char *expected = NULL;
    if (o->flag)
        *o->flag = true;
    else if (o->text)
        *o->text = value;
    else
        expected = o->take(value, o->arg);
    if (!expected)
        return CMD_GO_ON;
    fprintf(stderr, _("fieldgate %s: --%s \"%s\" is not understood; write %s\n"), command, o->name, value,
            expected);
    return refuse(command);
}

static int take_words(int argc, char **argv, const struct cmd_syntax *syntax)
{
    int count = argc - optind;
    const char *hint = syntax->words_hint;
    if (count < syntax->words_least)
        fprintf(stderr, "fieldgate %s: %s\n", argv[0], hint);
    else if (count > syntax->words_most)
        fprintf(stderr, _("fieldgate %s: unexpected \"%s\"%s%s\n"), argv[0],
                argv[optind + syntax->words_most], hint ? "; " : "", hint ? hint : "");
    else {
        for (int i = 0; i < count; i++)
            syntax->words[i] = argv[optind + i];
        return CMD_GO_ON;
    }
    return refuse(argv[0]);
}

int cmd_options_take(int argc, char **argv, const struct cmd_syntax *syntax)
{
    struct getopt_table table;
    make_table(syntax->options, &table);
    optind = 0; /* there may have been an earlier use */
    for (int c; (c = getopt_long(argc, argv, table.shorts, table.longs, NULL)) != -1;) {
        if (c == HELP) {
            syntax->help(stdout);
            return CMD_DONE;
        }
        if (c == ':' || c == '?')
            return refuse_option(argv, c);
        const struct cmd_option *o =
            c >= FIRST_OPTION ? &syntax->options[c - FIRST_OPTION] : by_letter(syntax->options, c);
        int code = take(argv[0], o, optarg);
        if (code != CMD_GO_ON)
            return code;
    }
    return take_words(argc, argv, syntax);
}
