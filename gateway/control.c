/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "text.h"

enum {
    CLIENTS_MAX = 4,
    PATIENCE_MS = 5000,
    HANDLER_MAX_MS = 60000,
    BACKLOG = 8,
    READ_ROOM = 4096,
};

struct client {
    int fd; /* -1: free */
    int64_t deadline_mono_ms;
    struct buf in, out;
    size_t sent; /* of out */
};

struct control {
    control_answer *answer;
    void *context;
    int64_t patience_ms;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int listener, stop_fd;
    bool has_thread;
    atomic_bool stopping;
    pthread_t thread;
    struct pulse pulse;
    struct client clients[CLIENTS_MAX];
};

/* ---- the socket ---- */

static int make_address(const char *path, struct sockaddr_un *ret, struct err_note *note)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof ret->sun_path)
        return err_note(note, FG_EIO, "%s: the path is too long for a socket; choose a shorter --runtime-dir",
                        path);
    return 0;
}

/* A socket that a dead gateway left behind may be replaced, that of a living one may not. */
static int check_place(const struct sockaddr_un *a, struct err_note *note)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_note(note, FG_EIO, "%s: is not a socket; move it away", a->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    if (alive)
        return err_note(note, FG_EIO,
                        "%s: another gateway listens there; give this one its own --runtime-dir",
                        a->sun_path);
    return 0;
}

/* Bound under another name and renamed: whoever finds the socket finds it with its final mode, listening. */
static int listen_at(struct control *c, struct err_note *note)
{
    struct sockaddr_un final, temporary;
    char other[sizeof c->path + 8];
    snprintf(other, sizeof other, "%s.new", c->path);
    int err = make_address(c->path, &final, note);
    if (err == 0)
        err = make_address(other, &temporary, note);
    if (err == 0)
        err = check_place(&final, note);
    if (err < 0)
        return err;
    unlink(other);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->listener < 0 || bind(c->listener, (const struct sockaddr *)&temporary, sizeof temporary) != 0)
        return err_note(note, FG_EIO, "%s: %s", c->path, text_errno(errno));
    if (chmod(other, 0660) == 0 && listen(c->listener, BACKLOG) == 0 && rename(other, c->path) == 0)
        return 0;
    err = err_note(note, FG_EIO, "%s: %s", c->path, text_errno(errno));
    unlink(other);
    return err;
}

/* ---- clients ---- */

static void drop(struct client *k)
{
    close(k->fd);
    buf_fini(&k->in);
    buf_fini(&k->out);
    *k = (struct client){.fd = -1};
}

static void accept_client(struct control *c)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *k = &c->clients[i];
        if (k->fd >= 0)
            continue;
        int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            *k = (struct client){.fd = fd, .deadline_mono_ms = clock_mono_ms() + c->patience_ms};
        return;
    }
}

/* False when the client is gone. */
static bool send_some(const struct control *c, struct client *k)
{
    while (k->sent < k->out.len) {
        ssize_t n = send(k->fd, k->out.data + k->sent, k->out.len - k->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        k->sent += (size_t)n;
        k->deadline_mono_ms = clock_mono_ms() + c->patience_ms;
    }
    buf_reset(&k->out);
    k->sent = 0;
    return true;
}

static void answer_line(struct control *c, struct client *k, const char *line, size_t len)
{
    pulse_expect(&c->pulse, HANDLER_MAX_MS);
    c->answer(c->context, line, len, &k->out);
    pulse_beat(&c->pulse);
    buf_addc(&k->out, '\n');
    k->deadline_mono_ms = clock_mono_ms() + c->patience_ms;
}

/* Runs one whole line, if there is one and the answer before it has left. False when the client is to be cut
 * off. */
static bool serve_line(struct control *c, struct client *k)
{
    char *end = k->in.len ? memchr(k->in.data, '\n', k->in.len) : NULL;
    if (k->out.len > 0 || atomic_load(&c->stopping))
        return true;
    if (!end && k->in.len <= COMMAND_REQUEST_MAX)
        return true;
    size_t len = end ? (size_t)(end - k->in.data) : k->in.len;
    answer_line(c, k, k->in.data, len);
    if (!buf_ok(&k->out) || !send_some(c, k) || !end)
        return false;
    k->in.len -= len + 1;
    memmove(k->in.data, end + 1, k->in.len);
    return true;
}

static bool read_some(struct client *k)
{
    char room[READ_ROOM];
    if (k->in.len > COMMAND_REQUEST_MAX) /* enough stands here for now */
        return true;
    ssize_t n = recv(k->fd, room, sizeof room, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buf_add(&k->in, room, (size_t)n);
    return n > 0 && buf_ok(&k->in);
}

static void serve_client(struct control *c, struct client *k, short events)
{
    bool well = true;
    if (events & POLLOUT)
        well = send_some(c, k);
    if (well && (events & (POLLIN | POLLHUP | POLLERR)))
        well = read_some(k);
    while (well) {
        size_t left = k->in.len;
        well = serve_line(c, k);
        if (k->in.len == left)
            break;
    }
    if (!well)
        drop(k);
}

/* ---- the thread ---- */

static int wait_ms(const struct control *c)
{
    int64_t now = clock_mono_ms(), least = 10000;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0 && c->clients[i].deadline_mono_ms - now < least)
            least = c->clients[i].deadline_mono_ms - now;
    return least > 0 ? (int)least : 0;
}

static void one_round(struct control *c)
{
    struct pollfd fds[CLIENTS_MAX + 2];
    bool room = false;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        const struct client *k = &c->clients[i];
        room |= k->fd < 0;
        fds[i] = (struct pollfd){.fd = k->fd, .events = k->out.len > 0 ? POLLOUT : POLLIN};
    }
    fds[CLIENTS_MAX] = (struct pollfd){.fd = room ? c->listener : -1, .events = POLLIN};
    fds[CLIENTS_MAX + 1] = (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
    if (poll(fds, CLIENTS_MAX + 2, wait_ms(c)) < 0 && errno != EINTR)
        return;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *k = &c->clients[i];
        if (k->fd >= 0 && fds[i].revents)
            serve_client(c, k, fds[i].revents);
        else if (k->fd >= 0 && k->deadline_mono_ms <= now)
            drop(k);
    }
    if (fds[CLIENTS_MAX].revents)
        accept_client(c);
}

static void *run(void *context)
{
    struct control *c = context;
    while (!atomic_load(&c->stopping)) {
        pulse_beat(&c->pulse);
        one_round(c);
    }
    pulse_end(&c->pulse);
    return NULL;
}

int control_open(const struct control_options *options, struct control **ret, struct err_note *note)
{
    struct control *c = calloc(1, sizeof *c);
    if (!c)
        return err_note(note, FG_ENOMEM, "out of memory");
    c->answer = options->answer;
    c->context = options->context;
    c->patience_ms = options->patience_ms > 0 ? options->patience_ms : PATIENCE_MS;
    c->listener = -1;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        c->clients[i].fd = -1;
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int n = snprintf(c->path, sizeof c->path, "%s/" CONTROL_NAME, options->runtime_dir);
    int err = n > 0 && (size_t)n < sizeof c->path - 4 ? 0 : FG_EINVALID;
    if (err < 0) {
        err = err_note(note, FG_EIO, "%s: the path is too long for a socket; choose a shorter --runtime-dir",
                       options->runtime_dir);
        c->path[0] = '\0';
    } else {
        err = listen_at(c, note);
    }
    if (err == 0 && c->stop_fd < 0)
        err = err_note(note, FG_EIO, "%s: %s", c->path, text_errno(errno));
    if (err == 0 && pthread_create(&c->thread, NULL, run, c) != 0)
        err = err_note(note, FG_ENOMEM, "cannot start a thread");
    if (err < 0) {
        control_close(c);
        return err;
    }
    c->has_thread = true;
    pthread_setname_np(c->thread, "control");
    *ret = c;
    return 0;
}

void control_stop(struct control *c)
{
    uint64_t one = 1;
    atomic_store(&c->stopping, true);
    /* Fails only when it is already as full as can be, which wakes as well. */
    if (write(c->stop_fd, &one, sizeof one) < 0)
        return;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    if (c->has_thread) {
        control_stop(c);
        pthread_join(c->thread, NULL);
        unlink(c->path);
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0)
            drop(&c->clients[i]);
    if (c->listener >= 0)
        close(c->listener);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    free(c);
}

const struct pulse *control_pulse(const struct control *c)
{
    return &c->pulse;
}
