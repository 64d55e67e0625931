/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs - certificates for TLS tests, made anew in each run: <name>.crt and <name>.key in a folder.
 *
 * Threads    Test thread only.
 * Ownership  cert_make() gives a struct cert for cert_free(); the files belong to the folder.
 * Errors     Fail the test.
 */
#ifndef FG_TEST_CERTS_H
#define FG_TEST_CERTS_H

#include "unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

struct cert {
    X509 *x;
    EVP_PKEY *key;
};

struct cert_wish {
    const char *name;        /* of the files, and the common name */
    const char *san;         /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const struct cert *from; /* NULL: self-signed */
    bool ca;
    long from_s, to_s; /* validity, relative to now; both 0: an hour around now */
};

static inline void cert_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

static inline void cert_write(const struct cert *c, const char *dir, const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s.crt", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, c->x), 1);
    fclose(f);
    snprintf(path, sizeof(path), "%s/%s.key", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

static inline struct cert cert_make(const char *dir, struct cert_wish w)
{
    struct cert c = {X509_new(), EVP_EC_gen("P-256")};
    static const long HOUR_S = 3600;
    X509_NAME *name = X509_get_subject_name(c.x);

    assert_non_null(c.key);
    X509_set_version(c.x, X509_VERSION_3);
    /* Unlike serial numbers: OpenSSL takes two certificates of one issuer and serial for the same. */
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(c.x), (uint64_t)(uintptr_t)c.key);
    X509_gmtime_adj(X509_getm_notBefore(c.x), w.from_s == w.to_s ? -HOUR_S : w.from_s);
    X509_gmtime_adj(X509_getm_notAfter(c.x), w.from_s == w.to_s ? HOUR_S : w.to_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)w.name, -1, -1, 0);
    X509_set_issuer_name(c.x, w.from != NULL ? X509_get_subject_name(w.from->x) : name);
    X509_set_pubkey(c.x, c.key);
    if (w.ca)
        cert_extension(c.x, NID_basic_constraints, "critical,CA:TRUE");
    if (w.san != NULL)
        cert_extension(c.x, NID_subject_alt_name, w.san);
    assert_true(X509_sign(c.x, w.from != NULL ? w.from->key : c.key, EVP_sha256()) > 0);
    cert_write(&c, dir, w.name);
    return c;
}

static inline void cert_free(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    c->x = NULL;
    c->key = NULL;
}

#endif
