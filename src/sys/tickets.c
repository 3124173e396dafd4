/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/tickets.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <uthash.h>

#include "sys/clock.h"
#include "sys/tls.h"

DEFINE_CLEANUP(SSL_SESSION, SSL_SESSION_free)
DEFINE_CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)

enum { ID_SIZE = 32 }; /* Of the sessions of OpenSSL: random, all of one size. */

struct session {       /* Of a server, for a client that comes back. */
    UT_hash_handle hh; /* Which also has them in the order in which they were made. */
    uint8_t id[ID_SIZE];
    SSL_SESSION *inner;
    SSL *owner; /* The connection that got it last, or came by it; NULL: none lives. */
};

struct tickets {
    tickets_counts_fn *counts; /* NULL: a client. */
    void *user;
    int64_t (*now_s)(void);
    struct session *sessions;
    SSL_SESSION *kept; /* By a client; NULL: nothing. */
};

static struct tickets *tickets_of(const SSL *session)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(session));
}

/* ---- sessions of a server ---- */

/* Of each connection: its session, as SSL_get_ex_data(). */
static int session_index(void);

/* Each has one of the other at most: a client may offer several tickets. */
static void own(struct session *s, SSL *owner)
{
    struct session *other = owner ? SSL_get_ex_data(owner, session_index()) : NULL;

    if (other)
        other->owner = NULL;
    if (s->owner)
        (void)SSL_set_ex_data(s->owner, session_index(), NULL); /* Fails only without memory. */
    s->owner = owner;
    if (owner && SSL_set_ex_data(owner, session_index(), s) != 1)
        abort(); /* Out of memory. */
}

static void owner_ended(void *owner, void *session, CRYPTO_EX_DATA *data, int index, long a,
                        void *b)
{
    struct session *s = session;

    (void)owner;
    (void)data;
    (void)index;
    (void)a;
    (void)b;
    if (s)
        s->owner = NULL;
}

static int session_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, owner_ended);
    if (index < 0)
        abort(); /* Out of memory. */
    return index;
}

static void forget(struct tickets *t, struct session *s)
{
    own(s, NULL);
    HASH_DEL(t->sessions, s);
    SSL_SESSION_free(s->inner);
    free(s);
}

static struct session *find(const struct tickets *t, const uint8_t *id, size_t size)
{
    struct session *s = NULL;

    if (size == ID_SIZE)
        HASH_FIND(hh, t->sessions, id, ID_SIZE, s);
    return s;
}

static bool is_young(const SSL_SESSION *s, int64_t now_s)
{
    int64_t made_s = SSL_SESSION_get_time(s);

    return now_s >= made_s && now_s - made_s < TICKET_LIFE_S;
}

static void forget_old(struct tickets *t)
{
    int64_t now_s = t->now_s();

    while (t->sessions && (HASH_COUNT(t->sessions) >= TICKETS_MAX ||
                           !is_young(t->sessions->inner, now_s))) /* The oldest is first. */
        forget(t, t->sessions);
}

/* A ticket leaves for the client.  A copy is kept: OpenSSL spoils the session of a connection that
 * is cut, and cuts are what it is for. */
static int note(SSL *session, SSL_SESSION *made)
{
    struct tickets *t = tickets_of(session);
    struct session *former = SSL_get_ex_data(session, session_index()), *s;
    unsigned size = 0;
    const uint8_t *id = SSL_SESSION_get_id(made, &size);

    if (size != ID_SIZE || find(t, id, size))
        return 0;
    if (former)
        forget(t, former);
    forget_old(t);
    s = xcalloc(1, sizeof(*s));
    memcpy(s->id, id, ID_SIZE);
    s->inner = SSL_SESSION_dup(made);
    if (!s->inner)
        abort(); /* Out of memory. */
    HASH_ADD(hh, t->sessions, id, ID_SIZE, s);
    own(s, session);
    return 0;
}

/* ---- judgement ---- */

/* As OpenSSL's own check of a full handshake, with the same trust, name, usage and level. */
static bool still_holds(SSL *session, X509 *certificate, bool is_server, int64_t now_s)
{
    CLEANUP(X509_STORE_CTX_freep) X509_STORE_CTX *check = X509_STORE_CTX_new();
    X509_STORE *trusted = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(session));
    X509_VERIFY_PARAM *param;
    bool good;

    if (!check || X509_STORE_CTX_init(check, trusted, certificate, NULL) != 1 ||
        X509_STORE_CTX_set_default(check, is_server ? "ssl_client" : "ssl_server") != 1)
        return false;
    param = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(session));
    if (X509_VERIFY_PARAM_set1(param, SSL_get0_param(session)) != 1)
        return false;
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    good = X509_verify_cert(check) == 1;
    ERR_clear_error();
    return good;
}

/* The server's: may this session go on? */
static bool is_good(struct tickets *t, SSL *session, SSL_SESSION *before)
{
    X509 *certificate = SSL_SESSION_get0_peer(before);
    int64_t now_s = t->now_s();
    struct tls_peer peer;

    if (!certificate || !is_young(before, now_s) || !still_holds(session, certificate, true, now_s))
        return false;
    tls_peer_of_certificate(certificate, &peer);
    return t->counts(t->user, peer.name, peer.serial);
}

/* OpenSSL's question for what a ticket stands for; NULL: shake hands in full. */
static SSL_SESSION *look_up(SSL *session, const unsigned char *id, int size, int *ret_is_shared)
{
    struct tickets *t = tickets_of(session);
    struct session *s = find(t, id, (size_t)size);
    SSL_SESSION *copy;

    *ret_is_shared = 0;
    if (!s || !is_good(t, session, s->inner))
        return NULL;
    own(s, session);
    copy = SSL_SESSION_dup(s->inner);
    if (!copy)
        abort(); /* Out of memory. */
    return copy;
}

/* Before a ticket is written: so that a client does not offer it when its certificate is over. */
static int limit_life(SSL *session, void *tickets)
{
    SSL_SESSION *s = SSL_get_session(session);
    X509 *certificate = s ? SSL_SESSION_get0_peer(s) : NULL;
    int days = 0, seconds = 0;
    int64_t left_s;

    (void)tickets;
    if (!certificate || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        return 1; /* It will not be good at its return. */
    left_s = (int64_t)days * 86400 + seconds;
    left_s = left_s < 0 ? 0 : left_s > TICKET_LIFE_S ? TICKET_LIFE_S : left_s;
    (void)SSL_SESSION_set_timeout(s, (long)left_s);
    return 1;
}

/* ---- clients ---- */

/* A copy: OpenSSL spoils the session of a connection that is cut, and cuts are what it is for. */
static int keep(SSL *session, SSL_SESSION *given)
{
    struct tickets *t = tickets_of(session);

    SSL_SESSION_free(t->kept);
    t->kept = SSL_SESSION_dup(given);
    return 0;
}

void tickets_offer(struct tickets *t, struct ssl_st *session)
{
    CLEANUP(SSL_SESSION_freep) SSL_SESSION *copy = NULL;
    X509 *certificate = t->kept ? SSL_SESSION_get0_peer(t->kept) : NULL;

    if (!certificate || !still_holds(session, certificate, false, t->now_s()))
        return;
    copy = SSL_SESSION_dup(t->kept);
    if (!copy || SSL_set_session(session, copy) != 1)
        abort(); /* Out of memory. */
}

void tickets_swap(struct tickets *t, struct ssl_session_st **ticket)
{
    SSL_SESSION *kept = t->kept;

    t->kept = *ticket;
    *ticket = kept;
}

/* ---- beginning and end ---- */

void tickets_set_clock(struct tickets *t, int64_t (*now_s)(void))
{
    t->now_s = now_s;
}

/* Sessions are ours to keep: tickets are but their names. */
static void serve(struct tickets *t, SSL_CTX *context)
{
    static const unsigned char name[] = "suimitsu agents";

    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(context,
                                         SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, note);
    SSL_CTX_sess_set_get_cb(context, look_up);
    if (SSL_CTX_set_session_id_context(context, name, sizeof(name) - 1) != 1 ||
        SSL_CTX_set_session_ticket_cb(context, limit_life, NULL, t) != 1 ||
        SSL_CTX_set_max_early_data(context, 0) != 1)
        abort(); /* Our own bug. */
}

size_t tickets_n(const struct tickets *t)
{
    return HASH_COUNT(t->sessions);
}

struct tickets *tickets_new(struct ssl_ctx_st *context, tickets_counts_fn *counts, void *user)
{
    struct tickets *t = xcalloc(1, sizeof(*t));

    t->counts = counts;
    t->user = user;
    t->now_s = clock_unix_s;
    (void)SSL_CTX_set_app_data(context, t);
    (void)SSL_CTX_set_timeout(context, TICKET_LIFE_S);
    if (counts) {
        serve(t, context);
    } else {
        (void)SSL_CTX_set_session_cache_mode(context,
                                             SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep);
    }
    return t;
}

void tickets_free(struct tickets *t)
{
    if (!t)
        return;
    while (t->sessions)
        forget(t, t->sessions);
    SSL_SESSION_free(t->kept);
    free(t);
}
