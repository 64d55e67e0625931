/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modbus_time - simulated time between a master in the test thread and the slave of modbus_slave.h: wires are
 * real, waiting is not. Time stands still while anything is under way, and leaps to the end of a wait when
 * nothing is: silence is never guessed, a busy machine makes nobody late, and timeouts cost nothing.
 *
 * It stands in for the clock, for the master's ppoll() and for what it sends and reads by: the Makefile's
 * --wrap.
 *
 * Threads    Functions are called by the test thread; the slave's thread calls those that say so.
 * Ownership  time_begin() to time_end(), by the slave. One slave at a time.
 * Errors     Fail the test: something that is under way for ten real seconds will not come.
 */
#ifndef FG_MODBUS_TIME_H
#define FG_MODBUS_TIME_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "unit.h"

#include "../../gateway/clock.h"

struct modbus_time {
    atomic_llong now_us;
    pthread_t master;
    atomic_bool slave_runs;
    int tick_fd; /* wakes the slave */

    /* The slave's side of the present connection. */
    atomic_llong wakes_us; /* 0: awake */
    atomic_llong heard, said;
    atomic_int accepted;

    /* The master's side. */
    long long sent, got;
    int opened; /* sockets */
    int fd;

    /* What is to happen at an instant. */
    int64_t event_us;
    void (*event)(void *context);
    void *context;
    /* How long the wait for an answer, the next after so many bytes sent, is not to come back whatever comes.
     */
    int64_t hold_us;
    long long hold_after;
};

static struct modbus_time modbus_time = {.now_us = 1000000000};

int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask);
ssize_t __real_read(int fd, void *bytes, size_t len);
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
int __real_modbus_socket_connect(const char *host, int port, int64_t timeout_ms, int cancel_fd, void *note);
int __real_modbus_send_raw_request(void *serial, const uint8_t *bytes, int len);
int __real_modbus_connect(void *serial);

int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_ms(void);
void __wrap_clock_sleep_until_us(int64_t mono_us);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask);
ssize_t __wrap_read(int fd, void *bytes, size_t len);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);
int __wrap_modbus_socket_connect(const char *host, int port, int64_t timeout_ms, int cancel_fd, void *note);
int __wrap_modbus_send_raw_request(void *serial, const uint8_t *bytes, int len);
int __wrap_modbus_connect(void *serial);

/* ---- the slave's side, its thread ---- */

/* A new connection: nothing has been heard and said on it. */
static inline void time_accepted(void)
{
    atomic_store(&modbus_time.heard, 0);
    atomic_store(&modbus_time.said, 0);
    atomic_fetch_add(&modbus_time.accepted, 1);
}

/* So many bytes more have been dealt with; so many, or the end of the connection, are on their way. */
static inline void time_heard(long long bytes)
{
    atomic_fetch_add(&modbus_time.heard, bytes);
}

static inline void time_said(long long bytes)
{
    atomic_fetch_add(&modbus_time.said, bytes);
}

/* False when stop_fd ended the sleep. */
static inline bool time_sleep_us(int64_t us, int stop_fd)
{
    struct pollfd fds[2] = {{.fd = modbus_time.tick_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    uint64_t tick;
    atomic_store(&modbus_time.wakes_us, atomic_load(&modbus_time.now_us) + us);
    poll(fds, 2, -1);
    return !fds[1].revents && read(modbus_time.tick_fd, &tick, sizeof tick) == sizeof tick;
}

/* ---- the test's side ---- */

static inline void time_begin(void)
{
    modbus_time.master = pthread_self();
    modbus_time.tick_fd = eventfd(0, EFD_CLOEXEC);
    modbus_time.sent = modbus_time.got = modbus_time.opened = 0;
    modbus_time.fd = -1;
    modbus_time.event_us = modbus_time.hold_us = 0;
    atomic_store(&modbus_time.wakes_us, 0);
    atomic_store(&modbus_time.heard, 0);
    atomic_store(&modbus_time.said, 0);
    atomic_store(&modbus_time.accepted, 0);
    atomic_store(&modbus_time.slave_runs, true);
}

/* The slave's thread has ended. */
static inline void time_end(void)
{
    atomic_store(&modbus_time.slave_runs, false);
    atomic_store(&modbus_time.wakes_us, 0);
    close(modbus_time.tick_fd);
}

/* Something happens in the middle of the waits that follow. */
static inline void time_plan(int64_t in_us, void (*event)(void *context), void *context)
{
    modbus_time.event_us = modbus_time.now_us + in_us;
    modbus_time.event = event;
    modbus_time.context = context;
}

/* The wait for the next answer does not come back for so long, as on a machine that gives us no time. */
static inline void time_hold_us(int64_t us)
{
    modbus_time.hold_us = us;
    modbus_time.hold_after = modbus_time.sent;
}

static inline bool time_is_coming(void)
{
    return atomic_load(&modbus_time.said) > modbus_time.got;
}

static inline bool time_slave_is_busy(void)
{
    return atomic_load(&modbus_time.accepted) < modbus_time.opened ||
           atomic_load(&modbus_time.heard) < modbus_time.sent;
}

/* To `until`, or to what happens before; false when nothing does. Nothing is under way. */
static inline bool time_leap(int64_t until_us)
{
    struct modbus_time *t = &modbus_time;
    int64_t wakes_us = atomic_load(&t->wakes_us), now_us = atomic_load(&t->now_us);
    if (t->event_us && t->event_us <= until_us && (!wakes_us || t->event_us <= wakes_us)) {
        if (t->event_us > now_us)
            atomic_store(&t->now_us, t->event_us);
        t->event_us = 0;
        t->event(t->context);
        return true;
    }
    if (wakes_us && wakes_us <= until_us) {
        uint64_t one = 1;
        if (wakes_us > now_us)
            atomic_store(&t->now_us, wakes_us);
        atomic_store(&t->wakes_us, 0);
        assert_int_equal(write(t->tick_fd, &one, sizeof one), sizeof one);
        return true;
    }
    if (until_us > now_us)
        atomic_store(&t->now_us, until_us);
    return false;
}

/* What ppoll() would give; with no fds, time passes and that is all. */
static inline int time_wait(struct pollfd *fds, nfds_t count, int64_t until_us)
{
    const struct timespec at_once = {0}, moment = {.tv_nsec = 1000000};
    for (int moments = 0; moments < 10000;) {
        int ready = count > 0 ? __real_ppoll(fds, count, &at_once, NULL) : 0;
        bool coming = count > 0 && time_is_coming();
        if (ready != 0 && (!coming || fds[0].revents))
            return ready;
        bool asleep = atomic_load(&modbus_time.wakes_us) != 0;
        if (atomic_load(&modbus_time.slave_runs) && (coming || (!asleep && time_slave_is_busy()))) {
            __real_ppoll(fds, coming ? 1 : count, &moment, NULL);
            moments++;
        } else if (!time_leap(until_us)) {
            return 0;
        }
    }
    fail_msg("sent %lld bytes, heard %lld; said %lld, got %lld", modbus_time.sent,
             (long long)modbus_time.heard, (long long)modbus_time.said, modbus_time.got);
    return -1;
}

/* ---- what it stands in for ---- */

static inline bool time_is_master(void)
{
    return pthread_equal(pthread_self(), modbus_time.master);
}

int64_t __wrap_clock_mono_us(void)
{
    return atomic_load(&modbus_time.now_us);
}

int64_t __wrap_clock_mono_ms(void)
{
    return atomic_load(&modbus_time.now_us) / 1000;
}

void __wrap_clock_sleep_until_us(int64_t mono_us)
{
    time_wait(NULL, 0, mono_us);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask)
{
    if (!time_is_master())
        return __real_ppoll(fds, count, wait, mask);
    int64_t us = wait->tv_sec * 1000000 + wait->tv_nsec / 1000;
    modbus_time.fd = fds[0].fd;
    if (us > 0 && modbus_time.hold_us > 0 && modbus_time.sent > modbus_time.hold_after) {
        int64_t until_us = atomic_load(&modbus_time.now_us) + modbus_time.hold_us;
        modbus_time.hold_us = 0;
        time_wait(NULL, 0, until_us);
        errno = EINTR;
        return -1;
    }
    return time_wait(fds, count, atomic_load(&modbus_time.now_us) + us);
}

ssize_t __wrap_read(int fd, void *bytes, size_t len)
{
    ssize_t n = __real_read(fd, bytes, len);
    if (n > 0 && time_is_master() && fd == modbus_time.fd)
        modbus_time.got += n;
    return n;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags)
{
    ssize_t n = __real_send(fd, bytes, len, flags);
    if (n > 0 && time_is_master())
        modbus_time.sent += n;
    return n;
}

int __wrap_modbus_send_raw_request(void *serial, const uint8_t *bytes, int len)
{
    int n = __real_modbus_send_raw_request(serial, bytes, len);
    if (n > 0)
        modbus_time.sent += n;
    return n;
}

int __wrap_modbus_connect(void *serial)
{
    int rc = __real_modbus_connect(serial);
    modbus_time.sent = atomic_load(&modbus_time.heard);
    modbus_time.got = atomic_load(&modbus_time.said);
    return rc;
}

int __wrap_modbus_socket_connect(const char *host, int port, int64_t timeout_ms, int cancel_fd, void *note)
{
    int fd = __real_modbus_socket_connect(host, port, timeout_ms, cancel_fd, note);
    if (fd >= 0) {
        modbus_time.opened++;
        modbus_time.sent = modbus_time.got = 0;
    }
    return fd;
}

#endif
