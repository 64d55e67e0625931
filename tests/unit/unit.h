/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit - what every unit test includes first: cmocka with what it needs, and a folder of one's own.
 *
 * Threads    Test thread only.
 * Ownership  unit_folder() gives a path that unit_remove_folder() removes with all it holds.
 * Errors     Fail the test.
 */
#ifndef FG_UNIT_H
#define FG_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void unit_folder(char ret[64])
{
    snprintf(ret, 64, "/tmp/fieldgate-unit-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

static inline void unit_remove_folder(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char inside[1024];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof inside, "%s/%s", path, e->d_name);
        if (lstat(inside, &st) == 0 && S_ISDIR(st.st_mode))
            unit_remove_folder(inside);
        else
            unlink(inside);
    }
    closedir(d);
    rmdir(path);
}

#endif
