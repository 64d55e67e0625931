/* SPDX-License-Identifier: Apache-2.0 */
#include "modbus_link.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../gateway/clock.h"
#include "../gateway/text.h"
#include "modbus_line.h"
#include "modbus_link_internal.h"
#include "modbus_socket.h"

#define CONNECT_TIMEOUT_MS 3000
#define REOPEN_AFTER_US 1000000

/* ---- opening and closing ---- */

void modbus_link_close(struct modbus_link *l)
{
    if (l->serial && l->fd >= 0) {
        /* Else the port stays shut to everybody while another program still holds it open. */
        (void)ioctl(l->fd, TIOCNXCL);
        modbus_close(l->serial);
    } else if (l->fd >= 0)
        close(l->fd);
    if (l->lock_fd >= 0)
        close(l->lock_fd);
    l->fd = l->lock_fd = -1;
    l->len = l->blamed = 0;
    l->timeouts = 0;
    l->follower_us = 0;
}

int modbus_link_new(const struct modbus_link_options *options, struct modbus_link **ret,
                    struct err_note *note)
{
    bool is_serial = options->protocol == MODBUS_RTU;
    if (is_serial && modbus_line_check(&options->line, note) < 0)
        return FG_EINVALID;
    struct modbus_link *l = calloc(1, sizeof *l);
    if (!l)
        return FG_ENOMEM;
    l->protocol = options->protocol;
    l->tcp_port = options->tcp_port;
    l->shared = options->shared;
    l->rs485 = options->rs485;
    l->line = options->line;
    l->fd = l->lock_fd = -1;
    l->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const char *where = is_serial ? options->port : options->host;
    char **copy = is_serial ? &l->port : &l->host;
    *copy = strdup(where ? where : "");
    if (is_serial && *copy)
        l->serial = modbus_new_rtu(l->port, l->line.baud, 'N', 8, 1); /* set_line() knows better */
    if (l->cancel_fd < 0 || !*copy || (is_serial && !l->serial)) {
        modbus_link_free(l);
        return where && *where ? FG_ENOMEM : err_note(note, FG_EINVALID, "the bus names no port or host");
    }
    *ret = l;
    return 0;
}

void modbus_link_free(struct modbus_link *l)
{
    if (!l)
        return;
    modbus_link_close(l);
    modbus_free(l->serial);
    if (l->cancel_fd >= 0)
        close(l->cancel_fd);
    free(l->port);
    free(l->host);
    free(l);
}

/* On failure the caller closes. */
static int open_serial(struct modbus_link *l, struct err_note *note)
{
    /* The lock first: connecting resets speed and format, which would disturb whoever uses the port. */
    l->lock_fd = modbus_line_lock(l->port, note);
    if (l->lock_fd < 0)
        return l->lock_fd;
    if (modbus_connect(l->serial) < 0)
        return modbus_line_explain(l->port, errno, note);
    l->fd = modbus_get_socket(l->serial);
    if (ioctl(l->fd, TIOCEXCL) < 0)
        return modbus_line_explain(l->port, errno, note);
    if (modbus_line_rs485(l->fd, l->port, l->rs485, note) < 0)
        return FG_EIO;
    l->line_is_set = false; /* that is for each request to say: one setting may be impossible, another not */
    return 0;
}

static int open_link(struct modbus_link *l, struct modbus_answer *answer)
{
    if (l->fd >= 0)
        return 0;
    int64_t now = clock_mono_us();
    if (now < l->reopen_at_us) {
        answer->note = l->failure;
        return FG_EIO;
    }
    int rc;
    if (l->serial) {
        rc = open_serial(l, &l->failure);
    } else {
        rc = modbus_socket_connect(l->host, l->tcp_port, CONNECT_TIMEOUT_MS, l->cancel_fd, &l->failure);
        if (rc >= 0)
            l->fd = rc;
    }
    if (rc < 0) {
        modbus_link_close(l);
        l->reopen_at_us = clock_mono_us() + REOPEN_AFTER_US;
        l->away = true;
        answer->note = l->failure;
        return rc;
    }
    answer->reconnected = l->was_open;
    l->was_open = true;
    l->returns += l->away;
    l->away = false;
    l->quiet_since_us = l->looked_us = clock_mono_us();
    return 0;
}

int modbus_link_lost(struct modbus_link *l, int error)
{
    if (l->serial)
        (void)modbus_line_explain(l->port, error ? error : EIO, &l->failure);
    else
        (void)err_note(&l->failure, FG_EIO,
                       "%s:%d: %s; check that the box is up and takes another connection", l->host,
                       l->tcp_port, error ? text_errno(error) : _("the other side closed the connection"));
    modbus_link_close(l);
    return FG_ECLOSED;
}

/* ---- asking ---- */

static int send_request(struct modbus_link *l, struct turn *t)
{
    const struct modbus_request *r = &t->ask->request;
    uint8_t bytes[MODBUS_FRAME_REQUEST_TCP];
    ssize_t len, sent;
    if (l->serial) {
        modbus_frame_body(r, bytes);
        len = MODBUS_FRAME_REQUEST_RTU;
        sent = modbus_send_raw_request(l->serial, bytes, 6);
    } else {
        len = MODBUS_FRAME_REQUEST_RTU;
        if (l->protocol == MODBUS_TCP) {
            len = MODBUS_FRAME_REQUEST_TCP;
            modbus_frame_request_tcp(r, t->transaction, bytes);
        } else {
            modbus_frame_request_rtu(r, bytes);
        }
        sent = send(l->fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent != len)
        return modbus_link_lost(l, sent < 0 ? errno : EIO);
    t->sent_us = clock_mono_us();
    if (l->serial)
        t->sent_us += modbus_line_chars_us(&l->line, MODBUS_FRAME_REQUEST_RTU);
    l->quiet_since_us = t->sent_us;
    t->answer->sent = true;
    return 0;
}

static int set_line(struct modbus_link *l, struct turn *t)
{
    const struct modbus_line *line = &t->ask->line;
    bool same = line->baud == l->line.baud && strcmp(line->format, l->line.format) == 0;
    if (!l->serial || (same && l->line_is_set))
        return 0;
    l->line_is_set = false;
    int rc = modbus_line_apply(l->fd, l->port, line, &l->failure);
    if (rc == FG_EINVALID) { /* the port is well and serves the others */
        t->answer->refused_line = true;
        return rc;
    }
    if (rc < 0) {
        modbus_link_close(l);
        return FG_ECLOSED;
    }
    l->line = *line;
    l->line_is_set = true;
    return 0;
}

static int ask_once(struct modbus_link *l, struct turn *t)
{
    int rc = open_link(l, t->answer);
    if (rc < 0)
        return rc;
    rc = modbus_link_settle(l, t);
    if (rc < 0)
        return rc;
    rc = set_line(l, t);
    if (rc < 0)
        return rc;
    t->transaction = ++l->transaction;
    rc = send_request(l, t);
    if (rc < 0)
        return rc;
    return modbus_link_hear(l, t);
}

void modbus_link_ask(struct modbus_link *l, const struct modbus_ask *ask, struct modbus_answer *ret)
{
    *ret = (struct modbus_answer){0};
    struct turn t = {.ask = ask, .answer = ret};
    bool had_been_open = l->fd >= 0;
    int rc = atomic_load(&l->cancelled) ? FG_ECLOSED : ask_once(l, &t);
    /* Serial servers close idle connections; that is no failure of the device. */
    if (rc == FG_ECLOSED && had_been_open && !l->serial && !atomic_load(&l->cancelled)) {
        t.odd = false;
        rc = ask_once(l, &t);
    }
    if (rc == FG_ECLOSED || rc == FG_EIO || rc == FG_EINVALID) {
        ret->quality = QUALITY_NOT_CONNECTED;
        ret->note = l->failure;
        if (rc == FG_ECLOSED)
            l->reopen_at_us = clock_mono_us() + REOPEN_AFTER_US;
        l->away |= !ret->refused_line;
        if (atomic_load(&l->cancelled))
            (void)err_note(&ret->note, FG_ECLOSED, "cancelled");
    }
    ret->wall_ms = clock_wall_ms();
    ret->mono_ms = clock_mono_ms();
}

void modbus_link_release(struct modbus_link *l)
{
    modbus_link_close(l);
    l->was_open = false;
    l->reopen_at_us = 0;
}

void modbus_link_cancel(struct modbus_link *l)
{
    atomic_store(&l->cancelled, true);
    uint64_t one = 1;
    /* Fails only when it is already as full as can be, which wakes as well. */
    if (write(l->cancel_fd, &one, sizeof one) < 0)
        return;
}

uint32_t modbus_link_late(const struct modbus_link *l, uint8_t unit)
{
    return atomic_load(&l->late_seen[unit]);
}

bool modbus_link_would_clash(struct modbus_link *l, const struct modbus_ask *ask)
{
    return l->protocol != MODBUS_TCP && modbus_late_clashes(&l->late, &ask->request);
}

int64_t modbus_link_worst_us(const struct modbus_link *l, uint8_t unit)
{
    return modbus_late_worst_us(&l->late, unit);
}

void modbus_link_strays(const struct modbus_link *l, uint64_t *ret_frames, uint64_t *ret_bytes)
{
    *ret_frames = atomic_load(&l->stray_frames);
    *ret_bytes = atomic_load(&l->stray_bytes);
}

uint32_t modbus_link_returns(const struct modbus_link *l)
{
    return l->returns;
}
