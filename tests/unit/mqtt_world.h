/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mqtt_world - what the tests of mqtt share: clients that fail the test when they do not work, and a quick
 * Paho.
 *
 * Threads    Test thread only.
 * Ownership  Clients go back by mqtt_free(); quick_start() to quick_stop().
 * Errors     Fail the test.
 */
#ifndef FG_TEST_MQTT_WORLD_H
#define FG_TEST_MQTT_WORLD_H

#include "mqtt_fake.h"

#include <sys/eventfd.h>

#include "../../gateway/clock.h"
#include "../../gateway/mqtt.h"

#define PATIENCE_MS 10000

static inline struct mqtt_options options_of(const char *client_id, int version)
{
    return (struct mqtt_options){
        .client_id = client_id, .version = version, .keepalive_ms = 60000, .connect_timeout_ms = 5000};
}

static inline struct mqtt *client_with(const struct mqtt_options *options)
{
    struct err_note note = {0};
    struct mqtt *m = NULL;

    if (mqtt_new(options, &m, &note) != 0)
        fail_msg("mqtt_new: %s", note.text);
    return m;
}

static inline struct mqtt *client(const char *client_id, int version)
{
    struct mqtt_options o = options_of(client_id, version);

    return client_with(&o);
}

static inline struct mqtt_event next(struct mqtt *m)
{
    struct mqtt_event e;

    mqtt_wait(m, clock_mono_ms() + PATIENCE_MS, &e);
    return e;
}

static inline struct mqtt_event expect(struct mqtt *m, enum mqtt_event_kind kind)
{
    struct mqtt_event e = next(m);

    if (e.kind != kind)
        fail_msg("event %d instead of %d, reason %d: %s", (int)e.kind, (int)kind, e.reason,
                 e.text ? e.text : "");
    return e;
}

static inline void expect_text(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("no \"%s\" in \"%s\"", part, text ? text : "(null)");
}

/* Paho ends a connection by mistake that gets the descriptor of one which failed a moment ago. mqtt.c sees to
 * that for one client; between clients the test has to: the numbers just set free are occupied to the end of
 * the program. */
static inline void begin(struct mqtt *m, const char *scheme, const char *host, int port)
{
    struct err_note note = {0};
    char url[128];

    eventfd(0, EFD_CLOEXEC);
    snprintf(url, sizeof(url), "%s://%s:%d", scheme, host, port);
    if (mqtt_connect(m, url, NULL, NULL, NULL, &note) != 0)
        fail_msg("mqtt_connect %s: %s", url, note.text);
}

static inline struct mqtt_event join(struct mqtt *m, const struct broker *b)
{
    begin(m, "mqtt", "127.0.0.1", b->port);
    return expect(m, MQTT_CONNECTED);
}

static inline uint32_t publish(struct mqtt *m, const char *topic, const char *payload, bool retained)
{
    struct mqtt_message message = {.topic = topic,
                                   .payload = payload,
                                   .len = strlen(payload),
                                   .retained = retained,
                                   .content_type = "application/json"};
    uint32_t token = 0;

    assert_int_equal(mqtt_publish(m, &message, &token), 0);
    assert_int_not_equal(token, 0);
    return token;
}

static inline void expect_message(struct mqtt *m, const char *topic, const char *payload)
{
    struct mqtt_event e = expect(m, MQTT_MESSAGE);

    assert_string_equal(e.message->topic, topic);
    assert_int_equal(e.message->len, strlen(payload));
    assert_non_null(e.message->payload);
    assert_memory_equal(e.message->payload, payload, e.message->len);
}

/* A client that hears a topic; ready when its own message has come back. */
static inline struct mqtt *listener(const struct broker *b, const char *client_id, const char *topic,
                                    const char *probe_topic)
{
    struct mqtt *m = client(client_id, 5);

    join(m, b);
    assert_int_equal(mqtt_subscribe(m, topic), 0);
    uint32_t token = publish(m, probe_topic, "ready", false);
    for (int seen = 0; seen != 3;) {
        struct mqtt_event e = next(m);
        if (e.kind == MQTT_MESSAGE) {
            seen |= 1;
        } else if (e.kind == MQTT_ACKED) {
            assert_int_equal(e.token, token);
            seen |= 2;
        } else {
            fail_msg("event %d", (int)e.kind);
        }
    }
    return m;
}

/* An idle client of a ticking fake: Paho's threads live as long as it does, and connects are quick. */
struct quick {
    struct mqtt *keeper;
    struct mqtt_fake ticker;
};

static inline void quick_start(struct quick *q)
{
    q->ticker = (struct mqtt_fake){.connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .tick_ms = 2};
    mqtt_fake_start(&q->ticker);
    q->keeper = client("keeper", 5);
    begin(q->keeper, "mqtt", "127.0.0.1", q->ticker.port);
    expect(q->keeper, MQTT_CONNECTED);
}

static inline void quick_stop(struct quick *q)
{
    mqtt_free(q->keeper);
    mqtt_fake_stop(&q->ticker);
}

#endif
