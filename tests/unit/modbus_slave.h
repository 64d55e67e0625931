/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_slave - a small Modbus slave in a thread, on a pseudo terminal or a loopback TCP port, with faults
 * on demand, in simulated time (modbus_time.h). Framing and check sum are written here anew, so that no
 * mistake is shared with what is tested.
 *
 * Threads    The test thread starts and stops; faults (atomics) may be changed at any time.
 * Ownership  slave_start_*() / slave_stop().
 * Errors     Fail the test.
 *
 * Register and bit values tell where they come from: slave_value() and slave_bit().
 */
#ifndef FG_MODBUS_SLAVE_H
#define FG_MODBUS_SLAVE_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>

#include "modbus_time.h"

enum slave_wire { SLAVE_RTU, SLAVE_TCP, SLAVE_RTU_OVER_TCP };

struct slave {
    enum slave_wire wire;
    pthread_t thread;
    int stop_fd;
    int fd;                    /* pty master, or the present connection */
    int listener;              /* TCP */
    int port;                  /* TCP */
    char folder[64], path[96]; /* RTU: a link to the present terminal, as udev makes them */

    /* Faults; 0 is none. */
    atomic_int silent_unit, silent_address; /* never answers (address + 1) */
    atomic_int late_ms, late_one_in;        /* answers every n-th request so much later (one_in 0: all) */
    atomic_int drip_us;                     /* between single bytes */
    atomic_int garbage;                     /* bytes 0x00 before each answer */
    atomic_bool echo, break_crc, hang_up_once;
    atomic_bool garble;        /* TCP: answers an RTU frame instead */
    atomic_int say_unit;       /* answers in this unit's name */
    atomic_int refuse_address; /* exception 02 for blocks that hold it (address + 1) */
    atomic_int refuse_longer;  /* exception 03 for more registers than this */
    atomic_int exception;      /* for everything */

    atomic_int requests, answers, connections;
    atomic_int longest;               /* registers asked for at once */
    atomic_llong shortest_silence_us; /* between our last byte and the next request */
    int64_t sent_us;
};

static inline uint16_t slave_value(int unit, int address)
{
    return (uint16_t)(unit * 1000 + address);
}

static inline int slave_bit(int unit, int address)
{
    return (unit + address) % 3 == 0;
}

/* The check sum by polynomial division of the reflected bits, written unlike the driver's. */
static inline unsigned slave_crc(const uint8_t *bytes, size_t len)
{
    unsigned crc = 0xFFFFu;
    for (size_t i = 0; i < len * 8; i++) {
        unsigned in = (unsigned)bytes[i / 8] >> (i % 8) & 1u;
        unsigned out = (crc & 1u) ^ in;
        crc = (crc >> 1) ^ (out ? 0xA001u : 0u);
    }
    return crc;
}

/* Outside of simulated time. False when the slave is stopped. */
static inline bool slave_wait_ms(struct slave *s, int ms)
{
    struct pollfd fd = {.fd = s->stop_fd, .events = POLLIN};
    return poll(&fd, 1, ms) == 0;
}

static inline void slave_write(struct slave *s, const uint8_t *bytes, size_t len)
{
    int drip = atomic_load(&s->drip_us);
    for (size_t i = 0; i < len;) {
        size_t chunk = drip ? 1 : len - i;
        ssize_t n = s->wire == SLAVE_RTU ? write(s->fd, bytes + i, chunk)
                                         : send(s->fd, bytes + i, chunk, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        time_said(n);
        i += (size_t)n;
        if (drip && i < len && !time_sleep_us(drip, s->stop_fd))
            return;
    }
    s->sent_us = clock_mono_us();
    atomic_fetch_add(&s->answers, 1);
}

/* Body (unit, function, ...) into a frame of the wire in question. */
static inline void slave_frame(struct slave *s, const uint8_t *head, const uint8_t *body, size_t len)
{
    uint8_t out[300];
    size_t n = 0;
    if (s->wire == SLAVE_TCP && !atomic_load(&s->garble)) {
        memcpy(out, head, 2);
        out[2] = out[3] = 0;
        out[4] = (uint8_t)(len >> 8);
        out[5] = (uint8_t)len;
        memcpy(out + 6, body, len);
        n = 6 + len;
    } else {
        for (int i = atomic_load(&s->garbage); i > 0; i--)
            out[n++] = 0;
        memcpy(out + n, body, len);
        unsigned crc = slave_crc(body, len);
        if (atomic_load(&s->break_crc))
            crc ^= 0x0100u;
        out[n + len] = (uint8_t)crc;
        out[n + len + 1] = (uint8_t)(crc >> 8);
        n += len + 2;
    }
    slave_write(s, out, n);
}

static inline int slave_refusal(struct slave *s, int address, int count)
{
    int refused = atomic_load(&s->refuse_address) - 1, longer = atomic_load(&s->refuse_longer);
    if (atomic_load(&s->exception))
        return atomic_load(&s->exception);
    if (refused >= address && refused < address + count)
        return 2;
    return longer && count > longer ? 3 : 0;
}

/* request: unit, function, address, count; head: the MBAP transaction. */
static inline void slave_serve(struct slave *s, const uint8_t *head, const uint8_t *request)
{
    int unit = request[0], function = request[1];
    int address = request[2] << 8 | request[3], count = request[4] << 8 | request[5];
    int number = atomic_fetch_add(&s->requests, 1);
    if (count > atomic_load(&s->longest))
        atomic_store(&s->longest, count);
    if (atomic_exchange(&s->hang_up_once, 0)) {
        time_said(1); /* its end */
        shutdown(s->fd, SHUT_RDWR);
        return;
    }
    if (unit == atomic_load(&s->silent_unit) || address == atomic_load(&s->silent_address) - 1)
        return;
    int late = atomic_load(&s->late_ms), one_in = atomic_load(&s->late_one_in);
    if (late && (one_in == 0 || number % one_in == 0) && !time_sleep_us(late * 1000LL, s->stop_fd))
        return;
    uint8_t body[260] = {(uint8_t)unit, (uint8_t)function};
    if (atomic_load(&s->say_unit))
        body[0] = (uint8_t)atomic_load(&s->say_unit);
    int code = slave_refusal(s, address, count);
    if (code) {
        body[1] |= 0x80;
        body[2] = (uint8_t)code;
        slave_frame(s, head, body, 3);
        return;
    }
    body[2] = (uint8_t)(function <= 2 ? (count + 7) / 8 : count * 2);
    for (int i = 0; i < count; i++) {
        if (function <= 2) {
            body[3 + i / 8] = (uint8_t)(body[3 + i / 8] | slave_bit(unit, address + i) << i % 8);
        } else {
            body[3 + 2 * i] = (uint8_t)(slave_value(unit, address + i) >> 8);
            body[4 + 2 * i] = (uint8_t)slave_value(unit, address + i);
        }
    }
    slave_frame(s, head, body, 3u + body[2]);
}

/* Takes whole requests out of what has come; returns what is left. */
static inline size_t slave_take(struct slave *s, uint8_t *bytes, size_t len)
{
    size_t whole = s->wire == SLAVE_TCP ? 12 : 8;
    while (len >= whole) {
        if (s->wire != SLAVE_TCP && slave_crc(bytes, 8) != 0) { /* over frame and sum it is 0 */
            memmove(bytes, bytes + 1, --len);
            continue;
        }
        uint8_t request[12];
        memcpy(request, bytes, whole);
        memmove(bytes, bytes + whole, len -= whole);
        if (atomic_load(&s->echo))
            slave_write(s, request, whole);
        slave_serve(s, request, s->wire == SLAVE_TCP ? request + 6 : request);
    }
    return len;
}

static inline void slave_note_silence(struct slave *s)
{
    long long silence = clock_mono_us() - s->sent_us;
    if (s->sent_us && silence < atomic_load(&s->shortest_silence_us))
        atomic_store(&s->shortest_silence_us, silence);
}

static inline void slave_talk(struct slave *s)
{
    uint8_t bytes[512];
    size_t len = 0;
    for (;;) {
        struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return;
        ssize_t n = read(s->fd, bytes + len, sizeof bytes - len);
        if (n <= 0) {
            /* A terminal that nobody has open says EIO; look again soon. */
            if (s->wire != SLAVE_RTU || !slave_wait_ms(s, 1))
                return;
            continue;
        }
        if (len == 0)
            slave_note_silence(s);
        len = slave_take(s, bytes, len + (size_t)n);
        time_heard(n);
    }
}

static inline void *slave_main(void *context)
{
    struct slave *s = context;
    while (s->wire != SLAVE_RTU) {
        struct pollfd fds[2] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        int on = 1;
        s->fd = accept(s->listener, NULL, NULL);
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        atomic_fetch_add(&s->connections, 1);
        time_accepted();
        slave_talk(s);
        close(s->fd);
        s->fd = -1;
    }
    slave_talk(s);
    return NULL;
}

static inline void slave_run(struct slave *s)
{
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->sent_us = 0;
    atomic_store(&s->shortest_silence_us, 1LL << 60);
    time_begin();
    assert_int_equal(pthread_create(&s->thread, NULL, slave_main, s), 0);
}

/* s is zeroed by the caller; may be started again after slave_unplug(). */
static inline void slave_start_rtu(struct slave *s)
{
    int terminal;
    char name[64];
    struct termios raw;
    s->wire = SLAVE_RTU;
    s->listener = -1;
    if (!s->folder[0]) {
        unit_folder(s->folder);
        snprintf(s->path, sizeof s->path, "%s/port", s->folder);
    }
    assert_int_equal(openpty(&s->fd, &terminal, NULL, NULL, NULL), 0);
    tcgetattr(terminal, &raw);
    cfmakeraw(&raw);
    tcsetattr(terminal, TCSANOW, &raw);
    assert_int_equal(ptsname_r(s->fd, name, sizeof name), 0);
    close(terminal);
    assert_int_equal(symlink(name, s->path), 0);
    slave_run(s);
}

static inline void slave_start_tcp(struct slave *s, enum slave_wire wire)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    s->wire = wire;
    s->fd = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    slave_run(s);
}

static inline void slave_assert_heard(struct slave *s, int requests)
{
    assert_int_equal(atomic_load(&s->requests), requests);
}

static inline void slave_unplug(struct slave *s)
{
    uint64_t one = 1;
    assert_int_equal(write(s->stop_fd, &one, sizeof one), sizeof one);
    pthread_join(s->thread, NULL);
    time_end();
    close(s->stop_fd);
    if (s->fd >= 0)
        close(s->fd);
    if (s->listener >= 0)
        close(s->listener);
    if (s->path[0])
        unlink(s->path);
}

static inline void slave_stop(struct slave *s)
{
    slave_unplug(s);
    if (s->folder[0])
        unit_remove_folder(s->folder);
}

#endif
