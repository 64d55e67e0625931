/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_tcp - a Modbus TCP endpoint on loopback with many units behind it, fast enough not to be what is
 * measured.
 *
 *     wire_tcp [--units 1-50] [--registers 20]
 *
 * Says on stdout which port it has. Questions of one connection are answered one after the other: a unit's
 * latency holds up those behind it, as in a serial server; a unit that is late or dead holds up nobody.
 *
 * Orders on stdin, answers on stdout: those of unit_table.h, and "stats", "book", "times", "quit".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "orders.h"
#include "unit_table.h"

#define CONNECTIONS_MAX 16
#define HEAD 7 /* MBAP: transaction, protocol, length, unit */
#define LATE_MAX 64

struct connection {
    int fd; /* -1: free */
    size_t len;
    uint8_t bytes[4096];
    int64_t ready_ns; /* the unit asked last is busy until then */
};

struct late_reply {
    bool used;
    int fd;
    int64_t due_ns;
    uint8_t frame[HEAD + UNIT_PDU_MAX];
    size_t len;
    struct unit_answer answer;
};

struct endpoint {
    struct unit_table table;
    int listener;
    struct connection connections[CONNECTIONS_MAX];
    struct late_reply late[LATE_MAX];
    uint64_t requests, bad, opened;
    struct orders orders;
    bool quit;
};

static void send_frame(struct endpoint *e, int fd, const uint8_t *frame, size_t len,
                       const struct unit_answer *a)
{
    struct unit_answer done = *a;
    if (send(fd, frame, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
        done.fault = UNIT_FAULT_DROPPED;
    unit_table_settle(&e->table, &done);
}

static void send_later(struct endpoint *e, int fd, const uint8_t *frame, size_t len,
                       const struct unit_answer *a, int64_t due_ns)
{
    for (int i = 0; i < LATE_MAX; i++) {
        struct late_reply *r = &e->late[i];
        if (r->used)
            continue;
        *r = (struct late_reply){.used = true, .fd = fd, .due_ns = due_ns, .len = len, .answer = *a};
        memcpy(r->frame, frame, len);
        return;
    }
}

static void answer(struct endpoint *e, struct connection *c, const uint8_t *question, size_t pdu_len)
{
    struct unit_answer a;
    uint8_t frame[HEAD + UNIT_PDU_MAX];
    e->requests++;
    if (!unit_table_answer(&e->table, question[6], question + HEAD, pdu_len, &a))
        return;
    memcpy(frame, question, HEAD);
    frame[0] ^= a.fault == UNIT_FAULT_GARBLED ? 0x55 : 0; /* no CRC to break: another transaction */
    frame[4] = (uint8_t)((a.len + 1) >> 8);
    frame[5] = (uint8_t)((a.len + 1) & 0xFF);
    memcpy(frame + HEAD, a.pdu, a.len);
    if (a.fault == UNIT_FAULT_DROPPED) {
        unit_table_settle(&e->table, &a);
        return;
    }
    if (a.delay_ns == 0) {
        send_frame(e, c->fd, frame, HEAD + a.len, &a);
        return;
    }
    int64_t now = unit_table_now_ns();
    int64_t due = a.delay_ns + (c->ready_ns > now ? c->ready_ns : now);
    if (a.fault != UNIT_FAULT_LATE)
        c->ready_ns = due;
    send_later(e, c->fd, frame, HEAD + a.len, &a, due);
}

static void hang_up(struct endpoint *e, struct connection *c)
{
    for (int i = 0; i < LATE_MAX; i++)
        e->late[i].used &= e->late[i].fd != c->fd;
    close(c->fd);
    c->fd = -1;
}

static void take_bytes(struct endpoint *e, struct connection *c)
{
    ssize_t n = read(c->fd, c->bytes + c->len, sizeof c->bytes - c->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        hang_up(e, c);
        return;
    }
    c->len += (size_t)n;
    size_t at = 0;
    while (c->len - at > HEAD) {
        const uint8_t *f = c->bytes + at;
        size_t body = (size_t)f[4] << 8 | f[5]; /* from the unit on */
        if (f[2] != 0 || f[3] != 0 || body < 2 || body > UNIT_PDU_MAX + 1) {
            e->bad++;
            hang_up(e, c);
            return;
        }
        if (c->len - at < 6 + body)
            break;
        answer(e, c, f, body - 1);
        at += 6 + body;
    }
    c->len -= at;
    memmove(c->bytes, c->bytes + at, c->len);
}

static void take_connection(struct endpoint *e)
{
    int one = 1, fd = accept(e->listener, NULL, NULL);
    struct connection *c = e->connections;
    while (c < e->connections + CONNECTIONS_MAX && c->fd >= 0)
        c++;
    if (fd < 0 || c == e->connections + CONNECTIONS_MAX) {
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *c = (struct connection){.fd = fd};
    e->opened++;
}

static int64_t run_late(struct endpoint *e)
{
    int64_t now = unit_table_now_ns(), next = now + NS_PER_S;
    for (int i = 0; i < LATE_MAX; i++) {
        struct late_reply *r = &e->late[i];
        if (r->used && r->due_ns <= now) {
            r->used = false;
            send_frame(e, r->fd, r->frame, r->len, &r->answer);
        } else if (r->used && r->due_ns < next) {
            next = r->due_ns;
        }
    }
    return next;
}

static void obey(void *context, const char *order)
{
    struct endpoint *e = context;
    bool done = true;
    if (strcmp(order, "book") == 0) {
        unit_table_print_book(&e->table, stdout);
        fflush(stdout);
        return;
    }
    if (strcmp(order, "times") == 0) {
        unit_table_print_times(&e->table, stdout);
        fflush(stdout);
        return;
    }
    if (strcmp(order, "stats") == 0) {
        printf("{\"requests\": %llu, \"bad\": %llu, \"connections\": %llu, ", (unsigned long long)e->requests,
               (unsigned long long)e->bad, (unsigned long long)e->opened);
        unit_table_print(&e->table, stdout);
        puts("}");
        fflush(stdout);
        return;
    }
    if (strcmp(order, "quit") == 0)
        e->quit = true;
    else
        done = unit_table_obey(&e->table, order);
    if (strcmp(order, "reset") == 0)
        e->requests = e->bad = e->opened = 0;
    puts(done ? "ok" : "unknown order");
    fflush(stdout);
}

static void run(struct endpoint *e)
{
    while (!e->quit) {
        struct pollfd fds[2 + CONNECTIONS_MAX] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                                  {.fd = e->listener, .events = POLLIN}};
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            fds[2 + i] = (struct pollfd){.fd = e->connections[i].fd, .events = POLLIN};
        int64_t next = run_late(e), left = next - unit_table_now_ns();
        left = left > 0 ? left : 0;
        struct timespec wait = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        if (ppoll(fds, 2 + CONNECTIONS_MAX, &wait, NULL) <= 0)
            continue;
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (fds[2 + i].revents && fds[2 + i].fd >= 0)
                take_bytes(e, &e->connections[i]);
        if (fds[1].revents)
            take_connection(e);
        if (fds[0].revents)
            e->quit |= !orders_read(&e->orders, obey, e);
    }
}

static int listen_anywhere(struct endpoint *e)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    e->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (e->listener < 0 || bind(e->listener, (struct sockaddr *)&at, len) < 0 ||
        listen(e->listener, 16) < 0 || getsockname(e->listener, (struct sockaddr *)&at, &len) < 0)
        return -1;
    return ntohs(at.sin_port);
}

int main(int argc, char **argv)
{
    static struct endpoint e;
    static const struct option options[] = {{"units", required_argument, NULL, 'u'},
                                            {"registers", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    const char *units = "1-50";
    int registers = 20;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'u')
            units = optarg;
        else if (c == 'r')
            registers = atoi(optarg);
        else
            return 64;
    }
    if (!unit_table_init(&e.table, units, registers)) {
        fputs("wire_tcp: units or registers that cannot be\n", stderr);
        return 64;
    }
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        e.connections[i].fd = -1;
    int port = listen_anywhere(&e);
    if (port < 0) {
        perror("wire_tcp");
        return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    printf("{\"host\": \"127.0.0.1\", \"tcp_port\": %d}\n", port);
    fflush(stdout);
    run(&e);
    return 0;
}
