/* SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"
#include "mqtt_world.h"

#include <sys/stat.h>

struct world {
    int threads; /* of this process, before */
    struct quick quick;
    struct broker plain;  /* anonymous, or user farm with password rice */
    struct broker secure; /* TLS, only localhost in its certificate; wants no client certificate */
    struct broker mutual; /* TLS with client certificates */
};

/* ---- failing ---- */

static void urls_and_options_that_cannot_work_are_refused_with_a_note(void **state)
{
    (void)state;
    static const char *const BAD[] = {"127.0.0.1:1883", "http://x",       "mqtt://",
                                      "mqtt://x:0",     "mqtt://x:70000", "mqtt://u:p@x",
                                      "mqtt://[::1",    "mqtt://x:18x",   "mqtt://x/path"};
    struct mqtt *m = client("bad", 5), *none = NULL;
    struct err_note note;

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        note.text[0] = '\0';
        assert_int_equal(mqtt_connect(m, BAD[i], NULL, NULL, NULL, &note), FG_EINVALID);
        assert_true(note.text[0] != '\0');
        assert_null(strstr(note.text, "u:p"));
    }
    mqtt_free(m);
    struct mqtt_options o = options_of("", 5);
    assert_int_equal(mqtt_new(&o, &none, &note), FG_EINVALID);
    o = options_of("x", 4);
    assert_int_equal(mqtt_new(&o, &none, &note), FG_EINVALID);
}

static void an_unknown_host_fails_by_name(void **state)
{
    (void)state;
    struct mqtt *m = client("unknown", 5);

    begin(m, "mqtt", "nosuchhost.invalid", 1883);
    expect_text(expect(m, MQTT_FAILED).text, "nosuchhost.invalid");
    mqtt_free(m);
}

static void a_wrong_password_is_told_in_words_under_both_versions(void **state)
{
    struct world *w = *state;
    static const int VERSIONS[] = {5, 311};
    char url[64];

    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%d", w->plain.port);
    for (int i = 0; i < 2; i++) {
        struct mqtt *m = client("login", VERSIONS[i]);
        assert_int_equal(mqtt_connect(m, url, "farm", "wheat", NULL, NULL), 0);
        struct mqtt_event e = expect(m, MQTT_FAILED);
        assert_int_equal(e.reason, 135); /* what mosquitto answers */
        expect_text(e.text, "not authorised");
        assert_int_equal(mqtt_connect(m, url, "farm", "rice", NULL, NULL), 0);
        expect(m, MQTT_CONNECTED);
        mqtt_free(m);
    }
}

static void a_server_that_says_nothing_fails_at_our_own_timeout(void **state)
{
    (void)state;
    struct mqtt_options o = options_of("silence", 5);
    struct mqtt_fake f = {0};

    o.connect_timeout_ms = 200;
    mqtt_fake_start(&f);
    struct mqtt *m = client_with(&o);
    int64_t begun = clock_mono_ms();
    begin(m, "mqtt", "127.0.0.1", f.port);
    expect_text(expect(m, MQTT_FAILED).text, "no answer");
    assert_true(clock_mono_ms() - begun < 3000);
    mqtt_free(m);
    mqtt_fake_stop(&f);
}

/* MQTT 5.0, 3.2.2.3: what a CONNACK may not say, or what leaves us nothing to do. */
static void a_broker_on_whose_terms_nobody_can_work_is_told_so_and_left(void **state)
{
    (void)state;
    static const struct {
        const char *connack;
        int len;
        const char *says;
    } CASES[] = {
        {"\x20\x06\x00\x00\x03\x21\x00\x00", 8, "Receive Maximum 0"},
        {"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x00", 10, "Maximum Packet Size 0"},
        {"\x20\x08\x00\x00\x05\x27\x00\x00\x00\xff", 10, "less than 256 bytes"},
        {"\x20\x05\x00\x00\x02\x24\x00", 7, "Maximum QoS 0"},
        {"\x20\x05\x00\x00\x02\x25\x00", 7, "retained"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct mqtt_fake f = {.connack = CASES[i].connack, .connack_len = CASES[i].len};
        struct mqtt *m = client("terms", 5);
        mqtt_fake_start(&f);
        begin(m, "mqtt", "127.0.0.1", f.port);
        struct mqtt_event e = expect(m, MQTT_FAILED);
        assert_int_equal(e.reason, 130);
        expect_text(e.text, CASES[i].says);
        mqtt_free(m);
        mqtt_fake_stop(&f);
        assert_int_equal((unsigned char)f.last[0], 0xe0); /* DISCONNECT */
        assert_int_equal((unsigned char)f.last[2], 130);  /* protocol error */
    }
}

/* ---- TLS ---- */

static struct mqtt *tls_client(const char *client_id, const struct broker *b, const char *ca,
                               const char *cert)
{
    struct mqtt_options o = options_of(client_id, 5);
    char ca_path[160], cert_path[160], key_path[160], name[64];

    broker_path(b, ca, ca_path, sizeof(ca_path));
    o.ca_file = ca_path;
    if (cert != NULL) {
        snprintf(name, sizeof(name), "%s.crt", cert);
        broker_path(b, name, cert_path, sizeof(cert_path));
        snprintf(name, sizeof(name), "%s.key", cert);
        broker_path(b, name, key_path, sizeof(key_path));
        o.cert_file = cert_path;
        o.key_file = key_path;
    }
    return client_with(&o);
}

static void tls_with_the_right_ca_and_host_works(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("tls", &w->secure, "ca.crt", NULL);

    begin(m, "mqtts", "localhost", w->secure.port);
    expect(m, MQTT_CONNECTED);
    for (int i = 0; i < 20; i++) { /* nobody is subscribed, and that comes through TLS, too */
        publish(m, "t", "{}", false);
        assert_int_equal(expect(m, MQTT_ACKED).reason, 16);
    }
    mqtt_free(m);
}

static void tls_with_an_unknown_ca_fails_with_openssls_reason(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("wrongca", &w->secure, "other.crt", NULL);

    begin(m, "mqtts", "localhost", w->secure.port);
    expect_text(expect(m, MQTT_FAILED).text, "certificate verify failed");
    mqtt_free(m);
}

static void tls_for_another_host_fails_with_a_hint_at_the_name(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("wronghost", &w->secure, "ca.crt", NULL);

    begin(m, "mqtts", "127.0.0.1", w->secure.port);
    expect_text(expect(m, MQTT_FAILED).text, "another host");
    mqtt_free(m);
}

static void a_missing_ca_file_is_named(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("noca", &w->secure, "nosuch.crt", NULL);

    begin(m, "mqtts", "localhost", w->secure.port);
    expect_text(expect(m, MQTT_FAILED).text, "nosuch.crt");
    mqtt_free(m);
}

static void a_client_certificate_opens_a_broker_that_wants_one(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("mutual", &w->mutual, "ca.crt", "client");

    begin(m, "mqtts", "localhost", w->mutual.port);
    expect(m, MQTT_CONNECTED);
    mqtt_free(m);
    m = tls_client("mutual-without", &w->mutual, "ca.crt", NULL);
    begin(m, "mqtts", "localhost", w->mutual.port);
    assert_non_null(expect(m, MQTT_FAILED).text);
    mqtt_free(m);
}

/* The configuration refuses it, but files are read at each connect. */
static void a_key_that_has_become_readable_for_everybody_is_not_used(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("open-key", &w->mutual, "ca.crt", "client");
    char key[160];

    broker_path(&w->mutual, "client.key", key, sizeof(key));
    begin(m, "mqtts", "localhost", w->mutual.port);
    expect(m, MQTT_CONNECTED);
    assert_int_equal(chmod(key, 0604), 0);
    begin(m, "mqtts", "localhost", w->mutual.port);
    struct mqtt_event e = expect(m, MQTT_FAILED);
    expect_text(e.text, "client.key: everybody on this machine can read the file; run chmod 600 on it");
    assert_int_equal(chmod(key, 0600), 0);
    begin(m, "mqtts", "localhost", w->mutual.port);
    expect(m, MQTT_CONNECTED);
    mqtt_free(m);
}

static void one_client_can_change_between_tls_and_plain(void **state)
{
    struct world *w = *state;
    struct mqtt *m = tls_client("changing", &w->secure, "ca.crt", NULL);

    for (int i = 0; i < 2; i++) {
        begin(m, "mqtts", "localhost", w->secure.port);
        expect(m, MQTT_CONNECTED);
        begin(m, "mqtt", "127.0.0.1", w->plain.port);
        expect(m, MQTT_CONNECTED);
        publish(m, "t", "{}", false);
        expect(m, MQTT_ACKED);
    }
    mqtt_free(m);
}

static void a_websocket_works(void **state)
{
    (void)state;
    struct mqtt_fake f = {.websocket = true,
                          .connack = MQTT_FAKE_CONNACK5,
                          .connack_len = 5,
                          .answer = "\x40\x02\x00\x01",
                          .answer_len = 4};
    struct mqtt *m = client("websocket", 5);

    mqtt_fake_start(&f);
    begin(m, "ws", "localhost", f.port);
    expect(m, MQTT_CONNECTED);
    uint32_t token = publish(m, "t", "{}", false);
    assert_int_equal(expect(m, MQTT_ACKED).token, token);
    mqtt_free(m);
    mqtt_fake_stop(&f);
}

/* All clients share the library's receiving thread, and each connection counts its packets from 1. */
static void a_websocket_does_not_get_the_reason_of_another_connection(void **state)
{
    (void)state;
    struct mqtt_fake plain = {
        .connack = MQTT_FAKE_CONNACK5, .connack_len = 5, .answer = "\x40\x03\x00\x01\x10", .answer_len = 5};
    struct mqtt_fake web = {.websocket = true,
                            .connack = MQTT_FAKE_CONNACK5,
                            .connack_len = 5,
                            .answer = "\x40\x02\x00\x01",
                            .answer_len = 4};
    struct mqtt *unheard = client("unheard", 5), *heard = client("heard", 5);

    mqtt_fake_start(&plain);
    mqtt_fake_start(&web);
    begin(unheard, "mqtt", "127.0.0.1", plain.port);
    expect(unheard, MQTT_CONNECTED);
    begin(heard, "ws", "localhost", web.port);
    expect(heard, MQTT_CONNECTED);
    publish(unheard, "t", "{}", false);
    assert_int_equal(expect(unheard, MQTT_ACKED).reason, 16);
    publish(heard, "t", "{}", false);
    assert_int_equal(expect(heard, MQTT_ACKED).reason, 0);
    mqtt_free(unheard);
    mqtt_free(heard);
    mqtt_fake_stop(&plain);
    mqtt_fake_stop(&web);
}

/* ---- the world ---- */

static void make_certs(const char *dir)
{
    struct cert ca = cert_make(dir, (struct cert_wish){.name = "ca", .ca = true});
    struct cert other = cert_make(dir, (struct cert_wish){.name = "other", .ca = true});
    struct cert server =
        cert_make(dir, (struct cert_wish){.name = "server", .san = "DNS:localhost", .from = &ca});
    struct cert user = cert_make(dir, (struct cert_wish){.name = "client", .from = &ca});

    cert_free(&ca);
    cert_free(&other);
    cert_free(&server);
    cert_free(&user);
}

static void start_tls(struct broker *b, bool mutual)
{
    char config[512];

    broker_prepare(b);
    make_certs(b->dir);
    snprintf(config, sizeof(config),
             "allow_anonymous true\ncafile %s/ca.crt\ncertfile %s/server.crt\nkeyfile %s/server.key\n%s",
             b->dir, b->dir, b->dir, mutual ? "require_certificate true\n" : "");
    broker_run(b, config);
}

static int start_world(void **state)
{
    static struct world w;
    char config[512], command[256];

    w.threads = unit_threads();
    quick_start(&w.quick);
    broker_prepare(&w.plain);
    snprintf(command, sizeof(command), "mosquitto_passwd -b -c %s/passwords farm rice", w.plain.dir);
    assert_int_equal(system(command), 0);
    snprintf(config, sizeof(config), "allow_anonymous true\npassword_file %s/passwords\n", w.plain.dir);
    broker_run(&w.plain, config);
    start_tls(&w.secure, false);
    start_tls(&w.mutual, true);
    *state = &w;
    return 0;
}

static int stop_world(void **state)
{
    struct world *w = *state;

    broker_stop(&w->plain);
    broker_stop(&w->secure);
    broker_stop(&w->mutual);
    quick_stop(&w->quick);
    unit_await_threads(w->threads);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_and_options_that_cannot_work_are_refused_with_a_note),
        cmocka_unit_test(an_unknown_host_fails_by_name),
        cmocka_unit_test(a_wrong_password_is_told_in_words_under_both_versions),
        cmocka_unit_test(a_server_that_says_nothing_fails_at_our_own_timeout),
        cmocka_unit_test(a_broker_on_whose_terms_nobody_can_work_is_told_so_and_left),
        cmocka_unit_test(tls_with_the_right_ca_and_host_works),
        cmocka_unit_test(tls_with_an_unknown_ca_fails_with_openssls_reason),
        cmocka_unit_test(tls_for_another_host_fails_with_a_hint_at_the_name),
        cmocka_unit_test(a_missing_ca_file_is_named),
        cmocka_unit_test(a_client_certificate_opens_a_broker_that_wants_one),
        cmocka_unit_test(a_key_that_has_become_readable_for_everybody_is_not_used),
        cmocka_unit_test(one_client_can_change_between_tls_and_plain),
        cmocka_unit_test(a_websocket_works),
        cmocka_unit_test(a_websocket_does_not_get_the_reason_of_another_connection),
    };
    if (access(BROKER_PROGRAM, X_OK) != 0) {
        printf("SKIP: %s is not installed\n", BROKER_PROGRAM);
        return 77;
    }
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
