/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_fake - a broker that says what a test tells it to, for what mosquitto cannot be made to say.
 *
 * Threads    One thread of its own for one connection at a time; the fake is not touched between start and
 *            stop.
 * Ownership  mqtt_fake_start() to mqtt_fake_stop(). The answers must outlive it.
 * Errors     Fail the test.
 *
 * With tick_ms it sends a PINGRESP that often. Paho 1.3.12 notices that a TCP connection stands only when its
 * poll() for incoming bytes ends, after a second unless something comes in on any of its sockets: a client
 * connected to a ticking fake makes all connects of a test quick.
 */
#ifndef FG_TEST_MQTT_FAKE_H
#define FG_TEST_MQTT_FAKE_H

#include "broker.h"

#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct mqtt_fake {
    int port;
    const char *connack; /* answers the first packet; NULL: silence */
    const char *answer;  /* answers the second packet, or comes at once; NULL: none */
    int connack_len, answer_len;
    bool at_once;
    bool acks;       /* acknowledges each QoS 1 PUBLISH, and counts those whose topic ends with /state */
    bool websocket;  /* the first packet is then the upgrade, and answers are framed */
    int tick_ms;     /* 0: does not tick */
    char first[512]; /* the first packet of the last connection, for after mqtt_fake_stop() */
    char last[512];  /* the last one */
    int first_len, last_len;
    _Atomic unsigned served; /* connections, so far */
    int state_suback;  /* with acks: the answer to a subscription to .../state; -1: hangs up, unanswered */
    unsigned hang_ups; /* but so many of them, first, end the connection */
    _Atomic unsigned acked, states, states_asked;
    unsigned char packet[64 * 1024]; /* with acks: what is not a whole packet yet */
    size_t packet_len;
    int listener, stop[2];
    pthread_t thread;
};

#define MQTT_FAKE_CONNACK5 "\x20\x03\x00\x00\x00"
#define MQTT_FAKE_CONNACK311 "\x20\x02\x00\x00"

static inline void mqtt_fake_send(int fd, const char *bytes, int len)
{
    if (bytes != NULL && send(fd, bytes, (size_t)len, MSG_NOSIGNAL) != len)
        fprintf(stderr, "mqtt_fake: cannot send\n");
}

/* RFC 6455, 4.2.2: the key with a fixed GUID behind it, hashed. */
static inline void mqtt_fake_upgrade(int fd, const char *request)
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = strcasestr(request, "Sec-WebSocket-Key: ");
    unsigned char text[128], hash[EVP_MAX_MD_SIZE], accepted[64];
    char answer[256];
    unsigned len = 0;

    if (key == NULL)
        return;
    int n = snprintf((char *)text, sizeof(text), "%.24s%s", key + 19, GUID);
    EVP_Digest(text, (size_t)n, hash, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock(accepted, hash, (int)len);
    n = snprintf(answer, sizeof(answer),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                 accepted);
    mqtt_fake_send(fd, answer, n);
}

static inline void mqtt_fake_answer(const struct mqtt_fake *f, int fd, const char *bytes, int len)
{
    char framed[128] = {(char)0x82, (char)len};

    if (!f->websocket || bytes == NULL || len > 125) {
        mqtt_fake_send(fd, bytes, len);
        return;
    }
    memcpy(framed + 2, bytes, (size_t)len);
    mqtt_fake_send(fd, framed, len + 2);
}

/* MQTT 5.0, 3.3: topic, then the packet identifier. */
static inline void mqtt_fake_ack(struct mqtt_fake *f, int fd, const unsigned char *body)
{
    size_t topic = (size_t)body[0] << 8 | body[1];
    const char ack[] = {0x40, 0x02, (char)body[2 + topic], (char)body[3 + topic]};

    if (topic >= 6 && memcmp(body + 2 + topic - 6, "/state", 6) == 0)
        atomic_fetch_add(&f->states, 1);
    mqtt_fake_send(fd, ack, sizeof(ack));
    atomic_fetch_add(&f->acked, 1);
}

/* MQTT 5.0, 3.8: packet identifier, no properties, topic. False: hangs up. */
static inline bool mqtt_fake_suback(struct mqtt_fake *f, int fd, const unsigned char *body)
{
    size_t topic = (size_t)body[3] << 8 | body[4];
    bool state = topic >= 6 && memcmp(body + 5 + topic - 6, "/state", 6) == 0;
    const char ack[] = {(char)0x90, 4, (char)body[0], (char)body[1], 0, state ? (char)f->state_suback : 0};

    if (state && (atomic_fetch_add(&f->states_asked, 1) < f->hang_ups || f->state_suback < 0))
        return false;
    mqtt_fake_send(fd, ack, sizeof(ack));
    return true;
}

/* False: hangs up. */
static inline bool mqtt_fake_take(struct mqtt_fake *f, int fd, const char *bytes, size_t len)
{
    assert_true(f->packet_len + len <= sizeof(f->packet));
    memcpy(f->packet + f->packet_len, bytes, len);
    f->packet_len += len;
    for (;;) {
        size_t rest = 0, head = 1;
        for (int shift = 0; head < f->packet_len && head < 5; shift += 7) {
            rest |= (size_t)(f->packet[head] & 127) << shift;
            if ((f->packet[head++] & 128) == 0)
                break;
        }
        if (head == 1 || (f->packet[head - 1] & 128) != 0 || f->packet_len < head + rest)
            return true;
        if (f->packet[0] >> 4 == 3)
            mqtt_fake_ack(f, fd, f->packet + head);
        if (f->packet[0] >> 4 == 8 && !mqtt_fake_suback(f, fd, f->packet + head))
            return false;
        f->packet_len -= head + rest;
        memmove(f->packet, f->packet + head + rest, f->packet_len);
    }
}

/* Until the client has gone. A fake that is stopped still hears a client out that is about to go: what it
 * sent last may take its time. */
static inline void mqtt_fake_serve(struct mqtt_fake *f, int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = f->stop[0], .events = POLLIN}};
    char bytes[4096];
    int packets = f->websocket ? -1 : 0;
    bool stopped = false;

    f->packet_len = 0;
    for (;;) {
        int ready = poll(p, 2, stopped ? 2000 : f->tick_ms > 0 && packets > 0 ? f->tick_ms : -1);
        if (ready == 0 && stopped)
            return;
        if (p[1].revents != 0) {
            stopped = true;
            p[1].fd = -1;
        }
        if (ready == 0) {
            mqtt_fake_send(fd, "\xd0\x00", 2);
            continue;
        }
        if (p[0].revents == 0)
            continue;
        ssize_t got = recv(fd, bytes, sizeof(bytes) - 1, 0);
        if (got <= 0)
            return;
        bytes[got] = '\0';
        packets++;
        f->last_len = got < (ssize_t)sizeof(f->last) ? (int)got : (int)sizeof(f->last);
        memcpy(f->last, bytes, (size_t)f->last_len);
        if (packets == 1) {
            f->first_len = f->last_len;
            memcpy(f->first, f->last, sizeof(f->first));
        }
        if (f->acks && !mqtt_fake_take(f, fd, bytes, (size_t)got))
            return;
        if (packets == 0)
            mqtt_fake_upgrade(fd, bytes);
        if (packets == 1)
            mqtt_fake_answer(f, fd, f->connack, f->connack_len);
        if ((packets == 1 && f->at_once) || (packets == 2 && !f->at_once))
            mqtt_fake_answer(f, fd, f->answer, f->answer_len);
    }
}

static inline void *mqtt_fake_main(void *context)
{
    struct mqtt_fake *f = context;
    struct pollfd p[2] = {{.fd = f->listener, .events = POLLIN}, {.fd = f->stop[0], .events = POLLIN}};

    while (poll(p, 2, -1) > 0 && p[1].revents == 0) {
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            break;
        atomic_fetch_add(&f->served, 1);
        mqtt_fake_serve(f, fd);
        close(fd);
    }
    return NULL;
}

static inline void mqtt_fake_start(struct mqtt_fake *f)
{
    struct sockaddr_in a = broker_address(0);
    socklen_t len = sizeof(a);

    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listener, 5), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
    assert_int_equal(pipe2(f->stop, O_CLOEXEC), 0); /* or a broker keeps it open */
    assert_int_equal(pthread_create(&f->thread, NULL, mqtt_fake_main, f), 0);
}

static inline void mqtt_fake_stop(struct mqtt_fake *f)
{
    close(f->stop[1]); /* the other end becomes readable */
    pthread_join(f->thread, NULL);
    close(f->stop[0]);
    close(f->listener);
}

#endif
