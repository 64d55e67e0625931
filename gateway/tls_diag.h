/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_diag - one TLS handshake of our own, to say why Paho's failed. The door to OpenSSL.
 *
 * Threads    Any thread; blocks at most the timeout (and the resolver).
 * Ownership  Nothing is kept.
 * Errors     See enum.
 *
 * Paho 1.3.12 reports every TLS failure as "-1 TCP/TLS connect failure" and cannot name a host mismatch at
 * all.
 */
#ifndef FG_TLS_DIAG_H
#define FG_TLS_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* What we speak beside TLS 1.3: only suites that came with TLS 1.2. */
#define TLS_DIAG_SUITES "TLSv1.2:!aNULL:!eNULL:!PSK:!SRP"

enum tls_diag_result {
    TLS_DIAG_OK,          /* the handshake works now: the trouble lies elsewhere or has passed */
    TLS_DIAG_UNREACHABLE, /* no TCP connection */
    TLS_DIAG_NO_TLS,      /* connected, but the other side does not speak TLS, or closed in mid-handshake */
    TLS_DIAG_WRONG_CA,    /* signed by somebody the CA file does not know (or self-signed) */
    TLS_DIAG_EXPIRED,     /* expired, or not yet valid (then our clock may be wrong) */
    TLS_DIAG_WRONG_HOST,  /* the certificate is for another name; the note names both */
    TLS_DIAG_CLIENT_CERT, /* the broker wants a client certificate, or refused ours */
    TLS_DIAG_BAD_FILE,    /* a CA, certificate or key file cannot be used */
    TLS_DIAG_OTHER,
};

struct tls_diag_options {
    const char *host;
    int port;
    const char *ca_file, *cert_file, *key_file; /* as for mqtt.h */
    bool any_host_name;                         /* likewise */
    int64_t timeout_ms;
};

/* note: one sentence with the cause and the next step. */
enum tls_diag_result tls_diag_run(const struct tls_diag_options *options, struct err_note *note);

#endif
