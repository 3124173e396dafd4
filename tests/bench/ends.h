/* SPDX-License-Identifier: Apache-2.0 */
/* ends.h - what both bare ends of a benchmark over TLS need: push.c, a server, and flows.c, a
 * client */
#pragma once

#include <openssl/ssl.h>

/* Ends the program, with the reason as perror(3). */
void die(const char *what) __attribute__((noreturn));

/* CPU time of this process. */
double cpu_s(void);

/* Of files: whom to trust, and the own certificate and key. */
SSL_CTX *ends_context(const SSL_METHOD *method, const char *ca, const char *certificate,
                      const char *key);
