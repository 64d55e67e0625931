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
#include "modbus_late.h"
#include "modbus_line.h"
#include "modbus_socket.h"

#define CONNECT_TIMEOUT_MS 3000
#define REOPEN_AFTER_US 1000000
/* What a whole frame may take above its time on the wire: scheduling, and 16 ms latency of USB adapters. */
#define SLACK_SERIAL_US 50000
#define SLACK_SOCKET_US 200000
/* Bytes of one frame come closer together than this, so a frame of full length is at its end. */
#define QUIET_SERIAL_US 20000
#define QUIET_SOCKET_US 100000
/* Requests in a row without answer after which a TCP connection is opened anew. */
#define TIMEOUTS_MAX 3
#define RECEIVE_ROOM 1024

struct modbus_link {
    enum modbus_protocol protocol;
    char *port, *host;
    int tcp_port;
    bool shared;
    modbus_t *serial; /* libmodbus's context; NULL for sockets */
    int lock_fd;      /* holds the port's lock; -1 when closed */
    int fd;           /* -1 when closed */
    int cancel_fd;
    atomic_bool cancelled;
    struct modbus_line line; /* the port's present setting */
    int64_t quiet_since_us;  /* the last byte seen, or the end of our own transmission */
    int64_t reopen_at_us;
    struct err_note failure; /* why it is not open */
    bool was_open, away;     /* at some time; since the last success */
    uint32_t returns;
    uint16_t transaction;
    unsigned timeouts; /* in a row */
    int silent_unit;   /* whose they were; -1: of several */
    uint8_t bytes[RECEIVE_ROOM];
    size_t len;
    struct modbus_late late;
    atomic_uint late_seen[256];
};

/* One request under way. */
struct turn {
    const struct modbus_ask *ask;
    struct modbus_answer *answer;
    uint16_t transaction;
    int64_t sent_us;     /* end of our transmission */
    int64_t first_us;    /* deadline of the first byte */
    int64_t deadline_us; /* of the whole frame: nothing extends it */
    bool odd;            /* bytes came that nothing explains */
};

/* ---- opening and closing ---- */

static void close_link(struct modbus_link *l)
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
    l->len = 0;
    l->timeouts = 0;
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
    l->line = options->line;
    l->fd = l->lock_fd = -1;
    l->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const char *where = is_serial ? options->port : options->host;
    char **copy = is_serial ? &l->port : &l->host;
    *copy = strdup(where ? where : "");
    if (is_serial && *copy)
        l->serial = modbus_new_rtu(l->port, l->line.baud, l->line.format[1], 8, l->line.format[2] - '0');
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
    close_link(l);
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
    return modbus_line_apply(l->fd, l->port, &l->line, note);
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
        close_link(l);
        l->reopen_at_us = clock_mono_us() + REOPEN_AFTER_US;
        l->away = true;
        answer->note = l->failure;
        return rc;
    }
    answer->reconnected = l->was_open;
    l->was_open = true;
    l->returns += l->away;
    l->away = false;
    l->quiet_since_us = clock_mono_us();
    return 0;
}

/* The port vanished, or the other side hung up. */
static int lost(struct modbus_link *l, int error)
{
    if (l->serial)
        (void)modbus_line_explain(l->port, error ? error : EIO, &l->failure);
    else
        (void)err_note(&l->failure, FG_EIO,
                       "%s:%d: %s; check that the box is up and takes another connection", l->host,
                       l->tcp_port, error ? strerrordesc_np(error) : "the other side closed the connection");
    close_link(l);
    return FG_ECLOSED;
}

/* ---- bytes ---- */

/* Waits for bytes until the given instant and takes them. The count, 0 at the end of the wait, FG_ECLOSED
 * when the connection is lost or the link cancelled. */
static int take_bytes(struct modbus_link *l, int64_t until_us)
{
    if (l->len == sizeof l->bytes) { /* only a babbling line gets here */
        l->len = MODBUS_FRAME_MAX;
        memmove(l->bytes, l->bytes + sizeof l->bytes - l->len, l->len);
    }
    int64_t left = until_us - clock_mono_us();
    left = left > 0 ? left : 0;
    struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    struct pollfd fds[2] = {{.fd = l->fd, .events = POLLIN}, {.fd = l->cancel_fd, .events = POLLIN}};
    int ready = ppoll(fds, 2, &wait, NULL);
    if (ready < 0)
        return errno == EINTR ? 0 : lost(l, errno);
    if (fds[1].revents)
        return FG_ECLOSED;
    if (fds[0].revents == 0)
        return 0;
    ssize_t n = read(l->fd, l->bytes + l->len, sizeof l->bytes - l->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return fds[0].revents & (POLLHUP | POLLERR | POLLNVAL) ? lost(l, EIO) : 0;
    if (n <= 0)
        return lost(l, n < 0 ? errno : 0);
    l->len += (size_t)n;
    int64_t now = clock_mono_us();
    if (now > l->quiet_since_us) /* while we still send, the end of that counts */
        l->quiet_since_us = now;
    return (int)n;
}

static void drop_bytes(struct modbus_link *l, size_t n)
{
    l->len -= n;
    memmove(l->bytes, l->bytes + n, l->len);
}

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
        return lost(l, sent < 0 ? errno : EIO);
    t->sent_us = clock_mono_us();
    if (l->serial)
        t->sent_us += modbus_line_chars_us(&l->line, MODBUS_FRAME_REQUEST_RTU);
    l->quiet_since_us = t->sent_us;
    t->answer->sent = true;
    return 0;
}

/* ---- before a request ---- */

static void count_late(struct modbus_link *l, uint8_t unit)
{
    atomic_fetch_add(&l->late_seen[unit], 1);
    l->timeouts = 0; /* slow, but the connection works */
}

/* Throws away what nobody waits for, keeping account of late answers. */
static void discard_bytes(struct modbus_link *l, bool final)
{
    for (;;) {
        bool is_tcp = l->protocol == MODBUS_TCP;
        struct modbus_frame f = is_tcp ? modbus_frame_find_tcp(l->bytes, l->len, NULL, 0)
                                       : modbus_frame_find_rtu(l->bytes, l->len, NULL, final);
        if (f.kind == MODBUS_FRAME_NONE || f.kind == MODBUS_FRAME_GARBAGE)
            break;
        if (is_tcp || modbus_late_seen(&l->late, &f, clock_mono_us()))
            count_late(l, f.unit);
        drop_bytes(l, f.offset + f.len);
    }
    if (final)
        l->len = 0;
}

static int refuse(struct turn *t, enum quality quality, const char *why)
{
    t->answer->quality = quality;
    return err_note(&t->answer->note, FG_ERETRY, "unit %d: %s", t->ask->request.unit, why);
}

/* Listens until the line has been silent for long enough and no late answer can be taken for ours.
 * 0: send now; FG_ERETRY: not in this turn (the answer says why). */
static int settle(struct modbus_link *l, struct turn *t)
{
    const struct modbus_ask *ask = t->ask;
    int64_t timeout_us = ask->timeout_ms * 1000;
    int64_t silence_us = ask->gap_ms * 1000;
    if (l->serial) /* of the slower of the two settings, when the port is about to be switched */
        silence_us += modbus_line_silence_us(l->line.baud < ask->line.baud ? &l->line : &ask->line);
    int64_t give_up_us = clock_mono_us() + silence_us + 4 * timeout_us;
    for (int64_t wait_us = 0;;) {
        int rc = take_bytes(l, wait_us);
        if (rc < 0)
            return rc;
        discard_bytes(l, false);
        int64_t now = clock_mono_us(), until_us = 0;
        enum modbus_late_verdict verdict = MODBUS_LATE_GO;
        if (l->protocol != MODBUS_TCP)
            verdict = modbus_late_check(&l->late, &ask->request, timeout_us, now, &until_us);
        if (verdict == MODBUS_LATE_REFUSE)
            return refuse(t, QUALITY_NO_REPLY,
                          "left alone until its late answers can have come; raise its timeout");
        wait_us = l->quiet_since_us + silence_us;
        if (verdict == MODBUS_LATE_WAIT && until_us > wait_us)
            wait_us = until_us;
        if (now >= wait_us && rc == 0)
            break;
        if (now >= give_up_us)
            return refuse(t, QUALITY_BAD_FRAME,
                          "the line is never silent; another master, or a sensor that talks unasked?");
    }
    /* MBAP frames tell their length: what stands here unfinished goes on in the next bytes. */
    if (l->protocol != MODBUS_TCP)
        discard_bytes(l, true);
    return 0;
}

static int set_line(struct modbus_link *l, struct turn *t)
{
    const struct modbus_line *line = &t->ask->line;
    if (!l->serial || (line->baud == l->line.baud && strcmp(line->format, l->line.format) == 0))
        return 0;
    int rc = modbus_line_apply(l->fd, l->port, line, &l->failure);
    if (rc < 0) {
        close_link(l);
        return FG_ECLOSED;
    }
    l->line = *line;
    return 0;
}

/* ---- the answer ---- */

static struct modbus_frame find_frame(struct modbus_link *l, const struct turn *t, bool final)
{
    if (l->protocol == MODBUS_TCP)
        return modbus_frame_find_tcp(l->bytes, l->len, &t->ask->request, t->transaction);
    return modbus_frame_find_rtu(l->bytes, l->len, &t->ask->request, final);
}

static void accept_frame(struct modbus_link *l, struct turn *t, const struct modbus_frame *f)
{
    struct modbus_answer *a = t->answer;
    int64_t took_us = l->quiet_since_us - t->sent_us;
    a->reply_us = took_us > 0 ? took_us : 0;
    a->reply_ms = (uint32_t)(a->reply_us / 1000);
    a->quality = QUALITY_GOOD;
    if (f->kind == MODBUS_FRAME_EXCEPTION) {
        a->quality = QUALITY_EXCEPTION;
        a->exception = f->exception;
    } else {
        memcpy(a->data, f->data, f->data_len);
        a->data_len = f->data_len;
    }
    l->timeouts = 0;
    if (l->protocol != MODBUS_TCP)
        modbus_late_answered(&l->late, &t->ask->request, t->sent_us, l->quiet_since_us);
}

/* Looks through what has come: true when the turn is over, with the answer filled. */
static bool look(struct modbus_link *l, struct turn *t, bool final)
{
    for (;;) {
        struct modbus_frame f = find_frame(l, t, final);
        bool is_tcp = l->protocol == MODBUS_TCP, over = false;
        switch (f.kind) {
        case MODBUS_FRAME_NONE:
            return false;
        case MODBUS_FRAME_REPLY:
            accept_frame(l, t, &f);
            over = true;
            break;
        case MODBUS_FRAME_EXCEPTION:
            over = is_tcp || !modbus_late_doubts(&l->late, &t->ask->request);
            if (over)
                accept_frame(l, t, &f);
            else if (modbus_late_seen(&l->late, &f, l->quiet_since_us))
                count_late(l, f.unit);
            break;
        case MODBUS_FRAME_ECHO:
            break;
        case MODBUS_FRAME_FOREIGN:
            if (is_tcp && f.transaction == t->transaction) { /* ours by number, not by content */
                t->answer->quality = QUALITY_BAD_FRAME;
                over = true;
            } else if (is_tcp || modbus_late_seen(&l->late, &f, l->quiet_since_us)) {
                count_late(l, f.unit);
            } else {
                t->odd = true;
            }
            break;
        case MODBUS_FRAME_GARBAGE:
            t->answer->quality = QUALITY_BAD_FRAME;
            (void)err_note(&t->answer->note, FG_ECORRUPT,
                           "%s:%d: this is not Modbus TCP; perhaps the box speaks rtu_over_tcp", l->host,
                           l->tcp_port);
            close_link(l); /* where the next frame begins can no longer be told */
            return true;
        }
        t->odd |= f.offset > 0;
        drop_bytes(l, f.offset + f.len);
        if (over)
            return true;
    }
}

/* Until when it is worth listening, with what has come so far. */
static int64_t listen_until(const struct modbus_link *l, const struct turn *t)
{
    if (l->len == 0)
        return t->first_us;
    const struct modbus_request *r = &t->ask->request;
    bool full = l->len >= modbus_frame_reply_len(r) || modbus_frame_broken(l->bytes, l->len, r);
    if (l->protocol == MODBUS_TCP || !full)
        return t->deadline_us;
    int64_t quiet_us = l->serial ? QUIET_SERIAL_US : QUIET_SOCKET_US;
    int64_t silence_us = l->serial ? modbus_line_silence_us(&l->line) : 0;
    int64_t until_us = l->quiet_since_us + (silence_us > quiet_us ? silence_us : quiet_us);
    return until_us < t->deadline_us ? until_us : t->deadline_us;
}

static void count_timeout(struct modbus_link *l, int unit)
{
    l->silent_unit = l->timeouts == 0 || l->silent_unit == unit ? unit : -1;
    l->timeouts++;
    /* One dead unit behind a serial server is no reason to drop the connection that the others use. */
    bool all_silent = l->silent_unit < 0 || !l->shared;
    if (!l->serial && l->timeouts >= TIMEOUTS_MAX && all_silent)
        close_link(l);
}

static void give_up(struct modbus_link *l, struct turn *t)
{
    const struct modbus_request *r = &t->ask->request;
    struct modbus_answer *a = t->answer;
    if (l->protocol != MODBUS_TCP && modbus_frame_broken(l->bytes, l->len, r)) {
        a->quality = QUALITY_BAD_CRC;
        modbus_late_answered(&l->late, r, t->sent_us, l->quiet_since_us);
        l->timeouts = 0;
        return;
    }
    a->quality = l->len > 0 || t->odd ? QUALITY_BAD_FRAME : QUALITY_NO_REPLY;
    if (l->protocol != MODBUS_TCP)
        modbus_late_unanswered(&l->late, r, t->ask->timeout_ms * 1000, t->sent_us);
    count_timeout(l, r->unit);
}

static int receive(struct modbus_link *l, struct turn *t)
{
    for (;;) {
        if (look(l, t, false))
            return 0;
        int64_t until_us = listen_until(l, t);
        if (clock_mono_us() >= until_us) {
            if (!look(l, t, true))
                give_up(l, t);
            return 0;
        }
        int rc = take_bytes(l, until_us);
        if (rc < 0)
            return rc;
    }
}

static void set_deadlines(const struct modbus_link *l, struct turn *t)
{
    t->first_us = t->sent_us + t->ask->timeout_ms * 1000;
    t->deadline_us = t->first_us + SLACK_SOCKET_US;
    if (l->serial)
        t->deadline_us = t->first_us + SLACK_SERIAL_US +
                         modbus_line_chars_us(&l->line, modbus_frame_reply_len(&t->ask->request));
}

static int ask_once(struct modbus_link *l, struct turn *t)
{
    int rc = open_link(l, t->answer);
    if (rc < 0)
        return rc;
    rc = settle(l, t);
    if (rc < 0)
        return rc;
    rc = set_line(l, t);
    if (rc < 0)
        return rc;
    t->transaction = ++l->transaction;
    rc = send_request(l, t);
    if (rc < 0)
        return rc;
    set_deadlines(l, t);
    return receive(l, t);
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
        l->away = true;
        if (atomic_load(&l->cancelled))
            (void)err_note(&ret->note, FG_ECLOSED, "cancelled");
    }
    ret->wall_ms = clock_wall_ms();
    ret->mono_ms = clock_mono_ms();
}

void modbus_link_release(struct modbus_link *l)
{
    close_link(l);
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

uint32_t modbus_link_returns(const struct modbus_link *l)
{
    return l->returns;
}
