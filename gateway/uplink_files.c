/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink_files.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads at most cap bytes; the number read, or -1 with errno. ret_mode may be NULL. */
static ssize_t read_some(const char *path, char *bytes, size_t cap, mode_t *ret_mode)
{
    struct stat st = {0};
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (ret_mode && fstat(fd, &st) == 0)
        *ret_mode = st.st_mode;
    while (got < cap) {
        ssize_t n = read(fd, bytes + got, cap - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int why = errno;
            close(fd);
            errno = why;
            return -1;
        }
        if (n == 0)
            break;
        got += (size_t)n;
    }
    close(fd);
    return (ssize_t)got;
}

int uplink_password_read(const char *path, struct buf *out, struct err_note *note)
{
    char text[UPLINK_PASSWORD_MAX + 2];
    int result = 0;
    mode_t mode = S_IRWXO; /* until it is known */
    ssize_t n = read_some(path, text, sizeof text, &mode);
    buf_reset(out);
    if (n < 0)
        return err_note(note, errno == ENOENT ? FG_ENOTFOUND : FG_EIO, "%s: %s", path, text_errno(errno));
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if ((mode & S_IRWXO) != 0)
        result = err_note(note, FG_EINVALID,
                          "%s: everybody on this machine can read the file; run chmod 600 on it", path);
    else if (n > UPLINK_PASSWORD_MAX)
        result = err_note(note, FG_EINVALID, "%s: longer than %d bytes, so it is no password", path,
                          UPLINK_PASSWORD_MAX);
    else if (memchr(text, '\0', (size_t)n))
        result = err_note(note, FG_EINVALID, "%s: holds a zero byte, so it is no password", path);
    else
        buf_add(out, text, (size_t)n);
    explicit_bzero(text, sizeof text);
    return buf_ok(out) ? result : FG_ENOMEM;
}

static int connection_path(const char *state_dir, const char *name, const char *end, char ret[PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/uplink-%s.connection%s", state_dir, name, end);
    return n > 0 && n < PATH_MAX ? 0 : FG_EINVALID;
}

uint64_t uplink_connection_read(const char *state_dir, const char *name)
{
    char path[PATH_MAX], text[32];
    if (connection_path(state_dir, name, "", path) < 0)
        return 0;
    ssize_t n = read_some(path, text, sizeof text - 1, NULL);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    return errno == 0 && strcmp(end, "\n") == 0 ? number : 0;
}

static int write_and_sync(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return FG_EIO;
    bool good = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    return close(fd) == 0 && good ? 0 : FG_EIO;
}

int uplink_connection_write(const char *state_dir, const char *name, uint64_t number)
{
    char path[PATH_MAX], fresh[PATH_MAX], text[32];
    if (connection_path(state_dir, name, "", path) < 0 || connection_path(state_dir, name, ".new", fresh) < 0)
        return FG_EINVALID;
    int len = snprintf(text, sizeof text, "%" PRIu64 "\n", number);
    if (write_and_sync(fresh, text, (size_t)len) < 0 || rename(fresh, path) < 0) {
        unlink(fresh);
        return FG_EIO;
    }
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return FG_EIO;
    int synced = fsync(dir);
    close(dir);
    return synced == 0 ? 0 : FG_EIO;
}
