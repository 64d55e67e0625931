/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_options - getopt_long() that says in the technician's language what is wrong with an option.
 *
 * Threads    Main thread only, like getopt itself.
 * Ownership  Nothing is kept but getopt's own variables.
 * Errors     '?' after one line on stderr; the caller shows the usage.
 */
#ifndef FG_CMD_OPTIONS_H
#define FG_CMD_OPTIONS_H

#include <getopt.h>

/* As getopt_long(); argv[0] is the command's name. libc's own words would be English on most boxes. */
int cmd_option(int argc, char **argv, const char *shorts, const struct option *longs);

#endif
