/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

void health_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void health_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void health_say(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}

void health_feed_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}

bool health_systemd_runs(void)
{
    return sd_booted() > 0;
}

static int write_whole(int fd, const struct buf *text)
{
    size_t done = 0;
    while (done < text->len) {
        ssize_t n = write(fd, text->data + done, text->len - done);
        if (n < 0 && errno != EINTR)
            return FG_EIO;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

static int sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) < 0 ? FG_EIO : 0;
    if (fd >= 0)
        close(fd);
    return err;
}

static int replace_file(const char *dir, const char *name, const struct buf *text, bool lasting,
                        struct err_note *note)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    int m = snprintf(temporary, sizeof temporary, "%s/.%s.new", dir, name);
    if (n < 0 || m < 0 || (size_t)m >= sizeof temporary)
        return err_note(note, FG_EIO, "%s: path too long", dir);
    if (!buf_ok(text))
        return err_note(note, FG_ENOMEM, "%s: %s", path, err_text(FG_ENOMEM));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_note(note, FG_EIO, "%s: %s", temporary, text_errno(errno));
    fchmod(fd, 0644); /* a technician's own account reads it, whatever our umask */
    int err = write_whole(fd, text);
    if (err == 0 && lasting && fsync(fd) < 0)
        err = FG_EIO;
    int why = errno;
    close(fd);
    if (err == 0 && rename(temporary, path) == 0 && (!lasting || sync_folder(dir) == 0))
        return 0;
    if (err == 0)
        why = errno;
    unlink(temporary);
    return err_note(note, FG_EIO, "%s: %s", path, text_errno(why));
}

int health_write_file(const char *dir, const char *name, const struct buf *text, struct err_note *note)
{
    return replace_file(dir, name, text, false, note);
}

int health_keep_file(const char *dir, const char *name, const struct buf *text, struct err_note *note)
{
    return replace_file(dir, name, text, true, note);
}

int64_t health_written_bytes(void)
{
    long long written = -1, cancelled = 0;
    char line[128];
    FILE *f = fopen("/proc/self/io", "re");
    if (!f)
        return -1;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "write_bytes: %lld", &written) != 1)
            (void)sscanf(line, "cancelled_write_bytes: %lld", &cancelled);
    fclose(f);
    /* Cancelled: a file was cut short before its pages went out. */
    return written < cancelled ? -1 : written - cancelled;
}
