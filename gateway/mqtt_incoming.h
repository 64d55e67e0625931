/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_incoming - a message of Paho's as one of ours. Part of the door to Paho's MQTTAsync.
 *
 * Threads    Any; called from Paho's, under its global lock.
 * Ownership  All in one block, which free() frees. Paho's message stays the caller's.
 * Errors     NULL: no memory.
 */
#ifndef FG_MQTT_INCOMING_H
#define FG_MQTT_INCOMING_H

#include "mqtt.h"

/* paho_message: MQTTAsync_message, which only the door knows. */
struct mqtt_incoming *mqtt_incoming_new(const char *topic, void *paho_message);

#endif
