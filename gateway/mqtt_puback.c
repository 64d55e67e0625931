/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_puback.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { PUBACK = 0x40, LEAST = 2, MOST = 127 /* a length of one byte */ };
enum at { AT_START, AT_LENGTH, AT_BODY };

/* Between two calls of a library that gives us no context, on the thread that it makes them on. */
static __thread struct {
    uintptr_t source; /* the socket or TLS connection that the packet comes from */
    enum at at;
    int length;
    int packet_id, reason; /* of the PUBACK that was read last; 0: none */
} seen;

static void take_byte(uintptr_t source, unsigned char byte)
{
    if (seen.at == AT_LENGTH && seen.source == source) {
        seen.length = byte;
        seen.at = byte >= LEAST && byte <= MOST ? AT_BODY : AT_START;
        return;
    }
    seen.source = source;
    seen.packet_id = 0;
    seen.at = byte == PUBACK ? AT_LENGTH : AT_START;
}

/* MQTT 5.0, 3.4.2: the identifier, then the reason, which is left out when it is 0. */
static void take_body(uintptr_t source, const unsigned char *bytes, size_t len)
{
    bool whole = seen.at == AT_BODY && seen.source == source && len == (size_t)seen.length;
    seen.at = AT_START;
    seen.packet_id =
        0; /* each connection counts its own: one that is not recognised must not get another's */
    if (!whole)
        return;
    seen.packet_id = bytes[0] << 8 | bytes[1];
    seen.reason = len > LEAST ? bytes[2] : 0;
}

static void take(uintptr_t source, const void *bytes, size_t len)
{
    if (len == 1)
        take_byte(source, *(const unsigned char *)bytes);
    else
        take_body(source, bytes, len);
}

int mqtt_puback_reason(int packet_id)
{
    bool is_it = packet_id != 0 && packet_id == seen.packet_id;
    seen.packet_id = 0; /* a frame may bring several packets, read before this one */
    return is_it ? seen.reason : 0;
}

/* Stands before libc's: see mqtt_puback.h. */
ssize_t recv(int fd, void *buffer, size_t len, int flags)
{
    ssize_t got = recvfrom(fd, buffer, len, flags, NULL, NULL);
    if (got > 0 && (flags & MSG_PEEK) == 0)
        take((uintptr_t)fd, buffer, (size_t)got);
    return got;
}

/* Stands before OpenSSL's. SSL_read_ex() does not tell 0 from below 0, and Paho takes everything below 0 for
 * "later" while it opens a websocket: it would wait in vain for a broker that has ended the connection. */
int SSL_read(SSL *tls, void *buffer, int len)
{
    size_t got = 0;
    if (SSL_read_ex(tls, buffer, len > 0 ? (size_t)len : 0, &got) <= 0) {
        int why = SSL_get_error(tls, 0);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
    }
    take((uintptr_t)tls, buffer, got);
    return (int)got;
}
