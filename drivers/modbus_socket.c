/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../gateway/clock.h"
#include "../gateway/text.h"

/* A name with a long list of dead addresses must not hold the bus for minutes. */
#define ADDRESSES_MAX 4

static int explain(const char *host, int port, int error, struct err_note *note)
{
    const char *advice = _("check the address, the cable and the network");
    if (error == ECONNREFUSED)
        advice =
            _("the box is there but nothing listens on this port: check tcp_port, and that Modbus is on");
    else if (error == ETIMEDOUT)
        advice = _("nobody answers at this address: check power, cable and address");
    return err_note(note, FG_EIO, "%s:%d: %s; %s", host, port, text_errno(error), advice);
}

/* 0, an errno, or -1 when cancelled. */
static int wait_connected(int fd, int64_t deadline_mono_ms, int cancel_fd)
{
    for (;;) {
        int64_t left = deadline_mono_ms - clock_mono_ms();
        if (left <= 0)
            return ETIMEDOUT;
        struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = cancel_fd, .events = POLLIN}};
        if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
            return errno;
        if (fds[1].revents)
            return -1;
        if (fds[0].revents)
            break;
    }
    int error = 0;
    socklen_t len = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static void tune(int fd)
{
    /* Failures cost only promptness, so they are not looked at. */
    int on = 1, idle_s = 30, interval_s = 10, probes = 3;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* A descriptor, or a negative errno; *ret_cancelled tells a cancelled attempt from a failed one. */
static int connect_one(const struct addrinfo *a, int64_t deadline_mono_ms, int cancel_fd, int *ret_cancelled)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -errno;
    int error = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS)
        error = wait_connected(fd, deadline_mono_ms, cancel_fd);
    if (error == 0) {
        tune(fd);
        return fd;
    }
    close(fd);
    *ret_cancelled = error < 0;
    return error < 0 ? -ECANCELED : -error;
}

int modbus_socket_connect(const char *host, int port, int64_t timeout_ms, int cancel_fd,
                          struct err_note *note)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0)
        return err_note(note, FG_EIO, "%s:%d: %s; check the name, or write the address instead", host, port,
                        rc == EAI_SYSTEM ? text_errno(errno) : text_said(gai_strerror(rc)));
    int fd = -EHOSTUNREACH, cancelled = 0, tried = 0;
    for (struct addrinfo *a = list; a && fd < 0 && !cancelled && tried < ADDRESSES_MAX;
         a = a->ai_next, tried++)
        fd = connect_one(a, clock_mono_ms() + timeout_ms, cancel_fd, &cancelled);
    freeaddrinfo(list);
    if (cancelled)
        return err_note(note, FG_ECLOSED, "%s:%d: the attempt was cancelled", host, port);
    return fd >= 0 ? fd : explain(host, port, -fd, note);
}
