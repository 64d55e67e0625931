/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords, certificates and keys: where they are and whether they can be used. See config_load.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_load.h"
#include "text.h"

#define CREDENTIALS_RUNNING "/run/credentials/fieldgate.service"
#define CREDENTIALS_KEPT "/etc/fieldgate/credentials"
/* The unit loads the kept folder as one credential named "credentials": systemd then names each file of it
 * ID_FILENAME (systemd.exec(5), LoadCredential=). */
#define CREDENTIAL_PREFIX "credentials_"

struct job {
    struct config_loader *l;
    struct config_uplink *u;
    const struct yaml_node *map;
    const struct config_at *at;
};

/* No value is repeated in these messages: somebody may have written the password itself. What is wrong with a
 * secret of the last good configuration is never an error. */
static void say(const struct job *j, const char *key, bool warning, const char *text)
{
    struct config_at at = {.up = j->at, .key = key};
    if (warning || j->l->options->secrets_optional)
        config_warning(&j->l->file, config_place(j->map, key), &at, "%s", text);
    else
        config_error(&j->l->file, config_place(j->map, key), &at, "%s", text);
}

/* 0, or the reason why this user cannot read the file. */
static int try_read(const char *path, struct stat *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int err = fd < 0 || fstat(fd, ret) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (err == 0 && !S_ISREG(ret->st_mode))
        err = EISDIR;
    return err;
}

static bool is_denied(int err)
{
    return err == EACCES || err == EPERM;
}

/* True when the file is there, or may be, for all that this user can see. */
static bool check_file(const struct job *j, const char *key, const char *path, bool secret)
{
    struct stat st;
    int err = try_read(path, &st);
    char text[400];
    if (is_denied(err)) {
        say(j, key, !j->l->options->secrets_required,
            _("may not be read by you, so it was not checked; try again with sudo"));
        return true;
    }
    if (err != 0) {
        snprintf(text, sizeof(text), _("the file cannot be used: %s; check the path"),
                 err == EISDIR ? _("it is no regular file") : text_errno(err));
        say(j, key, false, text);
        return j->l->options->secrets_optional;
    }
    if (st.st_size == 0)
        say(j, key, false, _("the file is empty"));
    if (secret && (st.st_mode & S_IRWXO) != 0)
        say(j, key, false, _("everybody on this machine can read the file; run chmod 600 on it"));
    if (*path != '/')
        say(j, key, true, _("is a relative path, and the service starts in /; write the whole path"));
    return true;
}

/* The folders where a credential can be, ending with NULL. */
static void credential_folders(const char *ret[3])
{
    const char *given = getenv("CREDENTIALS_DIRECTORY");
    ret[0] = given ? given : CREDENTIALS_RUNNING;
    ret[1] = given ? NULL : CREDENTIALS_KEPT;
    ret[2] = NULL;
}

static bool is_file_name(const char *name)
{
    return *name != '.' && !strchr(name, '/');
}

/* Finds the credential; a place that cannot be looked into counts as found where no better one is. */
static char *find_credential(const char *name, bool *ret_denied)
{
    static const char *const prefixes[] = {CREDENTIAL_PREFIX, ""};
    const char *folders[3];
    char path[4096], *found = NULL;
    credential_folders(folders);
    for (size_t i = 0; i < 4 && (!found || *ret_denied); i++) {
        struct stat st;
        if (!folders[i / 2])
            break;
        int len = snprintf(path, sizeof(path), "%s/%s%s", folders[i / 2], prefixes[i % 2], name);
        int err = len > 0 && (size_t)len < sizeof(path) ? try_read(path, &st) : ENAMETOOLONG;
        if (err != 0 && (!is_denied(err) || found))
            continue;
        free(found);
        found = strdup(path);
        *ret_denied = err != 0;
    }
    return found;
}

/* Where the credential should be, so that the uplink finds it once somebody puts it there. */
static char *expected_path(const char *name)
{
    const char *folders[3];
    char path[4096];
    credential_folders(folders);
    snprintf(path, sizeof(path), "%s/" CREDENTIAL_PREFIX "%s", folders[0], name);
    return strdup(path);
}

static void take_credential(const struct job *j)
{
    bool denied = false;
    if (!is_file_name(j->u->credential)) {
        say(j, "credential", false,
            _("is the name of a file in /etc/fieldgate/credentials, without folders; for another place write "
              "password_file:"));
        return;
    }
    j->u->password_path = find_credential(j->u->credential, &denied);
    if (!j->u->password_path) {
        const char *folders[3];
        char text[800];
        credential_folders(folders);
        snprintf(text, sizeof(text),
                 _("there is no such file in %s%s%s; put the password into a file of this name "
                   "in %s, readable by root only"),
                 folders[0], folders[1] ? _(" or ") : "", folders[1] ? folders[1] : "", CREDENTIALS_KEPT);
        say(j, "credential", false, text);
        if (j->l->options->secrets_optional)
            j->u->password_path = expected_path(j->u->credential);
    } else if (denied) {
        say(j, "credential", !j->l->options->secrets_required,
            _("may not be read by you, so it was not checked; try again with sudo"));
    }
}

static void take_password(const struct job *j)
{
    if (j->u->credential && j->u->password_file) {
        say(j, "password_file", false, _("stands beside credential; keep one of them"));
        return;
    }
    if (j->u->credential)
        take_credential(j);
    if (j->u->password_file && check_file(j, "password_file", j->u->password_file, true))
        j->u->password_path = strdup(j->u->password_file);
    bool password = j->u->credential || j->u->password_file;
    if (j->u->username && !password)
        say(j, "username", true, _("has no password; add credential: NAME, unless the broker needs none"));
    if (password && !j->u->username)
        say(j, j->u->credential ? "credential" : "password_file", true,
            _("has no user name; add username:, unless the broker needs none"));
}

int config_check_secrets(struct config_loader *l, size_t uplink)
{
    struct config_at list = {.key = "uplinks"}, at = {.up = &list, .index = uplink};
    struct job j = {
        .l = l, .u = &l->config->uplinks[uplink], .map = config_item(l->root, "uplinks", uplink), .at = &at};
    take_password(&j);
    if (j.u->ca_file)
        check_file(&j, "ca_file", j.u->ca_file, false);
    if (j.u->cert_file)
        check_file(&j, "cert_file", j.u->cert_file, false);
    if (j.u->key_file)
        check_file(&j, "key_file", j.u->key_file, true);
    return 0;
}
