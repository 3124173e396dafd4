/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS 1.3 and nothing below, with certificates of our own authority only
 *
 * The public authorities of the machine are never asked: whoever can buy a certificate is not
 * thereby the controller.  A peer is trusted by the authority given here, or, by a newcomer that
 * has no authority yet, by the SHA-256 of the authority's certificate, which the enrolment token
 * carries.
 *
 * The authority signs agents and controller alike; what keeps an agent from posing as the
 * controller is the extended key usage (serverAuth, clientAuth), which is always checked, and the
 * name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum { TLS_PIN_SIZE = 32, TLS_NAME_SIZE = 64, TLS_SERIAL_SIZE = 48 };

/* In every controller's certificate besides its own names, so that agents can check it whatever
 * address they reach it by. */
#define TLS_CONTROLLER_NAME "suimitsud"

enum tls_role {
    TLS_CLIENT,
    TLS_SERVER,                /* Asks no client for a certificate (the API: tokens). */
    TLS_SERVER_ASKING_CLIENTS, /* Accepts none, or one of our authority; nothing else. */
};

struct tls_options {
    enum tls_role role;
    const char *chain_pem; /* Own certificate and what follows it; NULL: none (newcomer). */
    const char *key_pem;
    const char *ca_pem;    /* Whom to trust; NULL with 'pin'. */
    const uint8_t *pin;    /* TLS_PIN_SIZE bytes; clients only; NULL with 'ca_pem'. */
    const char *peer_name; /* Clients only: a DNS name that the server's certificate must have. */
};

struct tls;

/* Nothing is borrowed afterwards.  -EINVAL: '*ret_what' (static) says which part is no good. */
int tls_new(const struct tls_options *options, struct tls **ret_t, const char **ret_what);
void tls_free(struct tls *t);
DEFINE_CLEANUP(struct tls, tls_free)

struct ssl_st;
struct ssl_ctx_st;

/* A new session of this side, owned by the caller (SSL_free, or a bufferevent). */
struct ssl_st *tls_session(struct tls *t);
struct ssl_ctx_st *tls_context(struct tls *t); /* Borrowed. */
bool tls_is_server(const struct tls *t);

struct tls_peer {
    bool has_certificate;
    char name[TLS_NAME_SIZE];     /* Common name. */
    char serial[TLS_SERIAL_SIZE]; /* Hexadecimal. */
};

/* Who is at the other end of a session that has shaken hands. */
void tls_peer_of(struct ssl_st *session, struct tls_peer *ret_peer);

/* SHA-256 of the first certificate in 'pem', as in a pin.  -EINVAL: no certificate. */
int tls_fingerprint(const char *pem, uint8_t ret_pin[TLS_PIN_SIZE]);
