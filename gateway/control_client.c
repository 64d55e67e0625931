/* SPDX-License-Identifier: Apache-2.0 */
#include "control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "control.h"
#include "text.h"

static int explain(const char *path, int error, struct err_note *note)
{
    if (error == ENOENT || error == ECONNREFUSED)
        return err_note(note, FG_ECLOSED,
                        _("%s: no gateway listens there; start it with `systemctl start fieldgate`"), path);
    if (error == EACCES || error == EPERM)
        return err_note(note, FG_EIO,
                        _("%s: not allowed; use sudo, or join the group (usermod -aG fieldgate YOU)"), path);
    return err_note(note, FG_EIO, "%s: %s", path, text_errno(error));
}

static int reach(const char *runtime_dir, struct err_note *note)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof a.sun_path, "%s/" CONTROL_NAME, runtime_dir);
    if (n < 0 || (size_t)n >= sizeof a.sun_path)
        return explain(runtime_dir, ENAMETOOLONG, note);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return explain(a.sun_path, errno, note);
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    int error = errno;
    close(fd);
    return explain(a.sun_path, error, note);
}

static int send_line(int fd, const char *request, struct err_note *note)
{
    struct buf line = BUF_INIT;
    buf_adds(&line, request);
    buf_addc(&line, '\n');
    ssize_t sent = buf_ok(&line) ? send(fd, line.data, line.len, MSG_NOSIGNAL) : -1;
    bool whole = sent >= 0 && (size_t)sent == line.len;
    buf_fini(&line);
    return whole ? 0 : err_note(note, FG_EIO, _("the gateway hung up"));
}

static int receive_line(int fd, int64_t wait_ms, struct buf *line, struct err_note *note)
{
    int64_t deadline = clock_mono_ms() + wait_ms;
    char room[4096];
    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            return err_note(note, FG_ERETRY, _("interrupted"));
        if (ready <= 0)
            return err_note(note, FG_ETIMEOUT, _("the gateway gave no answer within %lld s"),
                            (long long)wait_ms / 1000);
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n <= 0)
            return err_note(note, FG_EIO, _("the gateway hung up"));
        buf_add(line, room, (size_t)n);
        if (!buf_ok(line))
            return err_note(note, FG_ENOMEM, "%s", err_text(FG_ENOMEM));
        if (memchr(room, '\n', (size_t)n))
            return 0;
    }
}

static int understand(const struct buf *line, cJSON **ret, struct err_note *note)
{
    cJSON *json = json_parse(line->data, line->len);
    if (!json)
        return err_note(note, FG_ECORRUPT, _("the gateway's answer is not JSON"));
    if (json_bool(json, "ok", false)) {
        *ret = json;
        return 0;
    }
    (void)err_note(note, 0, "%s", json_string(json, "error", "?"));
    const char *code = json_string(json, "code", "");
    int err = strcmp(code, "not_found") == 0 ? FG_ENOTFOUND
              : strcmp(code, "not_now") == 0 ? FG_ERETRY
                                             : FG_EINVALID;
    cJSON_Delete(json);
    return err;
}

int control_ask(const char *runtime_dir, const char *request, int64_t wait_ms, cJSON **ret,
                struct err_note *note)
{
    struct buf line = BUF_INIT;
    int fd = reach(runtime_dir, note);
    if (fd < 0)
        return fd;
    int err = send_line(fd, request, note);
    if (err == 0)
        err = receive_line(fd, wait_ms, &line, note);
    if (err == 0)
        err = understand(&line, ret, note);
    buf_fini(&line);
    close(fd);
    return err;
}

int control_command(const char *runtime_dir, const char *command, const char *key, const char *name,
                    int64_t for_ms, cJSON **ret, struct err_note *note)
{
    struct buf request = BUF_INIT;
    buf_adds(&request, "{\"id\":1");
    buf_member_text(&request, "command", command);
    if (key)
        buf_member_text(&request, key, name);
    if (for_ms > 0)
        buf_member_int(&request, "for_ms", for_ms);
    buf_addc(&request, '}');
    int err = buf_ok(&request) ? control_ask(runtime_dir, request.data, CONTROL_WAIT_MS, ret, note)
                               : err_note(note, FG_ENOMEM, "%s", err_text(FG_ENOMEM));
    buf_fini(&request);
    return err;
}
