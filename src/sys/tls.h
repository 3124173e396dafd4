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
struct ssl_session_st;
struct x509_st;

/* A new session of this side, owned by the caller (SSL_free, or a bufferevent).  It ends before
 * 't', and so do those that were made before. */
struct ssl_st *tls_session(struct tls *t);
struct ssl_ctx_st *tls_context(struct tls *t); /* Borrowed. */
bool tls_is_server(const struct tls *t);

struct tls_peer {
    bool has_certificate;
    bool is_resumed;              /* Known by a ticket: it signed when it got the first. */
    char name[TLS_NAME_SIZE];     /* Common name. */
    char serial[TLS_SERIAL_SIZE]; /* Hexadecimal. */
};

/* Who is at the other end of a session that has shaken hands. */
void tls_peer_of(struct ssl_st *session, struct tls_peer *ret_peer);

/* As far as a certificate tells: the rest is false. */
void tls_peer_of_certificate(const struct x509_st *certificate, struct tls_peer *ret_peer);

/* ---- tickets (sys/tickets.h): resumption; without these calls there is none ---- */

/* Of a server that asks clients: from now on tls_give_ticket() gives tickets, and they are good as
 * long as 'counts' says of their certificate that it still does. */
void tls_accept_tickets(struct tls *t,
                        bool (*counts)(void *user, const char *name, const char *serial),
                        void *user);

/* To a client whose certificate was judged; it leaves with what is sent, or read, next. */
void tls_give_ticket(struct ssl_st *session);

/* Of a client: the newest ticket is kept, and offered by the next session. */
void tls_keep_tickets(struct tls *t);

/* Exchanges the kept ticket with '*ticket' (NULL: none): for who turns to several servers by turns,
 * or wants a full handshake.  Whoever holds one frees it. */
void tls_swap_ticket(struct tls *t, struct ssl_session_st **ticket);
void tls_ticket_free(struct ssl_session_st *ticket);

/* Of a server: for how many that come back it has a session. */
size_t tls_n_tickets(const struct tls *t);

/* Tickets and their certificates are judged by this clock instead of the machine's. */
void tls_set_clock(struct tls *t, int64_t (*now_s)(void));

/* SHA-256 of the first certificate in 'pem', as in a pin.  -EINVAL: no certificate. */
int tls_fingerprint(const char *pem, uint8_t ret_pin[TLS_PIN_SIZE]);
