/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mqtt_resolve.h"
#include "text.h"

struct diag {
    const struct tls_diag_options *options;
    struct err_note *note;
    int64_t begun_mono_ms, until_mono_ms;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    bool asked_for_cert; /* the broker has asked for a client certificate */
    bool ticket;         /* a session ticket came: the broker has accepted everything we sent */
};

static enum tls_diag_result say(struct diag *d, enum tls_diag_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum tls_diag_result say(struct diag *d, enum tls_diag_result result, const char *format, ...)
{
    char text[sizeof(d->note->text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), _(format), args);
    va_end(args);
    err_note(d->note, 0, "%s", text);
    return result;
}

static const char *openssl_reason(void)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(e);

    if (e != 0 && ERR_SYSTEM_ERROR(e))
        return text_errno(ERR_GET_REASON(e));
    return reason != NULL ? text_said(reason) : _("no reason given");
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* ---- files ---- */

static enum tls_diag_result bad_file(struct diag *d, const char *key, const char *path)
{
    return say(
        d, TLS_DIAG_BAD_FILE,
        "%s %s cannot be used: %s; check that it exists, is in PEM form and may be read by the service", key,
        path, openssl_reason());
}

static enum tls_diag_result load_files(struct diag *d)
{
    const struct tls_diag_options *o = d->options;
    const char *key_file = o->key_file != NULL ? o->key_file : o->cert_file;

    if (o->ca_file == NULL)
        SSL_CTX_set_default_verify_paths(d->ctx);
    else if (SSL_CTX_load_verify_file(d->ctx, o->ca_file) != 1)
        return bad_file(d, "ca_file", o->ca_file);
    if (o->cert_file == NULL)
        return TLS_DIAG_OK;
    if (SSL_CTX_use_certificate_chain_file(d->ctx, o->cert_file) != 1)
        return bad_file(d, "cert_file", o->cert_file);
    if (SSL_CTX_use_PrivateKey_file(d->ctx, key_file, SSL_FILETYPE_PEM) == 1)
        return TLS_DIAG_OK;
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return say(d, TLS_DIAG_BAD_FILE,
                   "key_file %s does not belong to cert_file %s; install the pair that was issued together",
                   key_file, o->cert_file);
    return bad_file(d, "key_file", key_file);
}

/* ---- connection and handshake ---- */

static int64_t left_ms(const struct diag *d)
{
    int64_t left = d->until_mono_ms - clock_mono_ms();

    return left > 0 ? left : 0;
}

static enum tls_diag_result dial(struct diag *d)
{
    const struct tls_diag_options *o = d->options;
    struct mqtt_url url = {.tls = true, .port = o->port};
    struct mqtt_address address;

    snprintf(url.host, sizeof(url.host), "%s", o->host);
    if (mqtt_resolve(&url, 0, &address, d->note) < 0)
        return TLS_DIAG_UNREACHABLE;
    d->fd = mqtt_dial(&address, left_ms(d));
    if (d->fd >= 0)
        return TLS_DIAG_OK;
    return say(d, TLS_DIAG_UNREACHABLE,
               "cannot reach %s port %d (%s): %s; check the link, the port and that the broker runs", o->host,
               o->port, address.text, text_errno(-d->fd));
}

/* Waits for what OpenSSL wants; false when the deadline has passed. */
static bool wait_for(const struct diag *d, int error, int64_t until_mono_ms)
{
    struct pollfd p = {.fd = d->fd, .events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    int64_t left = until_mono_ms - clock_mono_ms();

    return left > 0 && poll(&p, 1, (int)left) == 1;
}

static bool wants(int error)
{
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int on_cert_wanted(SSL *ssl, void *context)
{
    struct diag *d = context;

    (void)ssl;
    d->asked_for_cert = true;
    return 1;
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct diag *d = SSL_get_app_data(ssl);

    (void)session;
    d->ticket = true;
    return 0; /* not kept */
}

static bool is_alert(unsigned long e)
{
    return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET;
}

static enum tls_diag_result cert_trouble(struct diag *d, const char *how)
{
    const struct tls_diag_options *o = d->options;

    if (o->cert_file == NULL)
        return say(d, TLS_DIAG_CLIENT_CERT,
                   "%s wants a client certificate and none is configured (%s); set cert_file and key_file",
                   o->host, how);
    return say(d, TLS_DIAG_CLIENT_CERT,
               "%s does not accept the client certificate %s (%s); ask its operator for a valid one", o->host,
               o->cert_file, how);
}

/* The handshake, or what came right after it, has failed. */
static enum tls_diag_result failed(struct diag *d, int error)
{
    const struct tls_diag_options *o = d->options;
    unsigned long e = ERR_peek_last_error();
    int reason = ERR_GET_REASON(e);

    if (wants(error))
        return say(d, TLS_DIAG_NO_TLS,
                   "%s port %d takes connections but gave no TLS answer in %lld s; check that the port is "
                   "the TLS one, and the link",
                   o->host, o->port, (long long)((clock_mono_ms() - d->begun_mono_ms) / 1000));
    if (d->asked_for_cert)
        return cert_trouble(d, e != 0 ? openssl_reason() : _("it closed the connection"));
    if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
        (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION))
        return say(d, TLS_DIAG_OTHER, "%s port %d speaks only TLS older than 1.2; the broker must be updated",
                   o->host, o->port);
    if (is_alert(e))
        return say(d, TLS_DIAG_OTHER, "%s port %d refuses the TLS handshake: %s; see the broker's log",
                   o->host, o->port, openssl_reason());
    if (error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
        reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return say(d, TLS_DIAG_NO_TLS,
                   "%s port %d closed the connection in mid-handshake; check that the port is the TLS one "
                   "(8883, not 1883)",
                   o->host, o->port);
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
        reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNEXPECTED_MESSAGE ||
        reason == SSL_R_BAD_RECORD_TYPE)
        return say(d, TLS_DIAG_NO_TLS,
                   "%s port %d answers, but not in TLS; check that the port is the TLS one (8883, not 1883)",
                   o->host, o->port);
    return say(d, TLS_DIAG_OTHER, "TLS with %s port %d failed: %s; see the broker's log", o->host, o->port,
               openssl_reason());
}

static enum tls_diag_result handshake(struct diag *d)
{
    int rc, error = SSL_ERROR_NONE;

    d->ssl = SSL_new(d->ctx);
    if (d->ssl == NULL || SSL_set_fd(d->ssl, d->fd) != 1)
        return say(d, TLS_DIAG_OTHER, "TLS cannot be set up: %s", openssl_reason());
    SSL_set_app_data(d->ssl, d);
    if (!is_address(d->options->host))
        SSL_set_tlsext_host_name(d->ssl, d->options->host);
    do {
        ERR_clear_error();
        rc = SSL_connect(d->ssl);
        error = SSL_get_error(d->ssl, rc);
    } while (rc != 1 && wants(error) && wait_for(d, error, d->until_mono_ms));
    return rc == 1 ? TLS_DIAG_OK : failed(d, error);
}

/* With TLS 1.3 the broker judges our certificate after our handshake is done: its alert is what a read
 * brings. A ticket, or silence for longer than the handshake took, means that it was content. */
static enum tls_diag_result listen_after(struct diag *d)
{
    int64_t patience_ms = 2 * (clock_mono_ms() - d->begun_mono_ms) + 300;
    int64_t until = clock_mono_ms() + (patience_ms < left_ms(d) ? patience_ms : left_ms(d));
    char byte;

    while (d->asked_for_cert && !d->ticket) {
        ERR_clear_error();
        int rc = SSL_read(d->ssl, &byte, 1);
        int error = SSL_get_error(d->ssl, rc);
        if (rc <= 0 && !wants(error))
            return failed(d, error);
        if (rc > 0 || d->ticket || !wait_for(d, error, until))
            break;
    }
    return TLS_DIAG_OK;
}

/* ---- the broker's certificate ---- */

static void time_text(const ASN1_TIME *time, char *ret, size_t size)
{
    struct tm tm = {0};

    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(ret, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(ret, size, _("an unreadable time"));
}

static void now_text(char *ret, size_t size)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(ret, size, "%Y-%m-%d %H:%M UTC", &tm);
}

/* The certificate of the chain whose time is wrong, which may be an authority's. */
static X509 *untimely(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *x = sk_X509_value(chain, i);
        if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0 ||
            X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
            return x;
    }
    return SSL_get0_peer_certificate(ssl);
}

static enum tls_diag_result wrong_time(struct diag *d, bool early)
{
    X509 *x = untimely(d->ssl);
    char when[48], now[48], whose[128] = "?";

    time_text(early ? X509_get0_notBefore(x) : X509_get0_notAfter(x), when, sizeof(when));
    now_text(now, sizeof(now));
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, whose, sizeof(whose));
    if (early)
        return say(d, TLS_DIAG_EXPIRED,
                   "the certificate of %s is valid only from %s, and this gateway's clock says %s; set the "
                   "clock first",
                   whose, when, now);
    return say(d, TLS_DIAG_EXPIRED,
               "the certificate of %s expired at %s (this gateway's clock says %s); the broker's operator "
               "must renew it",
               whose, when, now);
}

static void add_name(char *names, size_t size, const char *name, size_t len)
{
    size_t used = strlen(names);

    snprintf(names + used, size - used, "%s%.*s", used > 0 ? ", " : "", (int)len, name);
}

static void cert_names(X509 *x, char *names, size_t size)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    char text[INET6_ADDRSTRLEN];

    names[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        if (g->type == GEN_DNS)
            add_name(names, size, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                     (size_t)ASN1_STRING_length(g->d.dNSName));
        if (g->type == GEN_IPADD &&
            inet_ntop(ASN1_STRING_length(g->d.iPAddress) == 4 ? AF_INET : AF_INET6,
                      ASN1_STRING_get0_data(g->d.iPAddress), text, sizeof(text)) != NULL)
            add_name(names, size, text, strlen(text));
    }
    GENERAL_NAMES_free(list);
    if (names[0] == '\0' &&
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, names, (int)size) < 0)
        snprintf(names, size, _("no name at all"));
}

/* A name or an address, either of which may stand in a certificate for the other kind too. */
static bool host_matches(X509 *x, const char *host)
{
    return is_address(host) ? X509_check_ip_asc(x, host, 0) == 1 : X509_check_host(x, host, 0, 0, NULL) == 1;
}

static enum tls_diag_result judge_host(struct diag *d)
{
    const char *host = d->options->host;
    X509 *x = SSL_get0_peer_certificate(d->ssl);
    char names[200];

    if (d->options->any_host_name || host_matches(x, host))
        return TLS_DIAG_OK;
    cert_names(x, names, sizeof(names));
    return say(d, TLS_DIAG_WRONG_HOST,
               "the broker's certificate is for %s, not for %s; use one of its names in the url, or have a "
               "certificate issued for %s",
               names, host, host);
}

static enum tls_diag_result judge(struct diag *d)
{
    long error = SSL_get_verify_result(d->ssl);
    const char *ca = d->options->ca_file != NULL ? d->options->ca_file : _("the system's list");
    const char *why = text_said(X509_verify_cert_error_string(error));

    switch (error) {
    case X509_V_OK:
        return judge_host(d);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return wrong_time(d, false);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return wrong_time(d, true);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return say(d, TLS_DIAG_WRONG_CA,
                   "the certificate of %s is self-signed and not in %s; give that certificate as ca_file, or "
                   "the authority's that should have signed it",
                   d->options->host, ca);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
        return say(d, TLS_DIAG_WRONG_CA,
                   "the certificate of %s is signed by an authority that is not in %s (%s); give the "
                   "broker's authority as ca_file",
                   d->options->host, ca, why);
    default: /* an int of OpenSSL's with some hundred values */
        return say(d, TLS_DIAG_OTHER, "the certificate of %s is refused: %s; ask the broker's operator",
                   d->options->host, why);
    }
}

/* ---- all of it ---- */

static enum tls_diag_result steps(struct diag *d)
{
    enum tls_diag_result r = load_files(d);

    if (r == TLS_DIAG_OK)
        r = dial(d);
    if (r == TLS_DIAG_OK)
        r = handshake(d);
    /* First the broker's certificate: only when that is good does it matter what the broker thinks of ours.
     */
    if (d->ssl != NULL && SSL_get0_peer_certificate(d->ssl) != NULL) {
        enum tls_diag_result certificate = judge(d);
        if (certificate != TLS_DIAG_OK)
            return certificate;
    }
    if (r == TLS_DIAG_OK)
        r = listen_after(d);
    if (r == TLS_DIAG_OK)
        say(d, r, "TLS with %s port %d works now (%s); the trouble lies elsewhere or has passed",
            d->options->host, d->options->port, SSL_get_version(d->ssl));
    return r;
}

static enum tls_diag_result run(const struct tls_diag_options *options, struct err_note *note)
{
    struct diag d = {.options = options, .note = note, .fd = -1, .begun_mono_ms = clock_mono_ms()};
    enum tls_diag_result r = TLS_DIAG_OTHER;

    d.until_mono_ms = d.begun_mono_ms + options->timeout_ms;
    ERR_clear_error();
    d.ctx = SSL_CTX_new(TLS_client_method());
    if (d.ctx != NULL) {
        SSL_CTX_set_min_proto_version(d.ctx, TLS1_2_VERSION);
        SSL_CTX_set_cipher_list(d.ctx, TLS_DIAG_SUITES);
        /* The handshake goes on whatever the certificate is, so that all of it can be judged afterwards;
         * nothing is ever sent over this connection. */
        SSL_CTX_set_verify(d.ctx, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_cert_cb(d.ctx, on_cert_wanted, &d);
        SSL_CTX_set_session_cache_mode(d.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(d.ctx, on_ticket);
        r = steps(&d);
    } else {
        say(&d, r, "TLS cannot be set up: %s", openssl_reason());
    }
    SSL_free(d.ssl);
    SSL_CTX_free(d.ctx);
    if (d.fd >= 0)
        close(d.fd);
    ERR_clear_error();
    return r;
}

/* OpenSSL writes with write(): a connection closed by the other side would raise SIGPIPE. */
enum tls_diag_result tls_diag_run(const struct tls_diag_options *options, struct err_note *note)
{
    sigset_t pipe_only, before, pending;
    const struct timespec now = {0, 0};

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    enum tls_diag_result r = run(options, note);
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}
