/* SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"
#include "mqtt_fake.h"

#include "../../gateway/clock.h"
#include "../../gateway/tls_diag.h"

enum server { PLAIN, GOOD, EXPIRED, EARLY, ELSEWHERE, LONELY, MUTUAL, SERVERS };

struct world {
    struct broker b; /* one mosquitto with a listener for each server */
    int ports[SERVERS];
    pid_t tls12; /* an openssl s_server that speaks nothing newer and wants a client certificate */
    int tls12_port;
};

struct wish {
    const char *host, *ca, *cert, *key;
    int port;
    int64_t timeout_ms;
};

static enum tls_diag_result diagnose(const struct world *w, struct wish wish, struct err_note *note)
{
    char ca[160], cert[160], key[160];
    struct tls_diag_options o = {.host = wish.host != NULL ? wish.host : "localhost",
                                 .port = wish.port,
                                 .timeout_ms = wish.timeout_ms > 0 ? wish.timeout_ms : 10000};

    broker_path(&w->b, wish.ca != NULL ? wish.ca : "ca.crt", ca, sizeof(ca));
    o.ca_file = ca;
    if (wish.cert != NULL) {
        broker_path(&w->b, wish.cert, cert, sizeof(cert));
        broker_path(&w->b, wish.key, key, sizeof(key));
        o.cert_file = cert;
        o.key_file = key;
    }
    note->text[0] = '\0';
    enum tls_diag_result r = tls_diag_run(&o, note);
    assert_true(note->text[0] != '\0');
    return r;
}

static void expect(const struct world *w, struct wish wish, enum tls_diag_result result, const char *part)
{
    struct err_note note;
    enum tls_diag_result r = diagnose(w, wish, &note);

    if (r != result || strstr(note.text, part) == NULL)
        fail_msg("result %d instead of %d, or no \"%s\" in: %s", (int)r, (int)result, part, note.text);
}

static void a_good_broker_is_ok_by_name_and_by_address(void **state)
{
    struct world *w = *state;

    expect(w, (struct wish){.port = w->ports[GOOD]}, TLS_DIAG_OK, "works now (TLSv1.3)");
    expect(w, (struct wish){.port = w->ports[GOOD], .host = "127.0.0.1"}, TLS_DIAG_OK, "works now");
}

static void nobody_listening_is_unreachable_with_the_systems_word(void **state)
{
    struct world *w = *state;

    expect(w, (struct wish){.port = broker_free_port()}, TLS_DIAG_UNREACHABLE, "Connection refused");
    expect(w, (struct wish){.port = 8883, .host = "nosuchhost.invalid"}, TLS_DIAG_UNREACHABLE,
           "nosuchhost.invalid");
}

static void a_plain_broker_is_told_from_a_tls_one(void **state)
{
    struct world *w = *state;
    struct mqtt_fake http = {.connack = "HTTP/1.1 400 Bad Request\r\n\r\n", .connack_len = 28};
    struct mqtt_fake silent = {0};

    expect(w, (struct wish){.port = w->ports[PLAIN]}, TLS_DIAG_NO_TLS, "check that the port is the TLS one");
    mqtt_fake_start(&http);
    expect(w, (struct wish){.port = http.port}, TLS_DIAG_NO_TLS, "not in TLS");
    mqtt_fake_stop(&http);
    mqtt_fake_start(&silent);
    int64_t begun = clock_mono_ms();
    expect(w, (struct wish){.port = silent.port, .timeout_ms = 150}, TLS_DIAG_NO_TLS, "no TLS answer");
    assert_true(clock_mono_ms() - begun >= 150);
    mqtt_fake_stop(&silent);
}

static void a_stranger_as_authority_is_a_wrong_ca(void **state)
{
    struct world *w = *state;

    expect(w, (struct wish){.port = w->ports[GOOD], .ca = "other.crt"}, TLS_DIAG_WRONG_CA, "other.crt");
    expect(w, (struct wish){.port = w->ports[LONELY]}, TLS_DIAG_WRONG_CA, "self-signed");
}

static void a_self_signed_certificate_given_as_ca_is_fine(void **state)
{
    struct world *w = *state;

    expect(w, (struct wish){.port = w->ports[LONELY], .ca = "lonely.crt"}, TLS_DIAG_OK, "works now");
}

static void without_a_ca_file_the_systems_list_is_asked(void **state)
{
    struct world *w = *state;
    struct tls_diag_options o = {.host = "localhost", .port = w->ports[GOOD], .timeout_ms = 10000};
    struct err_note note;

    assert_int_equal(tls_diag_run(&o, &note), TLS_DIAG_WRONG_CA);
    assert_non_null(strstr(note.text, "the system's list"));
}

static void times_that_do_not_fit_are_told_with_both_clocks(void **state)
{
    struct world *w = *state;
    char today[16];
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(today, sizeof(today), "%Y-%m-", &tm);
    expect(w, (struct wish){.port = w->ports[EXPIRED]}, TLS_DIAG_EXPIRED, "expired at");
    expect(w, (struct wish){.port = w->ports[EXPIRED]}, TLS_DIAG_EXPIRED, today);
    expect(w, (struct wish){.port = w->ports[EARLY]}, TLS_DIAG_EXPIRED, "set the clock first");
}

static void another_hosts_certificate_names_both(void **state)
{
    struct world *w = *state;

    expect(w, (struct wish){.port = w->ports[ELSEWHERE]}, TLS_DIAG_WRONG_HOST,
           "for mqtt.example, 192.0.2.7, not for localhost");
    expect(w, (struct wish){.port = w->ports[ELSEWHERE], .host = "127.0.0.1"}, TLS_DIAG_WRONG_HOST,
           "not for 127.0.0.1");
}

static void a_missing_client_certificate_is_told_under_tls_1_3_and_1_2(void **state)
{
    struct world *w = *state;
    const int ports[] = {w->ports[MUTUAL], w->tls12_port};

    for (int i = 0; i < 2; i++) {
        expect(w, (struct wish){.port = ports[i]}, TLS_DIAG_CLIENT_CERT, "none is configured");
        expect(w, (struct wish){.port = ports[i], .cert = "stranger.crt", .key = "stranger.key"},
               TLS_DIAG_CLIENT_CERT, "does not accept");
        expect(w, (struct wish){.port = ports[i], .cert = "client.crt", .key = "client.key"}, TLS_DIAG_OK,
               "works now");
    }
}

static void files_that_cannot_be_used_are_named(void **state)
{
    struct world *w = *state;
    int port = w->ports[GOOD];

    broker_file(&w->b, "rubbish.crt", "this is not PEM\n");
    expect(w, (struct wish){.port = port, .ca = "nosuch.crt"}, TLS_DIAG_BAD_FILE, "nosuch.crt");
    expect(w, (struct wish){.port = port, .ca = "rubbish.crt"}, TLS_DIAG_BAD_FILE, "rubbish.crt");
    expect(w, (struct wish){.port = port, .cert = "rubbish.crt", .key = "client.key"}, TLS_DIAG_BAD_FILE,
           "cert_file");
    expect(w, (struct wish){.port = port, .cert = "client.crt", .key = "rubbish.crt"}, TLS_DIAG_BAD_FILE,
           "key_file");
    expect(w, (struct wish){.port = port, .cert = "client.crt", .key = "stranger.key"}, TLS_DIAG_BAD_FILE,
           "does not belong");
}

static void a_pipe_signal_does_not_end_the_program(void **state)
{
    struct world *w = *state;
    sigset_t pending;

    signal(SIGPIPE, SIG_DFL);
    expect(w, (struct wish){.port = w->ports[PLAIN]}, TLS_DIAG_NO_TLS, "");
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
}

/* ---- the world ---- */

static void make_certs(const char *dir)
{
    static const long DAY_S = 86400;
    struct cert ca = cert_make(dir, (struct cert_wish){.name = "ca", .ca = true});
    struct cert other = cert_make(dir, (struct cert_wish){.name = "other", .ca = true});
    struct cert made[] = {
        cert_make(dir, (struct cert_wish){.name = "good", .san = "DNS:localhost,IP:127.0.0.1", .from = &ca}),
        cert_make(dir, (struct cert_wish){.name = "expired",
                                          .san = "DNS:localhost",
                                          .from = &ca,
                                          .from_s = -2 * DAY_S,
                                          .to_s = -DAY_S}),
        cert_make(
            dir,
            (struct cert_wish){
                .name = "early", .san = "DNS:localhost", .from = &ca, .from_s = DAY_S, .to_s = 2 * DAY_S}),
        cert_make(
            dir,
            (struct cert_wish){.name = "elsewhere", .san = "DNS:mqtt.example,IP:192.0.2.7", .from = &ca}),
        cert_make(dir, (struct cert_wish){.name = "lonely", .san = "DNS:localhost"}),
        cert_make(dir, (struct cert_wish){.name = "client", .from = &ca}),
        cert_make(dir, (struct cert_wish){.name = "stranger", .from = &other}),
    };

    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        cert_free(&made[i]);
    cert_free(&ca);
    cert_free(&other);
}

static void await_port(int port)
{
    int64_t until = clock_mono_ms() + 10000;

    while (!broker_listens(port) && clock_mono_ms() < until)
        clock_sleep_until_us(clock_mono_us() + 2000);
}

static void start_servers(struct world *w)
{
    static const char *const CERTS[SERVERS] = {NULL,        "good",   "expired", "early",
                                               "elsewhere", "lonely", "good"};
    char config[1800] = "allow_anonymous true\n";

    w->ports[PLAIN] = w->b.port;
    for (int i = GOOD; i < SERVERS; i++) {
        size_t used = strlen(config);
        w->ports[i] = broker_free_port();
        snprintf(config + used, sizeof(config) - used,
                 "listener %d 127.0.0.1\ncafile %s/ca.crt\ncertfile %s/%s.crt\nkeyfile %s/%s.key\n%s",
                 w->ports[i], w->b.dir, w->b.dir, CERTS[i], w->b.dir, CERTS[i],
                 i == MUTUAL ? "require_certificate true\n" : "");
    }
    broker_run(&w->b, config);
    for (int i = GOOD; i < SERVERS; i++)
        await_port(w->ports[i]);
}

static void start_tls12(struct world *w)
{
    char accept[32];

    w->tls12_port = broker_free_port();
    snprintf(accept, sizeof(accept), "127.0.0.1:%d", w->tls12_port);
    w->tls12 = fork();
    if (w->tls12 == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open("/dev/null", O_RDWR);
        if (chdir(w->b.dir) == 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0)
            execlp("openssl", "openssl", "s_server", "-accept", accept, "-cert", "good.crt", "-key",
                   "good.key", "-CAfile", "ca.crt", "-Verify", "1", "-verify_return_error", "-tls1_2",
                   "-quiet", (char *)NULL);
        _exit(127);
    }
    await_port(w->tls12_port);
}

static int start_world(void **state)
{
    static struct world w;

    broker_prepare(&w.b);
    make_certs(w.b.dir);
    start_servers(&w);
    start_tls12(&w);
    *state = &w;
    return 0;
}

static int stop_world(void **state)
{
    struct world *w = *state;

    kill(w->tls12, SIGKILL);
    waitpid(w->tls12, NULL, 0);
    broker_stop(&w->b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_broker_is_ok_by_name_and_by_address),
        cmocka_unit_test(nobody_listening_is_unreachable_with_the_systems_word),
        cmocka_unit_test(a_plain_broker_is_told_from_a_tls_one),
        cmocka_unit_test(a_stranger_as_authority_is_a_wrong_ca),
        cmocka_unit_test(a_self_signed_certificate_given_as_ca_is_fine),
        cmocka_unit_test(without_a_ca_file_the_systems_list_is_asked),
        cmocka_unit_test(times_that_do_not_fit_are_told_with_both_clocks),
        cmocka_unit_test(another_hosts_certificate_names_both),
        cmocka_unit_test(a_missing_client_certificate_is_told_under_tls_1_3_and_1_2),
        cmocka_unit_test(files_that_cannot_be_used_are_named),
        cmocka_unit_test(a_pipe_signal_does_not_end_the_program),
    };
    if (access(BROKER_PROGRAM, X_OK) != 0) {
        printf("SKIP: %s is not installed\n", BROKER_PROGRAM);
        return 77;
    }
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
