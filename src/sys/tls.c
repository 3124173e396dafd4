/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "sys/tickets.h"

DEFINE_CLEANUP(X509, X509_free)
DEFINE_CLEANUP(BIO, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)

struct tls {
    SSL_CTX *context;
    bool server;
    bool pinned;
    uint8_t pin[TLS_PIN_SIZE];
    char *peer_name;
    struct tickets *tickets; /* NULL: sessions are not resumed. */
};

static BIO *bio_of(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);

    if (!bio)
        abort(); /* Out of memory. */
    return bio;
}

static int fingerprint(const X509 *certificate, uint8_t pin[TLS_PIN_SIZE])
{
    unsigned size = 0;

    if (X509_digest(certificate, EVP_sha256(), pin, &size) != 1 || size != TLS_PIN_SIZE)
        return -EINVAL;
    return 0;
}

int tls_fingerprint(const char *pem, uint8_t ret_pin[TLS_PIN_SIZE])
{
    CLEANUP(BIO_free_allp) BIO *bio = bio_of(pem);
    CLEANUP(X509_freep) X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    ERR_clear_error();
    return certificate ? fingerprint(certificate, ret_pin) : -EINVAL;
}

/* The newcomer's check: the chain that the server sent must contain the pinned authority, and then
 * hold as if that one had been given. */
static int verify_pinned(X509_STORE_CTX *store, void *tls)
{
    const struct tls *t = tls;
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    int good = 0;

    for (int i = 0; trusted && i < sk_X509_num(sent); i++) {
        X509 *certificate = sk_X509_value(sent, i);
        uint8_t pin[TLS_PIN_SIZE];

        if (fingerprint(certificate, pin) == 0 && memcmp(pin, t->pin, sizeof(pin)) == 0)
            (void)sk_X509_push(trusted, certificate);
    }
    if (sk_X509_num(trusted) > 0) {
        X509_STORE_CTX_set0_trusted_stack(store, trusted);
        good = X509_verify_cert(store);
    } else {
        X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    }
    X509_STORE_CTX_set0_trusted_stack(store, NULL);
    sk_X509_free(trusted);
    return good == 1;
}

static int use_chain(SSL_CTX *context, const char *pem)
{
    CLEANUP(BIO_free_allp) BIO *bio = bio_of(pem);
    CLEANUP(X509_freep) X509 *own = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509 *next;

    if (!own || SSL_CTX_use_certificate(context, own) != 1)
        return -EINVAL;
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            return -EINVAL;
        }
    ERR_clear_error(); /* The end of the file counts as one. */
    return 0;
}

static int use_key(SSL_CTX *context, const char *pem)
{
    CLEANUP(BIO_free_allp) BIO *bio = bio_of(pem);
    CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

    if (!key || SSL_CTX_use_PrivateKey(context, key) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return -EINVAL;
    return 0;
}

static int use_ca(SSL_CTX *context, const char *pem)
{
    CLEANUP(BIO_free_allp) BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    int n = 0;

    for (;;) {
        CLEANUP(X509_freep) X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (!ca)
            break;
        if (X509_STORE_add_cert(store, ca) != 1)
            return -EINVAL;
        n++;
    }
    ERR_clear_error();
    return n ? 0 : -EINVAL;
}

static int configure(struct tls *t, const struct tls_options *o, const char **ret_what)
{
    SSL_CTX *context = t->context;

    *ret_what = "TLS 1.3 is not available";
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        return -EINVAL;
    (void)SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(context, 0); /* None by itself; see tls_give_ticket(). */
    *ret_what = "the certificate";
    if (o->chain_pem && use_chain(context, o->chain_pem) < 0)
        return -EINVAL;
    *ret_what = "the private key, or it does not belong to the certificate";
    if (o->key_pem && use_key(context, o->key_pem) < 0)
        return -EINVAL;
    *ret_what = "the certificate of the authority";
    if (o->ca_pem && use_ca(context, o->ca_pem) < 0)
        return -EINVAL;
    *ret_what = "whom to trust";
    if (o->role == TLS_CLIENT && !o->ca_pem == !o->pin)
        return -EINVAL;
    if (o->role == TLS_SERVER_ASKING_CLIENTS && !o->ca_pem)
        return -EINVAL;
    if (o->role != TLS_SERVER)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (t->pinned)
        SSL_CTX_set_cert_verify_callback(context, verify_pinned, t);
    return 0;
}

int tls_new(const struct tls_options *o, struct tls **ret_t, const char **ret_what)
{
    CLEANUP(tls_freep) struct tls *t = xcalloc(1, sizeof(*t));
    int r;

    t->server = o->role != TLS_CLIENT;
    t->context = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());
    if (!t->context)
        abort(); /* Out of memory. */
    t->peer_name = xstrdup(o->peer_name);
    if (o->pin) {
        memcpy(t->pin, o->pin, sizeof(t->pin));
        t->pinned = true;
    }
    r = configure(t, o, ret_what);
    ERR_clear_error();
    if (r < 0)
        return r;
    *ret_t = TAKE_PTR(t);
    return 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    tickets_free(t->tickets);
    free(t->peer_name);
    free(t);
}

struct ssl_st *tls_session(struct tls *t)
{
    SSL *session = SSL_new(t->context);

    if (!session)
        abort(); /* Out of memory. */
    if (t->peer_name) {
        if (SSL_set1_host(session, t->peer_name) != 1 ||
            SSL_set_tlsext_host_name(session, t->peer_name) != 1)
            abort(); /* Out of memory. */
        SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    }
    if (t->tickets && !t->server)
        tickets_offer(t->tickets, session);
    return session;
}

struct ssl_ctx_st *tls_context(struct tls *t)
{
    return t->context;
}

bool tls_is_server(const struct tls *t)
{
    return t->server;
}

void tls_peer_of_certificate(const X509 *certificate, struct tls_peer *ret_peer)
{
    struct tls_peer peer = {.has_certificate = true};
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;

    if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, peer.name,
                                  sizeof(peer.name)) < 0)
        peer.name[0] = 0;
    if (text && strlen(text) < sizeof(peer.serial))
        memcpy(peer.serial, text, strlen(text) + 1);
    OPENSSL_free(text);
    BN_free(number);
    *ret_peer = peer;
}

void tls_peer_of(struct ssl_st *session, struct tls_peer *ret_peer)
{
    CLEANUP(X509_freep) X509 *certificate = SSL_get1_peer_certificate(session);

    *ret_peer = (struct tls_peer){.has_certificate = false};
    if (!certificate || SSL_get_verify_result(session) != X509_V_OK)
        return;
    tls_peer_of_certificate(certificate, ret_peer);
    ret_peer->is_resumed = SSL_session_reused(session) == 1;
}

void tls_accept_tickets(struct tls *t,
                        bool (*counts)(void *user, const char *name, const char *serial),
                        void *user)
{
    if (!t->tickets)
        t->tickets = tickets_new(t->context, counts, user);
}

void tls_give_ticket(struct ssl_st *session)
{
    if (SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)))
        (void)SSL_new_session_ticket(session); /* Without one it signs again, next time. */
}

void tls_keep_tickets(struct tls *t)
{
    if (!t->tickets)
        t->tickets = tickets_new(t->context, NULL, NULL);
}

void tls_swap_ticket(struct tls *t, struct ssl_session_st **ticket)
{
    tickets_swap(t->tickets, ticket);
}

void tls_ticket_free(struct ssl_session_st *ticket)
{
    SSL_SESSION_free(ticket);
}

size_t tls_n_tickets(const struct tls *t)
{
    return tickets_n(t->tickets);
}

void tls_set_clock(struct tls *t, int64_t (*now_s)(void))
{
    tickets_set_clock(t->tickets, now_s);
}
