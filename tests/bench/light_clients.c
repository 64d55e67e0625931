/* SPDX-License-Identifier: Apache-2.0 */
/*
 * light_clients - many MQTT 3.1.1 connections that cost next to nothing themselves, so that a broker can be
 * measured: publishers with one QoS 1 message in flight each, and a receiver with a persistent session.
 *
 *     light_clients [-t CA_FILE] [-r] [-s] PORT CONNECTIONS BYTES MESSAGES RATE
 *
 * -t: TLS. -r: retained, each message on a topic of its own. -s: the receiver is there, too; without it the
 * broker keeps what it subscribed to earlier. RATE: messages a second of all together, 0: as fast as they are
 * acknowledged.
 *
 * Says in JSON how long it took until all were connected, waits for a line on stdin, publishes, says how long
 * that took until everything was acknowledged and received, and ends with its stdin.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH_QOS_1 = 0x32,
    PUBACK = 0x40,
    SUBSCRIBE = 0x82,
    SUBACK = 0x90,
    EVENTS = 256,
    SMALL = 256, /* what a publisher hears is short */
    HEAD = 5,    /* type, and a length of up to four bytes */
};

struct client {
    int fd;
    SSL *ssl; /* NULL: plain TCP */
    bool idle;
    size_t number, len, size;
    uint8_t *bytes;
};

struct load {
    SSL_CTX *tls;
    int port, poll;
    bool retained;
    size_t connections, bytes, messages;
    double rate;
    struct client *clients; /* the receiver, if any, behind the publishers */
    uint8_t *packet;
    size_t sent, acked, received;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_all(struct client *c, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = c->ssl ? SSL_write(c->ssl, bytes, (int)len) : send(c->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            die("the broker takes no more");
        bytes += n;
        len -= (size_t)n;
    }
}

/* Whether something came; nothing may be a TLS record that carries no data. */
static bool read_some(struct client *c)
{
    const size_t space = c->size - c->len;
    ssize_t n =
        c->ssl ? SSL_read(c->ssl, c->bytes + c->len, (int)space) : recv(c->fd, c->bytes + c->len, space, 0);
    if (n <= 0 && c->ssl && SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ)
        return false;
    if (n <= 0)
        die("the broker closed a connection");
    c->len += (size_t)n;
    return true;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const size_t len = strlen(text);
    *at++ = (uint8_t)(len >> 8);
    *at++ = (uint8_t)len;
    memcpy(at, text, len);
    return at + len;
}

/* Puts the head in front of what stands at packet + HEAD; sends both. */
static void send_packet(struct client *c, uint8_t *packet, uint8_t type, const uint8_t *end)
{
    uint8_t head[HEAD] = {type};
    size_t len = (size_t)(end - packet) - HEAD, count = 1;
    for (; len >= 128; len /= 128)
        head[count++] = (uint8_t)(len % 128 | 128);
    head[count++] = (uint8_t)len;
    uint8_t *begin = packet + HEAD - count;
    memcpy(begin, head, count);
    write_all(c, begin, (size_t)(end - begin));
}

static void publish(struct load *l, struct client *c)
{
    char topic[64];
    uint8_t *at = l->packet + HEAD;
    snprintf(topic, sizeof topic, "bench/v1/gateway-%06zu/data/live", l->retained ? l->sent : c->number);
    at = put_text(at, topic);
    *at++ = 0;
    *at++ = 1; /* one in flight: always the same number */
    memset(at, 'x', l->bytes);
    send_packet(c, l->packet, PUBLISH_QOS_1 | l->retained, at + l->bytes);
    c->idle = false;
    l->sent++;
}

/* Length of the first packet with its head, *ret_body where its body begins; 0 when it is not whole. */
static size_t whole_packet(const uint8_t *bytes, size_t len, size_t *ret_body)
{
    size_t rest = 0;
    for (size_t at = 1; at < len && at < HEAD; at++) {
        rest |= (size_t)(bytes[at] & 127) << (7 * (at - 1));
        if (bytes[at] < 128) {
            *ret_body = at + 1;
            return at + 1 + rest <= len ? at + 1 + rest : 0;
        }
    }
    return 0;
}

/* Takes in what came; returns the type of the last packet. */
static uint8_t take(struct load *l, struct client *c)
{
    uint8_t acks[SMALL * 4], type = 0;
    size_t at = 0, body, count = 0, one;
    while ((one = whole_packet(c->bytes + at, c->len - at, &body)) > 0) {
        const uint8_t *p = c->bytes + at;
        type = *p & 0xF0;
        if (type == PUBACK) {
            c->idle = true;
            l->acked++;
        } else if (type == (PUBLISH_QOS_1 & 0xF0)) {
            const uint8_t *id = p + body + 2 + (p[body] << 8 | p[body + 1]);
            memcpy(acks + count, (uint8_t[]){PUBACK, 2, id[0], id[1]}, 4);
            count += 4;
            l->received++;
        }
        at += one;
        if (count == sizeof acks) {
            write_all(c, acks, count);
            count = 0;
        }
    }
    memmove(c->bytes, c->bytes + at, c->len - at);
    c->len -= at;
    if (count > 0)
        write_all(c, acks, count);
    return type;
}

static void wait_for(struct load *l, struct client *c, uint8_t type)
{
    while (!read_some(c) || take(l, c) != type)
        continue;
}

static void open_client(struct load *l, struct client *c, const char *id, bool clean, size_t size)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->size = size;
    c->bytes = malloc(size);
    c->idle = true;
    if (c->fd < 0 || !c->bytes || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("no connection");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (l->tls) {
        c->ssl = SSL_new(l->tls);
        if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
            die("no TLS");
    }
    uint8_t *at = put_text(l->packet + HEAD, "MQTT");
    memcpy(at, (uint8_t[]){4, clean ? 2 : 0, 600 >> 8, 600 & 255}, 4);
    send_packet(c, l->packet, CONNECT, put_text(at + 4, id));
    wait_for(l, c, CONNACK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(l->poll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll");
}

static void connect_all(struct load *l, bool receiver)
{
    char id[32];
    l->clients = calloc(l->connections + 1, sizeof *l->clients);
    l->packet = malloc(l->bytes + 256);
    if (!l->clients || !l->packet)
        die("memory");
    for (size_t i = 0; i < l->connections; i++) {
        l->clients[i].number = i;
        snprintf(id, sizeof id, "gateway-%06zu", i);
        open_client(l, &l->clients[i], id, true, SMALL);
    }
    if (!receiver)
        return;
    struct client *c = &l->clients[l->connections];
    open_client(l, c, "warehouse", false, 1 << 18);
    memcpy(l->packet + HEAD, (uint8_t[]){0, 1}, 2);
    uint8_t *end = put_text(l->packet + HEAD + 2, "bench/#");
    *end++ = 1;
    send_packet(c, l->packet, SUBSCRIBE, end);
    wait_for(l, c, SUBACK);
}

/* How many may have been sent by now. */
static size_t due(const struct load *l, double begin)
{
    const double by_now = (seconds() - begin) * l->rate + 1;
    return l->rate <= 0 || by_now > (double)l->messages ? l->messages : (size_t)by_now;
}

static void serve(struct load *l, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(l->poll, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        do {
            if (read_some(c))
                take(l, c);
        } while (c->ssl && SSL_pending(c->ssl) > 0);
    }
}

static void run(struct load *l, bool receiver)
{
    const double begin = seconds();
    size_t next = 0;
    while (l->acked < l->messages || (receiver && l->received < l->messages)) {
        const size_t most = due(l, begin);
        for (size_t looked = 0; l->sent < most && looked < l->connections; looked++) {
            struct client *c = &l->clients[next];
            next = (next + 1) % l->connections;
            if (c->idle)
                publish(l, c);
        }
        serve(l, l->sent < l->messages ? 1 : 100);
    }
    printf("{\"messages\": %zu, \"received\": %zu, \"seconds\": %.6f}\n", l->acked, l->received,
           seconds() - begin);
    fflush(stdout);
}

static SSL_CTX *trust(const char *ca_file)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_load_verify_locations(tls, ca_file, NULL) != 1)
        die(ca_file);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY); /* a session ticket would block a read for data */
    return tls;
}

int main(int argc, char **argv)
{
    struct load l = {.poll = epoll_create1(0)};
    bool receiver = false;
    int option;
    while ((option = getopt(argc, argv, "t:rs")) != -1) {
        if (option == 't')
            l.tls = trust(optarg);
        else if (option == 'r')
            l.retained = true;
        else if (option == 's')
            receiver = true;
        else
            return 64;
    }
    if (argc - optind != 5)
        return 64;
    l.port = atoi(argv[optind]);
    l.connections = strtoul(argv[optind + 1], NULL, 10);
    l.bytes = strtoul(argv[optind + 2], NULL, 10);
    l.messages = strtoul(argv[optind + 3], NULL, 10);
    l.rate = strtod(argv[optind + 4], NULL);
    const double begin = seconds();
    connect_all(&l, receiver);
    printf("{\"connections\": %zu, \"seconds\": %.6f}\n", l.connections, seconds() - begin);
    fflush(stdout);
    if (getchar() == EOF)
        return 0;
    run(&l, receiver);
    while (getchar() != EOF)
        continue;
    return 0; /* the sockets and memory end with the process */
}
