/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_options.h"

#include <stdio.h>
#include <string.h>

#include "text.h"

int cmd_option(int argc, char **argv, const char *shorts, const struct option *longs)
{
    char quiet[32];
    snprintf(quiet, sizeof quiet, ":%s", shorts); /* a missing value is ':', and nothing is printed */
    int c = getopt_long(argc, argv, quiet, longs, NULL);
    if (c != ':' && c != '?')
        return c;
    const char *said = argv[optind - 1];
    if (c == ':')
        fprintf(stderr, _("fieldgate %s: option %s needs a value\n"), argv[0], said);
    else if (optopt == 0)
        fprintf(stderr, _("fieldgate %s: there is no option %s\n"), argv[0], said);
    else if (strncmp(said, "--", 2) == 0 && strchr(said, '='))
        fprintf(stderr, _("fieldgate %s: option %.*s takes no value\n"), argv[0], (int)strcspn(said, "="),
                said);
    else
        fprintf(stderr, _("fieldgate %s: there is no option -%c\n"), argv[0], optopt);
    return '?';
}
