/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last good configuration. A whole folder is exchanged, so that file and profiles always belong together:
 *   STATE/last-good       what a start can fall back on
 *   STATE/last-good.new   being written
 *   STATE/last-good.old   only where the file system cannot exchange folders, for a moment
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "err.h"
#include "yaml_doc.h"

#define PATH_SIZE 4352

static int join(char *ret, size_t cap, const char *folder, const char *name)
{
    int len = snprintf(ret, cap, "%s/%s", folder, name);
    return len > 0 && (size_t)len < cap ? 0 : FG_EINVALID;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) < 0 ? FG_EIO : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static int write_file(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return FG_EIO;
    int err = 0;
    while (len > 0 && err == 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = FG_EIO;
            break;
        }
        text += n;
        len -= (size_t)n;
    }
    if (err == 0 && fsync(fd) < 0)
        err = FG_EIO;
    if (close(fd) < 0)
        err = FG_EIO;
    return err;
}

static int write_all(const struct config *c, const char *folder)
{
    char path[PATH_SIZE];
    if (mkdir(folder, 0750) < 0 && errno != EEXIST)
        return FG_EIO;
    int err = join(path, sizeof(path), folder, "profiles");
    if (err == 0 && mkdir(path, 0750) < 0 && errno != EEXIST)
        err = FG_EIO;
    for (size_t i = 0; i < c->source_count && err == 0; i++) {
        char file[PATH_SIZE];
        err = join(file, sizeof(file), folder, c->sources[i].name);
        if (err == 0)
            err = write_file(file, c->sources[i].text, c->sources[i].len);
    }
    if (err == 0)
        err = sync_folder(path);
    return err < 0 ? err : sync_folder(folder);
}

static void remove_files(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[PATH_SIZE];
    while (dir && (entry = readdir(dir)))
        if (join(path, sizeof(path), folder, entry->d_name) == 0)
            unlink(path); /* fails for folders, as it should */
    if (dir)
        closedir(dir);
}

/* Only what write_all() makes; anything else stays and keeps its folder. */
static void remove_all(const char *folder)
{
    char path[PATH_SIZE];
    if (join(path, sizeof(path), folder, "profiles") < 0)
        return;
    remove_files(path);
    rmdir(path);
    remove_files(folder);
    rmdir(folder);
}

static bool same_text(const char *path, const struct config_source *source)
{
    struct yaml_problem ignored;
    char *text;
    size_t len;
    if (yaml_doc_read_file(path, &text, &len, &ignored) < 0)
        return false;
    bool same = len == source->len && memcmp(text, source->text, len) == 0;
    free(text);
    return same;
}

static size_t count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t count = 0;
    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* A start with the same configuration costs no write. */
static bool is_kept(const struct config *c, const char *folder)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < c->source_count; i++)
        if (join(path, sizeof(path), folder, c->sources[i].name) < 0 || !same_text(path, &c->sources[i]))
            return false;
    return join(path, sizeof(path), folder, "profiles") == 0 && count_files(path) == c->source_count - 1;
}

/* Puts the new folder in the place of the kept one; afterwards `fresh` holds what is to be deleted, if
 * anything. */
static int exchange(const char *fresh, const char *kept, const char *old)
{
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, kept, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
        return FG_EIO;
    if (rename(kept, old) < 0 && errno != ENOENT)
        return FG_EIO;
    return rename(fresh, kept) < 0 ? FG_EIO : 0;
}

struct folders {
    char kept[PATH_SIZE], fresh[PATH_SIZE], old[PATH_SIZE];
};

static int name_folders(const char *state_dir, struct folders *ret)
{
    int err = join(ret->kept, sizeof(ret->kept), state_dir, "last-good");
    if (err == 0)
        err = join(ret->fresh, sizeof(ret->fresh), state_dir, "last-good.new");
    return err < 0 ? err : join(ret->old, sizeof(ret->old), state_dir, "last-good.old");
}

int config_keep(const struct config_options *options, const struct config *c, const char *state_dir)
{
    struct folders f;
    (void)options; /* what was read is in c->sources; the files may have changed since */
    int err = name_folders(state_dir, &f);
    if (err < 0 || is_kept(c, f.kept))
        return err;
    remove_all(f.fresh);
    err = write_all(c, f.fresh);
    if (err == 0)
        err = exchange(f.fresh, f.kept, f.old);
    if (err == 0)
        err = sync_folder(state_dir);
    remove_all(f.fresh);
    if (err == 0)
        remove_all(f.old);
    return err;
}

int config_kept_path(const char *state_dir, char *ret_path, size_t cap)
{
    struct folders f;
    if (name_folders(state_dir, &f) < 0)
        return FG_ENOTFOUND;
    if (join(ret_path, cap, f.kept, "fieldgate.yaml") == 0 && access(ret_path, F_OK) == 0)
        return 0;
    if (join(ret_path, cap, f.old, "fieldgate.yaml") == 0 && access(ret_path, F_OK) == 0)
        return 0;
    return FG_ENOTFOUND;
}
