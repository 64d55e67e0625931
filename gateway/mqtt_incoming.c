/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_incoming.h"

#include <MQTTAsync.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt_events.h"

/* MQTT 5 properties of an incoming message, where they are fit for use. */
struct incoming_parts {
    MQTTLenString topic, correlation;
    bool has_topic, expires;
};

static bool plain_text(const MQTTLenString *s, size_t max)
{
    return s->len > 0 && (size_t)s->len <= max && memchr(s->data, '\0', (size_t)s->len) == NULL;
}

static struct incoming_parts incoming_parts(MQTTProperties *p)
{
    struct incoming_parts parts = {.topic = {0, NULL}};

    MQTTProperty *found = MQTTProperties_getProperty(p, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
    parts.has_topic = found != NULL;
    if (found != NULL && plain_text(&found->value.data, MQTT_RESPONSE_TOPIC_MAX))
        parts.topic = found->value.data;
    found = MQTTProperties_getProperty(p, MQTTPROPERTY_CODE_CORRELATION_DATA);
    if (found != NULL)
        parts.correlation = found->value.data;
    parts.expires = MQTTProperties_hasProperty(p, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL) != 0;
    return parts;
}

static const char *keep(char **at, const char *bytes, size_t len)
{
    char *kept = *at;

    if (len > 0)
        memcpy(kept, bytes, len);
    kept[len] = '\0';
    *at += len + 1;
    return kept;
}

struct mqtt_incoming *mqtt_incoming_new(const char *topic, void *paho_message)
{
    MQTTAsync_message *message = paho_message;
    struct incoming_parts parts = incoming_parts(&message->properties);
    size_t len = (size_t)message->payloadlen, correlation = (size_t)parts.correlation.len;
    bool whole = len <= MQTT_MESSAGE_BYTES, fits = correlation <= MQTT_CORRELATION_BYTES;
    size_t size = strlen(topic) + (size_t)parts.topic.len + (whole ? len : 0) + (fits ? correlation : 0) + 4;
    struct mqtt_incoming *in = calloc(1, sizeof(*in) + size);
    char *at = in != NULL ? in->bytes : NULL;

    if (in == NULL)
        return NULL;
    in->topic = keep(&at, topic, strlen(topic));
    in->len = len;
    if (whole)
        in->payload = keep(&at, message->payload, len);
    if (parts.has_topic)
        in->response_topic = keep(&at, parts.topic.data, (size_t)parts.topic.len);
    in->correlation_len = correlation;
    if (fits && correlation > 0)
        in->correlation = keep(&at, parts.correlation.data, correlation);
    in->retained = message->retained != 0;
    in->expires = parts.expires;
    return in;
}
