/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit - what every unit test includes first: cmocka with what it needs, a folder of one's own, and how much
 * memory this process takes.
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

static inline int unit_threads(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

/* A library's thread that dies while the process ends leaves what only it could have freed, which a sanitizer
 * then takes for a leak. */
static inline void unit_await_threads(int most)
{
    for (int i = 0; i < 1000 && unit_threads() > most; i++)
        usleep(10000);
    assert_true(unit_threads() <= most);
}

/* KiB of this process that no file backs. */
static inline long unit_anonymous_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        sscanf(line, "Anonymous: %ld", &kb);
    fclose(f);
    return kb;
}

#endif
