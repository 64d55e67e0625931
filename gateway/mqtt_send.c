/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_send - hands messages and subscriptions to Paho and notes what the broker answers: see mqtt.h. */
#include <MQTTAsync.h>
#include <string.h>

#include "mqtt_client.h"
#include "mqtt_puback.h"

/* Of a PUBLISH beside topic, payload and the two properties' texts; generous. */
enum { OVERHEAD_BYTES = 64 };

/* ---- callbacks: on Paho's threads, under its global lock. Record, signal, return. ---- */

static void push_slot(struct mqtt_slot *s, enum mqtt_event_kind kind, int reason)
{
    mqtt_push(s->conn, kind, (int)(s - s->conn->slots), reason);
}

static void on_acked5(void *context, MQTTAsync_successData5 *data)
{
    push_slot(context, MQTT_ACKED, mqtt_puback_reason(data->token)); /* data->reasonCode is always 0 */
}

static void on_acked311(void *context, MQTTAsync_successData *data)
{
    (void)data;
    push_slot(context, MQTT_ACKED, 0);
}

/* Without a reason code it is our side giving up: the connection is ending, and its end is what we report. */
static void on_refused5(void *context, MQTTAsync_failureData5 *data)
{
    if ((int)data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        push_slot(context, MQTT_REFUSED, (int)data->reasonCode);
}

static void on_subscribe_refused5(void *context, MQTTAsync_failureData5 *data)
{
    if ((int)data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        mqtt_push(context, MQTT_REFUSED, -1, (int)data->reasonCode);
}

static void on_subscribe_refused311(void *context, MQTTAsync_failureData *data)
{
    if (data->code > 0) /* 0x80 is all that 3.1.1 says */
        mqtt_push(context, MQTT_REFUSED, -1, MQTTREASONCODE_UNSPECIFIED_ERROR);
}

/* ---- sending ---- */

static int from_paho(int rc)
{
    switch (rc) {
    case MQTTASYNC_SUCCESS:
        return 0;
    case MQTTASYNC_BAD_UTF8_STRING:
    case MQTTASYNC_NULL_PARAMETER:
        return FG_EINVALID;
    case PAHO_NO_MEMORY:
        return FG_ENOMEM;
    default: /* an int, not an enum: everything else means not now */
        return FG_ERETRY;
    }
}

static MQTTLenString len_string(const char *text)
{
    return (MQTTLenString){(int)strlen(text), (char *)(uintptr_t)text};
}

/* Paho copies what it is given here. */
static void add_properties(MQTTProperties *to, const struct mqtt_message *message)
{
    MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_CONTENT_TYPE};

    if (message->content_type != NULL) {
        p.value.data = len_string(message->content_type);
        MQTTProperties_add(to, &p);
    }
    if (message->content_encoding != NULL) {
        p.identifier = MQTTPROPERTY_CODE_USER_PROPERTY;
        p.value.data = len_string("content-encoding");
        p.value.value = len_string(message->content_encoding);
        MQTTProperties_add(to, &p);
    } else if (message->content_type != NULL && (strstr(message->content_type, "json") != NULL ||
                                                 strncmp(message->content_type, "text/", 5) == 0)) {
        p.identifier = MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR;
        p.value.byte = 1; /* UTF-8 */
        MQTTProperties_add(to, &p);
    }
    if (message->correlation != NULL) {
        p.identifier = MQTTPROPERTY_CODE_CORRELATION_DATA;
        p.value.data =
            (MQTTLenString){(int)message->correlation_len, (char *)(uintptr_t)message->correlation};
        MQTTProperties_add(to, &p);
    }
}

static int paho_send(struct mqtt *m, const struct mqtt_message *message, struct mqtt_slot *slot)
{
    MQTTAsync_responseOptions r = MQTTAsync_responseOptions_initializer;

    r.context = slot;
    if (m->target.options.version == 5) {
        r.onSuccess5 = on_acked5;
        r.onFailure5 = on_refused5;
        add_properties(&r.properties, message);
    } else {
        r.onSuccess = on_acked311;
    }
    int rc = MQTTAsync_send(m->conn->handle, message->topic, (int)message->len, message->payload, 1,
                            message->retained, &r);
    MQTTProperties_free(&r.properties);
    return from_paho(rc);
}

static size_t packet_size(const struct mqtt_message *message)
{
    size_t type = message->content_type != NULL ? strlen(message->content_type) : 0;
    size_t encoding = message->content_encoding != NULL ? strlen(message->content_encoding) : 0;

    return strlen(message->topic) + message->len + type + encoding + message->correlation_len +
           OVERHEAD_BYTES;
}

/* A slot with a token of its own, not yet in use; NULL: all are. */
static struct mqtt_slot *fresh_slot(struct mqtt *m, bool subscribes)
{
    struct mqtt_slot *slot = m->conn->slots;

    while (slot < m->conn->slots + MQTT_SLOTS && slot->used)
        slot++;
    if (slot == m->conn->slots + MQTT_SLOTS)
        return NULL;
    if (++m->last_token == 0)
        m->last_token = 1; /* 0 stands for a subscription */
    slot->token = m->last_token;
    slot->subscribes = subscribes;
    return slot;
}

int mqtt_publish(struct mqtt *m, const struct mqtt_message *message, uint32_t *ret_token)
{
    /* Beyond the broker's Receive Maximum Paho 1.3.12 stalls for seconds. */
    if (m->state != MQTT_STATE_CONNECTED || m->in_flight >= m->window)
        return FG_ERETRY;
    if (m->max_packet > 0 && packet_size(message) > m->max_packet)
        return FG_ERANGE;
    struct mqtt_slot *slot = fresh_slot(m, false);
    if (slot == NULL)
        return FG_ERETRY;
    int rc = paho_send(m, message, slot);
    if (rc < 0)
        return rc;
    slot->used = true;
    m->in_flight++;
    *ret_token = slot->token;
    return 0;
}

int mqtt_subscribe(struct mqtt *m, const char *topic)
{
    MQTTAsync_responseOptions r = MQTTAsync_responseOptions_initializer;

    if (m->state != MQTT_STATE_CONNECTED)
        return FG_ERETRY;
    r.context = m->conn;
    r.subscribeOptions.retainAsPublished = 1; /* MQTT 5: what is retained is known as such at once */
    if (m->target.options.version == 5)
        r.onFailure5 = on_subscribe_refused5;
    else
        r.onFailure = on_subscribe_refused311;
    return from_paho(MQTTAsync_subscribe(m->conn->handle, topic, 1, &r));
}

int mqtt_overhear(struct mqtt *m, const char *topic, uint32_t *ret_token)
{
    MQTTAsync_responseOptions r = MQTTAsync_responseOptions_initializer;

    struct mqtt_slot *slot = m->state == MQTT_STATE_CONNECTED ? fresh_slot(m, true) : NULL;
    if (slot == NULL || m->target.options.version != 5)
        return FG_ERETRY;
    r.context = slot;
    r.subscribeOptions.noLocal = 1;
    r.subscribeOptions.retainHandling = 2; /* nothing of before */
    r.onSuccess5 = on_acked5;
    r.onFailure5 = on_refused5;
    int rc = from_paho(MQTTAsync_subscribe(m->conn->handle, topic, 0, &r));
    slot->used = rc == 0;
    if (rc == 0)
        *ret_token = slot->token;
    return rc;
}
