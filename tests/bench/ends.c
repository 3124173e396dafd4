/* SPDX-License-Identifier: Apache-2.0 */
#include "ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void die(const char *what)
{
    perror(what);
    exit(1);
}

double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

SSL_CTX *ends_context(const SSL_METHOD *method, const char *ca, const char *certificate,
                      const char *key)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_load_verify_locations(context, ca, NULL) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        die("certificates");
    return context;
}
