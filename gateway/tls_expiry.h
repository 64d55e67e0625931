/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_expiry - when the certificates of a file end.
 *
 * Threads    Any thread.
 * Ownership  Nothing is kept.
 * Errors     FG_EIO: the file cannot be read; FG_EINVALID: it holds no certificate in PEM form.
 */
#ifndef FG_TLS_EXPIRY_H
#define FG_TLS_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

struct tls_expiry {
    int64_t wall_ms; /* end of the certificate that ends first */
    char name[128];  /* its common name, "?" when it has none */
};

/* alternatives: any one of them is enough, as in a file of authorities; one that has ended already then
 * counts only when all have. Otherwise they are a chain, all of which must be valid. */
int tls_expiry_read(const char *path, bool alternatives, int64_t now_wall_ms, struct tls_expiry *ret);

#endif
