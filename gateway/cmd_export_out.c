/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd_export_out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

#define WRITE_BYTES (64 * 1024)

struct cmd_export_mark {
    size_t end; /* in the text */
    int64_t ts_ms;
};

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static bool belongs_to(const char *path, const char *database)
{
    static const char *const tails[] = {"", "-wal", "-shm", "-stream", "-lock"};
    bool same = false;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        struct buf name = BUF_INIT;
        buf_addf(&name, "%s%s", database, tails[i]);
        same |= buf_ok(&name) && same_file(path, name.data);
        buf_fini(&name);
    }
    return same;
}

int cmd_export_out_open(struct cmd_export_out *o, const char *path, const char *not_this,
                        struct err_note *note)
{
    memset(o, 0, sizeof *o);
    o->fd = STDOUT_FILENO;
    if (!path || strcmp(path, "-") == 0)
        return 0;
    if (belongs_to(path, not_this))
        return err_note(note, FG_EINVALID, _("%s: this is the database itself; give another file"), path);
    o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (o->fd < 0)
        return err_note(note, FG_EIO, _("%s: %s; is the stick mounted, and may you write there?"), path,
                        text_errno(errno));
    o->path = path;
    return 0;
}

/* *ret_done: the bytes that were taken, also when it fails. */
static int write_all(struct cmd_export_out *o, size_t *ret_done)
{
    *ret_done = 0;
    while (*ret_done < o->text.len) {
        ssize_t n = write(o->fd, o->text.data + *ret_done, o->text.len - *ret_done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        *ret_done += (size_t)n;
    }
    return 0;
}

/* What of `done` bytes is whole records counts; the rest is cut off again. */
static void count_records(struct cmd_export_out *o, size_t done, bool cut)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->mark_count && o->marks[i].end <= done; i++) {
        kept = o->marks[i].end;
        o->records++;
        o->last_ms = o->marks[i].ts_ms;
    }
    o->written += (int64_t)(cut ? kept : done);
    if (cut && o->path && ftruncate(o->fd, o->written) == 0)
        fsync(o->fd);
}

static int say(const struct cmd_export_out *o, int code, struct err_note *note)
{
    const char *name = o->path ? o->path : _("standard output");
    if (code == EPIPE)
        return FG_ECLOSED;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        return err_note(note, FG_EFULL, _("%s: no space left"), name);
    return err_note(note, FG_EIO, _("%s: %s; is the stick still there?"), name, text_errno(code));
}

static int flush(struct cmd_export_out *o, struct err_note *note)
{
    size_t done;
    if (!buf_ok(&o->text))
        return FG_ENOMEM;
    int code = write_all(o, &done);
    count_records(o, done, code != 0);
    buf_reset(&o->text);
    o->mark_count = 0;
    return code ? say(o, code, note) : 0;
}

int cmd_export_out_record(struct cmd_export_out *o, int64_t ts_ms, struct err_note *note)
{
    if (o->mark_count == o->mark_cap) {
        size_t cap = o->mark_cap ? o->mark_cap * 2 : 256;
        struct cmd_export_mark *grown = reallocarray(o->marks, cap, sizeof *grown);
        if (!grown)
            return FG_ENOMEM;
        o->marks = grown;
        o->mark_cap = cap;
    }
    o->marks[o->mark_count++] = (struct cmd_export_mark){.end = o->text.len, .ts_ms = ts_ms};
    return o->text.len >= WRITE_BYTES ? flush(o, note) : 0;
}

/* 0 or errno. Pipes and terminals cannot be synced, and need not be. */
static int sync_medium(const struct cmd_export_out *o)
{
    char *copy = strdup(o->path);
    int code = fsync(o->fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
    int fd = copy && !code ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* some file systems of sticks cannot */
        close(fd);
    }
    free(copy);
    return code;
}

int cmd_export_out_close(struct cmd_export_out *o, int err, struct err_note *note)
{
    if (!err)
        err = flush(o, note);
    int code = !err && o->path ? sync_medium(o) : 0;
    if (o->path && close(o->fd) != 0 && !code)
        code = errno;
    if (!err && code)
        err = say(o, code, note);
    buf_fini(&o->text);
    free(o->marks);
    o->marks = NULL;
    return err;
}
