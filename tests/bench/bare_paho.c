/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare_paho - publishes messages from memory with MQTTAsync, MQTT 5 and QoS 1, 16 in flight, and does nothing
 * else: what the library and the broker allow.
 *
 *     bare_paho PORT TOPIC FILE TIMES [CA_FILE]
 *
 * FILE holds messages, each behind its length (4 bytes, this machine's order). With CA_FILE it speaks TLS.
 * Prints one JSON object.
 */
#include <MQTTAsync.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WINDOW = 16 };

struct bare {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned in_flight;
    int connected; /* 1: yes, -1: failed */
};

static void die(const char *what)
{
    fprintf(stderr, "bare_paho: %s\n", what);
    exit(1);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_connected(struct bare *b, int to)
{
    pthread_mutex_lock(&b->lock);
    b->connected = to;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void on_connected(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    set_connected(context, 1);
}

static void on_failed(void *context, MQTTAsync_failureData5 *data)
{
    (void)data;
    set_connected(context, -1);
}

static void on_acked(void *context, MQTTAsync_successData5 *data)
{
    struct bare *b = context;
    (void)data;
    pthread_mutex_lock(&b->lock);
    b->in_flight--;
    pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static int on_message(void *context, char *topic, int len, MQTTAsync_message *message)
{
    (void)context, (void)len;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static MQTTAsync connect_to(struct bare *b, const char *port, const char *ca_file)
{
    MQTTAsync client;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    MQTTAsync_connectOptions connect = MQTTAsync_connectOptions_initializer5;
    char uri[64];
    snprintf(uri, sizeof uri, "%s://127.0.0.1:%s", ca_file ? "ssl" : "tcp", port);
    create.maxBufferedMessages = WINDOW * 2;
    if (MQTTAsync_createWithOptions(&client, uri, "bare", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create) != 0 ||
        MQTTAsync_setCallbacks(client, b, NULL, on_message, NULL) != 0)
        die("no client");
    tls.trustStore = ca_file;
    tls.verify = 1;
    connect.ssl = ca_file ? &tls : NULL;
    connect.context = b;
    connect.onSuccess5 = on_connected;
    connect.onFailure5 = on_failed;
    if (MQTTAsync_connect(client, &connect) != 0)
        die("no connection");
    pthread_mutex_lock(&b->lock);
    while (b->connected == 0)
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
    if (b->connected < 0)
        die("no connection");
    return client;
}

static void wait_below(struct bare *b, unsigned most)
{
    pthread_mutex_lock(&b->lock);
    while (b->in_flight >= most)
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void publish(struct bare *b, MQTTAsync client, const char *topic, const char *bytes, uint32_t len)
{
    MQTTAsync_responseOptions r = MQTTAsync_responseOptions_initializer;
    r.context = b;
    r.onSuccess5 = on_acked;
    wait_below(b, WINDOW);
    pthread_mutex_lock(&b->lock);
    b->in_flight++;
    pthread_mutex_unlock(&b->lock);
    if (MQTTAsync_send(client, topic, (int)len, bytes, 1, 0, &r) != 0)
        die("cannot send");
}

static char *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        die(path);
    const long len = ftell(file);
    char *text = malloc((size_t)len + 1);
    rewind(file);
    if (!text || fread(text, 1, (size_t)len, file) != (size_t)len)
        die(path);
    fclose(file);
    *ret_len = (size_t)len;
    return text;
}

int main(int argc, char **argv)
{
    struct bare b = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    size_t len, bytes = 0, messages = 0;
    if (argc != 5 && argc != 6)
        return 64;
    char *text = read_whole(argv[3], &len);
    MQTTAsync client = connect_to(&b, argv[1], argc == 6 ? argv[5] : NULL);
    const double begin = seconds();
    for (int times = atoi(argv[4]); times > 0; times--) {
        for (size_t at = 0; at < len;) {
            uint32_t one;
            __builtin_memcpy(&one, text + at, sizeof one);
            at += sizeof one;
            publish(&b, client, argv[2], text + at, one);
            at += one;
            bytes += one;
            messages++;
        }
    }
    wait_below(&b, 1);
    printf("{\"messages\": %zu, \"bytes\": %zu, \"seconds\": %.6f}\n", messages, bytes, seconds() - begin);
    return 0; /* the library's threads end with the process */
}
