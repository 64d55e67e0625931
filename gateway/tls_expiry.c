/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_expiry.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "err.h"

static int64_t end_of(const X509 *x)
{
    struct tm tm = {0};
    /* A time that cannot be read never ends: judging it is the handshake's business. */
    return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : INT64_MAX;
}

/* Whether an end is to be told rather than the one found so far. */
static bool sooner(int64_t end, int64_t than, bool alternatives, int64_t now_wall_ms)
{
    if (alternatives && (end <= now_wall_ms) != (than <= now_wall_ms))
        return end > now_wall_ms;
    /* Of authorities that have all ended the last is the one that could have helped. */
    return alternatives && end <= now_wall_ms ? end > than : end < than;
}

int tls_expiry_read(const char *path, bool alternatives, int64_t now_wall_ms, struct tls_expiry *ret)
{
    size_t count = 0;
    X509 *x;
    FILE *file = fopen(path, "re");
    if (!file)
        return FG_EIO;
    while ((x = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        int64_t end = end_of(x);
        if (count++ == 0 || sooner(end, ret->wall_ms, alternatives, now_wall_ms)) {
            ret->wall_ms = end;
            if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, ret->name,
                                          sizeof ret->name) < 0)
                strcpy(ret->name, "?");
        }
        X509_free(x);
    }
    fclose(file);
    ERR_clear_error(); /* the end of the file is one */
    return count > 0 ? 0 : FG_EINVALID;
}
