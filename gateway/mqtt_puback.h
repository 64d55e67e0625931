/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_puback - the reason in an acknowledgement that says yes, which Paho keeps to itself.
 *
 * Threads    Any thread; what was read is remembered for each thread by itself.
 * Ownership  A few bytes for each thread; nothing is allocated.
 * Errors     None: a reason that was not seen is 0, success.
 *
 * MQTT 5 acknowledges a message that nobody is subscribed to with reason 16. Paho 1.3.12 reads that and hands
 * on reasons from 128 only. So this file holds a recv() and an SSL_read() of our own, which the program
 * exports and which libraries therefore find before libc's and OpenSSL's: they read as those do, and take
 * note of a PUBACK that passes. Paho reads a packet's first byte, its length and the rest one after the
 * other, and calls back from the same thread before it reads the next. Whatever comes otherwise (a packet in
 * pieces, a websocket's frame) is not recognised, and its reason then counts as success.
 */
#ifndef FG_MQTT_PUBACK_H
#define FG_MQTT_PUBACK_H

/* The reason of the PUBACK with this packet identifier, if it was the last packet read on this thread; once.
 */
int mqtt_puback_reason(int packet_id);

#endif
