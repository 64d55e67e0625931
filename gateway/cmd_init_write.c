/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the configuration and the password where they belong: see cmd_init.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_init.h"
#include "text.h"

#define CREDENTIALS_KEPT "/etc/fieldgate/credentials"

int init_place_find(const char *output, struct init_place *ret, struct err_note *note)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(output, '/');
    *ret = (struct init_place){.output = output, .installed = strcmp(output, CMD_DEFAULT_CONFIG) == 0};
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - output) + 1 : 1, slash ? output : ".");
    if (!realpath(folder, real) || strlen(real) >= sizeof ret->folder)
        return err_note(note, FG_EIO, "%s: %s; make the folder first", folder, text_errno(errno));
    if (access(real, W_OK) < 0)
        return err_note(note, FG_EIO, "%s: %s; try again with sudo, or name another place with --output",
                        real, text_errno(errno));
    strcpy(ret->folder, real);
    if (ret->installed)
        strcpy(ret->credential_folder, CREDENTIALS_KEPT);
    else
        snprintf(ret->credential_folder, sizeof ret->credential_folder, "%s/credentials", real);
    return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd);
}

/* All of it under a name of its own, then in one step under the right one. */
static int replace(const char *path, const char *data, size_t len, mode_t mode, const struct stat *like,
                   struct err_note *note)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.new-XXXXXX", path) >= (int)sizeof temporary)
        return err_note(note, FG_EIO, "%s: the path is too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 from the beginning */
    if (fd < 0)
        return err_note(note, FG_EIO, "%s: %s", temporary, text_errno(errno));
    bool good = write_all(fd, data, len) == 0 && fchmod(fd, like ? like->st_mode & 07777 : mode) == 0;
    if (good && like && fchown(fd, like->st_uid, like->st_gid) < 0 && errno != EPERM)
        good = false;
    int why = errno;
    close(fd);
    if (good && rename(temporary, path) == 0)
        return 0;
    why = good ? errno : why;
    unlink(temporary);
    return err_note(note, FG_EIO, "%s: %s", path, text_errno(why));
}

/* The old file under a second name, before the new one takes the first. */
static int keep_old(const char *path, struct err_note *note)
{
    char copy[PATH_MAX], stamp[32];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
    snprintf(copy, sizeof copy, "%s.old-%s", path, stamp);
    if (link(path, copy) < 0)
        return err_note(note, FG_EIO, "%s: the old file cannot be kept there: %s; nothing was changed", copy,
                        text_errno(errno));
    printf(_("The old file is kept as %s\n"), copy);
    return 0;
}

static int write_password(const struct init_place *place, struct init_uplink *u, struct err_note *note)
{
    char path[PATH_MAX];
    if (mkdir(place->credential_folder, 0700) < 0 && errno != EEXIST)
        return err_note(note, FG_EIO, "%s: %s", place->credential_folder, text_errno(errno));
    snprintf(path, sizeof path, "%s/" INIT_CREDENTIAL, place->credential_folder);
    int err = replace(path, u->password, strlen(u->password), 0600, NULL, note);
    explicit_bzero(u->password, sizeof u->password);
    if (err == 0)
        printf(_("The password is in %s, readable by its owner only\n"), path);
    return err;
}

int init_write(const struct init_place *place, struct init_choice *c, const struct buf *text,
               struct err_note *note)
{
    struct stat old;
    const bool exists = stat(place->output, &old) == 0;
    int err = 0;
    if (!buf_ok(text))
        return err_note(note, FG_ENOMEM, "out of memory");
    if (c->uplink.url[0] && c->uplink.has_password)
        err = write_password(place, &c->uplink, note);
    if (err == 0 && exists)
        err = keep_old(place->output, note);
    return err < 0 ? err : replace(place->output, text->data, text->len, 0644, exists ? &old : NULL, note);
}
