/* SPDX-License-Identifier: Apache-2.0 */
#include "store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store_db.h"
#include "text.h"

static int from_errno(int code)
{
    if (code == ENOSPC || code == EDQUOT)
        return FG_EFULL;
    if (code == ENOENT)
        return FG_ENOTFOUND;
    return code == ENOMEM ? FG_ENOMEM : FG_EIO;
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Offsets are those of the SQLite file format: 60 user_version, 68 application_id, 100 the root of the
 * schema. */
static enum store_file_kind judge(const unsigned char *head, size_t len, bool has_wal)
{
    if (len == 0)
        return has_wal ? STORE_FILE_GARBAGE : STORE_FILE_NONE;
    if (len < 108 || memcmp(head, "SQLite format 3", 16) != 0)
        return STORE_FILE_GARBAGE;
    if (big_endian(head + 68) == STORE_APPLICATION_ID)
        return big_endian(head + 60) > STORE_USER_VERSION ? STORE_FILE_NEWER : STORE_FILE_OURS;
    bool no_tables = head[100] == 0x0d && head[103] == 0 && head[104] == 0;
    bool unnamed = big_endian(head + 68) == 0 && big_endian(head + 60) == 0;
    return no_tables && unnamed && !has_wal ? STORE_FILE_NONE : STORE_FILE_FOREIGN;
}

int store_file_kind(const char *path, enum store_file_kind *ret, struct err_note *note)
{
    unsigned char head[108];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret = STORE_FILE_NONE;
        return 0;
    }
    if (fd < 0)
        return err_note(note, FG_EIO, "store: %s: %s; check its permissions", path, text_errno(errno));
    ssize_t len = read(fd, head, sizeof head);
    int code = errno;
    close(fd);
    if (len < 0)
        return err_note(note, FG_EIO, "store: %s: %s; give the name of a file", path, text_errno(code));
    *ret = judge(head, (size_t)len, store_file_size(path, "-wal") > 0);
    if (*ret == STORE_FILE_FOREIGN)
        return err_note(note, FG_EFOREIGN,
                        "store: %s is a database of another program; it was not touched: choose another path",
                        path);
    if (*ret == STORE_FILE_NEWER)
        return err_note(
            note, FG_EFOREIGN,
            "store: %s was written by a newer fieldgate (format %u, this one knows %d); it was not "
            "touched: install that version, or choose another path",
            path, big_endian(head + 60), STORE_USER_VERSION);
    return 0;
}

int store_file_lock(const char *path, int *ret_fd, struct err_note *note)
{
    struct buf name = BUF_INIT;
    int err = 0;
    buf_addf(&name, "%s-lock", path);
    if (!buf_ok(&name))
        return FG_ENOMEM;
    int fd = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 && errno == EROFS) {
        fd = open(name.data, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            errno = EROFS;
    }
    if (fd < 0) {
        err = err_note(note, errno == ENOSPC || errno == EDQUOT ? FG_EFULL : FG_EIO,
                       "store: %s: %s; the folder must exist and belong to the service's user", name.data,
                       text_errno(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err =
            err_note(note, FG_ERETRY, "store: %s is in use by another fieldgate; stop that one first", path);
        close(fd);
    } else {
        *ret_fd = fd;
    }
    buf_fini(&name);
    return err;
}

uint64_t store_file_inode(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

bool store_file_misplaced(const char *path)
{
    struct stat st;
    char *copy = strdup(path);
    if (!copy)
        return false;
    const char *folder = dirname(copy);
    bool wrong = stat(folder, &st) == 0 ? !S_ISDIR(st.st_mode) : errno == ENOENT || errno == ENOTDIR;
    wrong = wrong || (access(folder, W_OK | X_OK) != 0 && errno == EACCES);
    if (stat(path, &st) == 0)
        wrong = wrong || !S_ISREG(st.st_mode) || (access(path, R_OK | W_OK) != 0 && errno == EACCES);
    free(copy);
    return wrong;
}

int64_t store_file_room(const char *path)
{
    struct statvfs st;
    char *copy = strdup(path);
    bool writable = copy && statvfs(dirname(copy), &st) == 0 && !(st.f_flag & ST_RDONLY);
    free(copy);
    return writable ? (int64_t)st.f_bavail * (int64_t)st.f_frsize : 0;
}

int64_t store_file_size(const char *path, const char *tail)
{
    struct buf name = BUF_INIT;
    struct stat st;
    buf_addf(&name, "%s%s", path, tail);
    int64_t size = buf_ok(&name) && stat(name.data, &st) == 0 ? (int64_t)st.st_size : 0;
    buf_fini(&name);
    return size;
}

uint32_t store_file_log_frames(const char *path)
{
    struct buf name = BUF_INIT, head = BUF_INIT;
    buf_addf(&name, "%s-shm", path);
    bool whole = buf_ok(&name) && store_file_read(name.data, STORE_INDEX_HEAD, &head) == 0 &&
                 head.len == STORE_INDEX_HEAD;
    uint32_t frames = whole ? store_file_index_frames(head.data) : 0;
    buf_fini(&name);
    buf_fini(&head);
    return frames;
}

uint32_t store_file_index_frames(const char *head)
{
    /* Two equal copies in the machine's byte order: version, ..., at 12 whether it is complete, at 16 the
     * number of frames. See "WAL-Index Header" in SQLite's walformat document. */
    enum { COPY = STORE_INDEX_HEAD / 2, VERSION = 3007000 };
    uint32_t version, frames;
    memcpy(&version, head, sizeof version);
    memcpy(&frames, head + 16, sizeof frames);
    return memcmp(head, head + COPY, COPY) == 0 && head[12] && version == VERSION ? frames : 0;
}

static int sync_folder_of(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return FG_ENOMEM;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) != 0 ? from_errno(errno) : 0;
    if (fd >= 0)
        close(fd);
    free(copy);
    return err;
}

int store_file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sync_folder_of(to) : from_errno(errno);
}

int store_file_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) != 0 ? from_errno(errno) : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return from_errno(errno);
        p += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : from_errno(errno);
}

int store_file_write(const char *path, const struct buf *bytes)
{
    struct buf fresh = BUF_INIT;
    buf_addf(&fresh, "%s-new", path);
    if (!buf_ok(&fresh))
        return FG_ENOMEM;
    int err;
    int fd = open(fresh.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0) {
        err = from_errno(errno);
    } else {
        err = write_all(fd, bytes->data, bytes->len);
        close(fd);
        if (!err)
            err = store_file_rename(fresh.data, path);
        if (err)
            unlink(fresh.data);
    }
    buf_fini(&fresh);
    return err;
}

int store_file_overwrite(const char *path, const struct buf *bytes)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return from_errno(errno);
    int err = write_all(fd, bytes->data, bytes->len);
    if (!err && ftruncate(fd, (off_t)bytes->len) != 0)
        err = from_errno(errno);
    close(fd);
    return err;
}

int store_file_read(const char *path, size_t max, struct buf *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return from_errno(errno);
    buf_reset(ret);
    buf_reserve(ret, max);
    int err = buf_ok(ret) ? 0 : FG_ENOMEM;
    while (!err && ret->len < max) {
        ssize_t n = read(fd, ret->data + ret->len, max - ret->len);
        if (n < 0)
            err = from_errno(errno);
        if (n <= 0)
            break;
        ret->len += (size_t)n;
    }
    if (!err)
        ret->data[ret->len] = 0;
    close(fd);
    return err;
}

int store_file_set_aside(const char *path, int64_t wall_ms, struct buf *ret_path, struct err_note *note)
{
    struct buf from = BUF_INIT, to = BUF_INIT;
    int err = 0;
    buf_reset(ret_path);
    buf_addf(ret_path, "%s.damaged-%lld", path, (long long)wall_ms);
    buf_addf(&from, "%s-wal", path);
    buf_addf(&to, "%s-wal", ret_path->data);
    if (!buf_ok(ret_path) || !buf_ok(&from) || !buf_ok(&to)) {
        err = FG_ENOMEM;
        goto out;
    }
    /* The WAL first: a WAL without its database is harmless, a new database must never meet an old WAL. */
    if (store_file_size(path, "-wal") == 0)
        unlink(from.data);
    else if (rename(from.data, to.data) != 0)
        err = from_errno(errno);
    if (!err)
        err = store_file_rename(path, ret_path->data);
    if (err == FG_ENOTFOUND) /* only the WAL was left */
        err = 0;
    if (err)
        err_note(note, err, "store: %s is damaged and cannot be set aside; check the folder's permissions",
                 path);
    /* The shared-memory file is only an index of the WAL. */
    from.data[from.len - 3] = 's';
    from.data[from.len - 2] = 'h';
    from.data[from.len - 1] = 'm';
    unlink(from.data);
out:
    buf_fini(&from);
    buf_fini(&to);
    return err;
}
