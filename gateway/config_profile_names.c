/* SPDX-License-Identifier: Apache-2.0 */
/* Which profiles there are: see config_profile.h. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "config_profile.h"
#include "err.h"

#define ENDING ".yaml"

struct names {
    char **items;
    size_t count;
};

static bool has(const struct names *n, const char *name, size_t len)
{
    for (size_t i = 0; i < n->count; i++)
        if (strlen(n->items[i]) == len && memcmp(n->items[i], name, len) == 0)
            return true;
    return false;
}

static int add(struct names *n, const char *file)
{
    size_t len = strlen(file), ending = strlen(ENDING);
    if (file[0] == '.' || len <= ending || strcmp(file + len - ending, ENDING) != 0)
        return 0;
    len -= ending;
    if (has(n, file, len))
        return 0;
    char **items = realloc(n->items, (n->count + 1) * sizeof(*items));
    if (!items)
        return FG_ENOMEM;
    n->items = items;
    n->items[n->count] = strndup(file, len);
    return n->items[n->count] ? (int)(++n->count, 0) : FG_ENOMEM;
}

static int add_folder(struct names *n, const char *folder)
{
    DIR *dir = opendir(folder);
    int err = 0;
    for (struct dirent *entry; dir && err == 0 && (entry = readdir(dir)) != NULL;)
        err = add(n, entry->d_name);
    if (dir)
        closedir(dir);
    return err;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int config_profile_names(const char *const *folders, char ***ret, size_t *ret_count)
{
    struct names n = {0};
    int err = 0;
    for (; *folders && err == 0; folders++)
        err = add_folder(&n, *folders);
    if (err < 0) {
        config_profile_names_free(n.items, n.count);
        return err;
    }
    if (n.count > 0)
        qsort(n.items, n.count, sizeof(*n.items), compare);
    *ret = n.items;
    *ret_count = n.count;
    return 0;
}

void config_profile_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
