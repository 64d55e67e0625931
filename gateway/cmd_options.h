/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_options - what stands behind a command's name, read by a table and explained in the technician's
 * language.
 *
 * Threads    Main thread only, like getopt itself.
 * Ownership  What is kept points into argv.
 * Errors     An exit code (cmd.h) after what is wrong and where to read more have been said on stderr.
 */
#ifndef FG_CMD_OPTIONS_H
#define FG_CMD_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/* One option. Of text, flag and take exactly one is set. */
struct cmd_option {
    const char *name;  /* without dashes; NULL: the end of the table */
    char letter;       /* short form; 0: none */
    const char **text; /* takes a value, which is put here */
    bool *flag;        /* takes none; set once it is said */
    /* Takes a value, once each time it is said. NULL: understood; else what to write instead, translated. */
    const char *(*take)(const char *value, void *arg);
    void *arg;
};

struct cmd_syntax {
    void (*help)(FILE *out);
    const struct cmd_option *options; /* --help and -h are added */
    const char **words;               /* what is no option, in its order */
    int words_least, words_most;
    const char *words_hint; /* translated; said when there are too few or too many; NULL: none */
};

enum { CMD_GO_ON = -1 };

/* argv[0] is the command's name. CMD_GO_ON: everything is in its place. Else the command ends with this code:
 * help was asked for and printed, or the usage is wrong. */
int cmd_options_take(int argc, char **argv, const struct cmd_syntax *syntax);

#endif
