/* SPDX-License-Identifier: Apache-2.0 */
#include "scan_profiles.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 63

static bool has(const struct scan_profiles *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i]->name, name) == 0)
            return true;
    return false;
}

static int add(struct scan_profiles *p, const char *const *folders, const char *name)
{
    struct config_problems problems = {0};
    struct config_profile *profile = NULL;
    if (has(p, name)) /* the folder before has one of this name, which is in force */
        return 0;
    int err = config_profile_read(folders, name, &profile, NULL, &problems);
    config_problems_free(&problems);
    if (err < 0) {
        p->broken++;
        return err == FG_ENOMEM ? err : 0;
    }
    struct config_profile **more = realloc(p->items, (p->count + 1) * sizeof(*more));
    if (!more) {
        config_profile_free(profile);
        return FG_ENOMEM;
    }
    p->items = more;
    p->items[p->count++] = profile;
    return 0;
}

static int add_folder(struct scan_profiles *p, const char *const *folders, const char *folder)
{
    DIR *dir = opendir(folder);
    int err = 0;
    for (struct dirent *e; dir && err == 0 && (e = readdir(dir)) != NULL;) {
        char name[NAME_MAX_LEN + 1];
        size_t len = strlen(e->d_name);
        if (e->d_name[0] == '.' || len < 6 || len - 5 > NAME_MAX_LEN ||
            strcmp(e->d_name + len - 5, ".yaml") != 0)
            continue;
        memcpy(name, e->d_name, len - 5);
        name[len - 5] = '\0';
        err = add(p, folders, name);
    }
    if (dir)
        closedir(dir);
    return err;
}

static int by_name(const void *a, const void *b)
{
    const struct config_profile *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

int scan_profiles_load(const struct config_options *options, struct scan_profiles *ret)
{
    struct config_folders folders;
    int err = 0;
    *ret = (struct scan_profiles){0};
    config_profile_folders(options, &folders);
    for (size_t i = 0; folders.list[i] && err == 0; i++)
        err = add_folder(ret, folders.list, folders.list[i]);
    if (err < 0)
        scan_profiles_free(ret);
    else if (ret->count > 1)
        qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
    return err;
}

void scan_profiles_free(struct scan_profiles *p)
{
    for (size_t i = 0; i < p->count; i++)
        config_profile_free(p->items[i]);
    free(p->items);
    *p = (struct scan_profiles){0};
}
