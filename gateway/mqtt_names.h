/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_names - lets Paho find the address of a broker that we have just looked up, without asking again.
 *
 * Threads    Any thread.
 * Ownership  A small table for the whole process; nothing is allocated.
 * Errors     As getaddrinfo().
 *
 * For TLS and websockets Paho must be given the name itself, and looks it up under the lock that all its
 * clients share: a resolver that hangs for one uplink would silence the others. So this file holds a
 * getaddrinfo() of our own, which the program exports and which libraries therefore find before libc's: it
 * answers for names in the table and passes everything else on. Paho then also takes the address that was
 * chosen, where by itself it would only try a name's first IPv4 address.
 */
#ifndef FG_MQTT_NAMES_H
#define FG_MQTT_NAMES_H

#include <netdb.h>
#include <sys/socket.h>

/* For the next minute the name has this address. */
void mqtt_names_know(const char *host, const struct sockaddr *address, socklen_t len);
/* libc's getaddrinfo(): asks the resolver, whatever is in the table. */
int mqtt_names_ask(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);

#endif
