/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each connection attempt has a Paho handle of its own, destroyed when the attempt or the connection has
 * ended. One handle for life would be kinder to Paho 1.3.12's destroy, but it cannot serve us: it goes on
 * sending what was queued before a loss on the next connection, to whatever broker that is; an attempt in
 * progress can be ended by nothing but destroy; connect() rewrites options the library's threads are reading;
 * and once used for TLS or a websocket it never speaks anything else. Destroy is dangerous when it ends the
 * library's threads with the last handle, so that each client holds a second, idle handle (the anchor) from
 * new to free.
 */
#include "mqtt.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "mqtt_client.h"
#include "mqtt_incoming.h"
#include "text.h"
#include "tls_diag.h"

/* Our own connect timeout comes first: Paho's stands still when the clock is set back. */
enum { PAHO_GRACE_S = 5 };

/* ---- callbacks: on Paho's threads, under its global lock. Record, signal, return. ---- */

void mqtt_push(struct mqtt_conn *c, enum mqtt_event_kind kind, int slot, int reason)
{
    struct mqtt_item item = {.kind = kind, .slot = slot, .reason = reason};

    mqtt_events_push(c->events, c->generation, &item, NULL);
}

/* The property's number, or `absent`. */
static uint32_t number_of(MQTTProperties *p, enum MQTTPropertyCodes code, uint32_t absent)
{
    return MQTTProperties_hasProperty(p, (int)code) ? (uint32_t)MQTTProperties_getNumericValue(p, (int)code)
                                                    : absent;
}

/* With less, nearly every record would be too large for the broker, and given up one by one. */
enum { PACKET_LEAST = 256 };

/* MQTT 5.0, 3.2.2.3: values that are forbidden, and those that we cannot work with. */
static const char *fault_of(MQTTProperties *p)
{
    if (number_of(p, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, 1) == 0)
        return N_("the broker allows no message in flight (Receive Maximum 0), which MQTT 5 forbids; its "
                  "operator must mend that");
    if (number_of(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 1) == 0)
        return N_("the broker allows packets of no size (Maximum Packet Size 0), which MQTT 5 forbids; its "
                  "operator must mend that");
    if (number_of(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, PACKET_LEAST) < PACKET_LEAST)
        return N_("the broker allows only packets of less than 256 bytes (Maximum Packet Size), into which "
                  "hardly a reading fits; its operator must mend that");
    if (number_of(p, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2) == 0)
        return N_("the broker confirms no messages (Maximum QoS 0), so nobody could know what was delivered; "
                  "ask its operator to allow QoS 1");
    if (number_of(p, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) == 0)
        return N_("the broker keeps no retained messages, so receivers would miss names and units; ask its "
                  "operator to allow them");
    return NULL;
}

static void on_connected5(void *context, MQTTAsync_successData5 *data)
{
    struct mqtt_conn *c = context;
    MQTTProperties *p = &data->properties;
    const struct mqtt_item item = {
        .kind = MQTT_CONNECTED,
        .fault = fault_of(p),
        .session_present = data->alt.connect.sessionPresent != 0,
        .receive_max = (uint16_t)number_of(p, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, 65535),
        .max_packet = number_of(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0),
        .keepalive_s = (uint16_t)number_of(p, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0),
    };

    mqtt_events_push(c->events, c->generation, &item, NULL);
}

static void on_connected311(void *context, MQTTAsync_successData *data)
{
    struct mqtt_conn *c = context;
    struct mqtt_item item = {.kind = MQTT_CONNECTED, .receive_max = 65535};

    item.session_present = data->alt.connect.sessionPresent != 0;
    mqtt_events_push(c->events, c->generation, &item, NULL);
}

/* A refusing CONNACK comes in `code`, not in `reasonCode`. */
static void on_connect_failed5(void *context, MQTTAsync_failureData5 *data)
{
    mqtt_push(context, MQTT_FAILED, -1, data->code);
}

static void on_connect_failed311(void *context, MQTTAsync_failureData *data)
{
    /* The return codes 1 to 5 of MQTT 3.1.1, table 3.1, as their MQTT 5 equals. */
    static const int AS_MQTT5[] = {0, 132, 133, 136, 134, 135};
    bool refused = data->code >= 1 && data->code <= 5;

    mqtt_push(context, MQTT_FAILED, -1, refused ? AS_MQTT5[data->code] : data->code);
}

static void on_lost(void *context, char *cause)
{
    (void)cause; /* always NULL */
    mqtt_push(context, MQTT_LOST, -1, -1);
}

/* The broker said DISCONNECT. on_lost() is then not called. */
static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    (void)properties;
    mqtt_push(context, MQTT_LOST, -1, (int)reason);
}

static void on_goodbye5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    mqtt_push(context, MQTT_LOST, -1, 0);
}

static void on_goodbye311(void *context, MQTTAsync_successData *data)
{
    (void)data;
    mqtt_push(context, MQTT_LOST, -1, 0);
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct mqtt_conn *c = context;
    struct mqtt_item item = {.kind = MQTT_MESSAGE, .slot = -1};

    /* topic_len is 0, or what strlen() says; anything else holds a zero byte, which the protocol forbids. */
    if (topic_len == 0 || strlen(topic) == (size_t)topic_len)
        item.message = mqtt_incoming_new(topic, message);
    mqtt_events_push(c->events, c->generation, &item, NULL);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static int on_tls_error(const char *text, size_t len, void *context)
{
    struct mqtt_conn *c = context;
    char reason[128];

    if (mqtt_target_tls_reason(text, len, reason, sizeof(reason)))
        mqtt_events_say(c->events, c->generation, reason);
    return 1;
}

/* ---- one connection ---- */

static void conn_free(struct mqtt_conn *c)
{
    if (c == NULL)
        return;
    if (c->handle != NULL)
        MQTTAsync_destroy(&c->handle); /* may still call back, into a generation that is over */
    free(c);
}

static int make_handle(const struct mqtt *m, const char *uri, MQTTAsync *ret)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;

    options.MQTTVersion = m->target.options.version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.maxBufferedMessages = MQTT_SLOTS * 2;
    options.restoreMessages = 0;
    int rc = MQTTAsync_createWithOptions(ret, uri, m->target.options.client_id, MQTTCLIENT_PERSISTENCE_NONE,
                                         NULL, &options);
    return rc == MQTTASYNC_SUCCESS ? 0 : rc == PAHO_NO_MEMORY ? FG_ENOMEM : FG_EINVALID;
}

static int conn_new(struct mqtt *m, const char *uri, uint32_t generation, struct mqtt_conn **ret)
{
    struct mqtt_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return FG_ENOMEM;
    c->events = &m->events;
    c->generation = generation;
    for (int i = 0; i < MQTT_SLOTS; i++)
        c->slots[i].conn = c;
    int rc = make_handle(m, uri, &c->handle);
    /* Fails, and sets nothing, when there is no messageArrived. */
    if (rc == 0 && MQTTAsync_setCallbacks(c->handle, c, on_lost, on_message, NULL) != MQTTASYNC_SUCCESS)
        rc = FG_EINVALID;
    if (rc == 0 && m->target.options.version == 5)
        MQTTAsync_setDisconnected(c->handle, c, on_disconnected);
    if (rc < 0) {
        conn_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void mqtt_drop(struct mqtt *m)
{
    mqtt_events_restart(&m->events);
    conn_free(m->conn);
    m->conn = NULL;
    m->state = MQTT_STATE_IDLE;
    m->in_flight = 0;
}

static MQTTAsync_SSLOptions tls_options(const struct mqtt *m, struct mqtt_conn *c)
{
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;

    tls.enableServerCertAuth = 1;
    tls.verify = m->target.options.any_host_name ? 0 : 1; /* the default 0 takes a certificate for any host */
    /* Paho ignores sslVersion with OpenSSL 1.1 and later, and a lax openssl.cnf would let it go down to
     * TLS 1.0. With suites that TLS 1.2 brought (those of 1.3 are always there) there is nothing older. */
    tls.enabledCipherSuites = TLS_DIAG_SUITES;
    /* Without a trustStore OpenSSL looks CAs up in its folder, one by one. */
    tls.trustStore = m->target.options.ca_file;
    tls.keyStore = m->target.options.cert_file;
    tls.privateKey = m->target.options.key_file;
    tls.ssl_error_cb = on_tls_error;
    tls.ssl_error_context = c;
    return tls;
}

/* Paho takes whole packets into memory, whatever their size: what is longer the broker shall keep. */
static void limit_incoming(const struct mqtt *m, MQTTProperties *to)
{
    MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE};

    p.value.integer4 = m->target.options.max_incoming;
    if (p.value.integer4 > 0)
        MQTTProperties_add(to, &p);
}

static int paho_connect(struct mqtt *m, struct mqtt_conn *c)
{
    MQTTProperties limits = MQTTProperties_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions v311 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_SSLOptions tls = tls_options(m, c);
    MQTTAsync_connectOptions *o = m->target.options.version == 5 ? &v5 : &v311;

    if (m->target.options.version == 5) {
        limit_incoming(m, &limits);
        o->connectProperties = &limits;
        o->onSuccess5 = on_connected5;
        o->onFailure5 = on_connect_failed5;
    } else {
        o->MQTTVersion = MQTTVERSION_3_1_1;
        o->onSuccess = on_connected311;
        o->onFailure = on_connect_failed311;
    }
    o->context = c;
    o->keepAliveInterval = m->target.now->keepalive_s;
    o->connectTimeout = (int)(m->target.options.connect_timeout_ms / 1000) + PAHO_GRACE_S;
    o->automaticReconnect = 0;
    o->username = m->target.user;
    o->password = m->target.password;
    if (m->target.will.topic != NULL) {
        will.topicName = m->target.will.topic;
        will.payload.data = m->target.will.payload;
        will.payload.len = (int)m->target.will.len;
        will.qos = 1;
        will.retained = 1;
        o->will = &will;
    }
    if (m->target.now->url.tls)
        o->ssl = &tls;
    int rc = MQTTAsync_connect(c->handle, o);
    MQTTProperties_free(&limits);
    return rc;
}

/* When a connection fails, Paho 1.3.12's receiver reports that with its lock held, lets go of the lock, and
 * then ends whatever connection has the same descriptor by now: a new one, should it come within that moment.
 * So the number set free last is occupied, and the one occupied before is set free for the new socket. */
static void avoid_last_number(struct mqtt *m)
{
    int guard = eventfd(0, EFD_CLOEXEC);

    if (m->guard >= 0)
        close(m->guard);
    m->guard = guard;
}

int mqtt_start(struct mqtt *m, uint32_t generation, struct err_note *note)
{
    char uri[640];

    avoid_last_number(m);
    mqtt_target_uri(&m->target, uri, sizeof(uri));
    int rc = conn_new(m, uri, generation, &m->conn);
    if (rc < 0)
        return err_note(note, rc, "the MQTT library refuses url or client_id %s: %s",
                        m->target.options.client_id, err_text(rc));
    m->connect_until_mono_ms = clock_mono_ms() + m->target.options.connect_timeout_ms;
    rc = paho_connect(m, m->conn);
    if (rc != MQTTASYNC_SUCCESS) {
        mqtt_drop(m);
        return err_note(note, FG_EINVALID, "the MQTT library refuses to connect: %s", MQTTAsync_strerror(rc));
    }
    m->state = MQTT_STATE_CONNECTING;
    return 0;
}

/* ---- the client ---- */

int mqtt_new(const struct mqtt_options *options, struct mqtt **ret, struct err_note *note)
{
    struct mqtt *m = calloc(1, sizeof(*m));

    if (m == NULL || mqtt_events_init(&m->events) < 0) {
        free(m);
        return err_note(note, FG_ENOMEM, "out of memory");
    }
    m->guard = -1;
    int rc = mqtt_target_init(&m->target, options, note);
    if (rc == 0 && (rc = make_handle(m, "tcp://127.0.0.1:1883", &m->anchor)) < 0) /* never connected */
        err_note(note, rc, "the MQTT library refuses client_id %s: %s", options->client_id, err_text(rc));
    if (rc < 0) {
        mqtt_free(m);
        return rc;
    }
    *ret = m;
    return 0;
}

void mqtt_free(struct mqtt *m)
{
    if (m == NULL)
        return;
    mqtt_abandon(m);
    if (m->anchor != NULL)
        MQTTAsync_destroy(
            &m->anchor); /* the last one in the process waits for Paho's threads, up to a second */
    free(m->message);
    if (m->guard >= 0)
        close(m->guard);
    mqtt_target_fini(&m->target);
    mqtt_events_fini(&m->events);
    free(m);
}

int mqtt_connect(struct mqtt *m, const char *url, const char *user, const char *password,
                 const struct mqtt_will *will, struct err_note *note)
{
    struct mqtt_item failed = {.kind = MQTT_FAILED, .slot = -1};
    struct err_note why = {0};

    mqtt_disconnect(m, MQTT_GOODBYE_MS);
    int rc = mqtt_target_set(&m->target, url, user, password, will, note);
    if (rc < 0)
        return rc;
    uint32_t generation = mqtt_events_restart(&m->events);
    rc = mqtt_target_find(&m->target, &m->events, generation, &why);
    if (rc == 0) {
        rc = mqtt_start(m, generation, note);
        m->target.now->worked = m->target.now->worked && rc == 0;
        return rc;
    }
    if (rc == FG_ERETRY) {
        const int64_t given = m->target.options.lookup_timeout_ms;
        m->state = MQTT_STATE_RESOLVING;
        m->connect_until_mono_ms = clock_mono_ms() + (given > 0 ? given : MQTT_LOOKUP_MS);
    } else {
        mqtt_events_push(&m->events, generation, &failed, why.text);
    }
    return 0;
}

/* ---- ending ---- */

/* Waits until Paho has sent its DISCONNECT; whatever else comes in meanwhile is no longer wanted. */
static void say_goodbye(struct mqtt *m, enum MQTTReasonCodes reason, int64_t wait_ms)
{
    MQTTAsync_disconnectOptions v5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions v311 = MQTTAsync_disconnectOptions_initializer;
    bool is_v5 = m->target.options.version == 5;
    int64_t until_mono_ms = clock_mono_ms() + wait_ms;

    v5.context = v311.context = m->conn;
    v5.reasonCode = reason;
    v5.onSuccess5 = on_goodbye5;
    v311.onSuccess = on_goodbye311;
    if (MQTTAsync_disconnect(m->conn->handle, is_v5 ? &v5 : &v311) == MQTTASYNC_SUCCESS)
        mqtt_events_await_end(&m->events, until_mono_ms);
}

void mqtt_disconnect(struct mqtt *m, int64_t wait_ms)
{
    if (m->state == MQTT_STATE_CONNECTED) {
        say_goodbye(m, MQTTREASONCODE_NORMAL_DISCONNECTION, wait_ms);
        m->target.now->worked = false;
    }
    mqtt_drop(m);
}

void mqtt_reject(struct mqtt *m)
{
    say_goodbye(m, MQTTREASONCODE_PROTOCOL_ERROR, MQTT_GOODBYE_MS);
    mqtt_drop(m);
}

/* Destroying a connected handle says goodbye, and the will would not be sent. MQTT 5 can ask for it;
 * with 3.1.1 the goodbye cannot be helped, but a broker that does not answer will hardly read it. */
void mqtt_abandon(struct mqtt *m)
{
    if (m->state == MQTT_STATE_CONNECTED && m->target.options.version == 5)
        say_goodbye(m, MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE, MQTT_GOODBYE_MS);
    mqtt_drop(m);
}
