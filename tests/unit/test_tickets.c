/* SPDX-License-Identifier: Apache-2.0 */
/* What sys/tickets.h promises, by handshakes in memory. */
#include "unit/test.h"

#include <dirent.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/net/identity.h"
#include "controller/auth/ca.h"
#include "sys/clock.h"
#include "sys/tickets.h"
#include "sys/tls.h"

enum { CERTIFICATE_S = 3600, FLIGHTS = 16 };

static struct {
    char folder[64];
    struct ca *ca;
    struct buf server_key, server_chain, chain;
    char *key;
    char serial[TLS_SERIAL_SIZE];
    struct tls *server, *client;
    bool counts;
    unsigned n_asked;
    char asked_name[TLS_NAME_SIZE], asked_serial[TLS_SERIAL_SIZE];
} t;

static int64_t later_s; /* Than it is. */

static int64_t clock_then(void)
{
    return clock_unix_s() + later_s;
}

static bool counts(void *user, const char *name, const char *serial)
{
    assert_ptr_equal(user, &t);
    t.n_asked++;
    (void)snprintf(t.asked_name, sizeof(t.asked_name), "%s", name);
    (void)snprintf(t.asked_serial, sizeof(t.asked_serial), "%s", serial);
    return t.counts;
}

static struct tls *new_server(void)
{
    const struct tls_options o = {.role = TLS_SERVER_ASKING_CLIENTS,
                                  .chain_pem = buf_str(&t.server_chain),
                                  .key_pem = buf_str(&t.server_key),
                                  .ca_pem = ca_pem(t.ca)};
    struct tls *tls = NULL;
    const char *what;

    assert_int_equal(tls_new(&o, &tls, &what), 0);
    tls_accept_tickets(tls, counts, &t);
    tls_set_clock(tls, clock_then);
    return tls;
}

static struct tls *new_client(const char *chain)
{
    const struct tls_options o = {.role = TLS_CLIENT,
                                  .chain_pem = chain,
                                  .key_pem = chain ? t.key : NULL,
                                  .ca_pem = ca_pem(t.ca),
                                  .peer_name = TLS_CONTROLLER_NAME};
    struct tls *tls = NULL;
    const char *what;

    assert_int_equal(tls_new(&o, &tls, &what), 0);
    tls_keep_tickets(tls);
    return tls;
}

static void certify(int64_t life_s)
{
    char *csr = identity_request(t.key);

    buf_reset(&t.chain);
    assert_int_equal(ca_issue_agent(t.ca, csr, "web1", life_s, &t.chain, t.serial), 0);
    free(csr);
    tls_free(t.client);
    t.client = new_client(buf_str(&t.chain));
}

static int set_up(void **state)
{
    const char *what;

    (void)state;
    memset(&t, 0, sizeof(t));
    later_s = 0;
    t.counts = true;
    memcpy(t.folder, "/tmp/sm-tick-XXXXXX", 20);
    if (!mkdtemp(t.folder))
        return -1;
    assert_int_equal(ca_open(t.folder, &t.ca, &what), 0);
    assert_int_equal(ca_issue_server(t.ca, NULL, 0, &t.server_key, &t.server_chain), 0);
    t.key = identity_new_key();
    t.server = new_server();
    certify(CERTIFICATE_S);
    return 0;
}

static int tear_down(void **state)
{
    DIR *dir = opendir(t.folder);
    struct dirent *entry;

    (void)state;
    while (dir && (entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(t.folder);
    tls_free(t.server);
    tls_free(t.client);
    ca_free(t.ca);
    free(t.key);
    buf_done(&t.server_key);
    buf_done(&t.server_chain);
    buf_done(&t.chain);
    return 0;
}

struct meeting { /* What became of one connection. */
    bool open;
    struct tls_peer client, server; /* As the other end sees it. */
    bool exchanged_keys;
    unsigned early_data; /* That the ticket would allow. */
};

static void shake(SSL *a, SSL *b, struct meeting *m)
{
    int done_a = 0, done_b = 0;

    for (int i = 0; i < FLIGHTS && (done_a != 1 || done_b != 1); i++) {
        done_a = done_a == 1 ? 1 : SSL_do_handshake(a);
        done_b = done_b == 1 ? 1 : SSL_do_handshake(b);
    }
    m->open = done_a == 1 && done_b == 1;
}

/* One connection, which ends without a word, as by a cut. */
static struct meeting meet(bool gives_ticket)
{
    SSL *client = tls_session(t.client), *server = tls_session(t.server);
    struct meeting m = {.open = false};
    EVP_PKEY *ephemeral = NULL;
    BIO *a = NULL, *b = NULL;
    char byte = 0;

    assert_int_equal(BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    shake(client, server, &m);
    if (m.open) {
        tls_peer_of(server, &m.client);
        tls_peer_of(client, &m.server);
        m.exchanged_keys = SSL_get_peer_tmp_key(client, &ephemeral) == 1;
        EVP_PKEY_free(ephemeral);
        if (gives_ticket)
            tls_give_ticket(server);
        assert_int_equal(SSL_write(server, "x", 1), 1);
        assert_int_equal(SSL_read(client, &byte, 1), 1);
        m.early_data = SSL_SESSION_get_max_early_data(SSL_get_session(client));
    }
    SSL_free(client);
    SSL_free(server);
    return m;
}

static void assert_full(struct meeting m)
{
    assert_true(m.open);
    assert_true(m.client.has_certificate);
    assert_false(m.client.is_resumed);
    assert_string_equal(m.client.serial, t.serial);
}

static void assert_resumed(struct meeting m)
{
    assert_true(m.open);
    assert_true(m.client.is_resumed);
    assert_true(m.server.is_resumed);
    assert_true(m.client.has_certificate);
    assert_string_equal(m.client.name, "web1");
    assert_string_equal(m.client.serial, t.serial);
    assert_string_equal(m.server.name, TLS_CONTROLLER_NAME);
}

static void a_client_with_a_ticket_is_resumed_and_known_by_its_certificate(void **state)
{
    (void)state;
    assert_full(meet(true));
    assert_int_equal(t.n_asked, 0);
    assert_resumed(meet(true));
    assert_int_equal(t.n_asked, 1);
    assert_string_equal(t.asked_name, "web1");
    assert_string_equal(t.asked_serial, t.serial);
}

static void a_ticket_is_good_after_a_connection_that_gave_no_other(void **state)
{
    (void)state;
    assert_full(meet(true));
    for (int i = 0; i < 3; i++)
        assert_resumed(meet(false));
}

/* The bytes of the ticket that the client keeps. */
static struct buf kept_ticket(void)
{
    struct ssl_session_st *ticket = NULL;
    const unsigned char *data = NULL;
    struct buf b = BUF_INIT;
    size_t size = 0;

    tls_swap_ticket(t.client, &ticket);
    assert_non_null(ticket);
    SSL_SESSION_get0_ticket(ticket, &data, &size);
    buf_add(&b, data, size);
    tls_swap_ticket(t.client, &ticket);
    return b;
}

static void a_resumed_session_gets_a_ticket_of_its_own(void **state)
{
    CLEANUP(buf_done) struct buf first = BUF_INIT;
    CLEANUP(buf_done) struct buf second = BUF_INIT;

    (void)state;
    assert_full(meet(true));
    first = kept_ticket();
    assert_resumed(meet(true));
    second = kept_ticket();
    assert_true(first.size != second.size || memcmp(first.data, second.data, first.size) != 0);
    assert_resumed(meet(false));
}

static void without_a_ticket_given_there_is_none(void **state)
{
    (void)state;
    assert_full(meet(false));
    assert_full(meet(false));
}

static void keys_are_exchanged_anew_and_nothing_is_said_early(void **state)
{
    struct meeting m;

    (void)state;
    assert_full(meet(true));
    m = meet(true);
    assert_resumed(m);
    assert_true(m.exchanged_keys);
    assert_int_equal(m.early_data, 0);
}

static void a_certificate_that_counts_no_more_is_judged_in_full(void **state)
{
    (void)state;
    assert_full(meet(true));
    t.counts = false;
    assert_full(meet(true));
    assert_int_equal(t.n_asked, 1);
    t.counts = true;
    assert_resumed(meet(true));
}

static void a_ticket_does_not_outlive_its_certificate(void **state)
{
    (void)state;
    assert_full(meet(true));
    later_s = CERTIFICATE_S - 60;
    assert_resumed(meet(false));
    later_s = CERTIFICATE_S + 60;
    assert_full(meet(false)); /* Whose check goes by the machine's clock. */
    assert_int_equal(t.n_asked, 1);
}

static void a_ticket_does_not_outlive_a_day(void **state)
{
    (void)state;
    certify(CA_AGENT_LIFE_S);
    assert_full(meet(true));
    later_s = TICKET_LIFE_S - 60;
    assert_resumed(meet(false));
    later_s = TICKET_LIFE_S + 60;
    assert_full(meet(false));
}

static void a_ticket_from_the_future_is_ignored(void **state)
{
    (void)state;
    certify(CA_AGENT_LIFE_S);
    assert_full(meet(true));
    later_s = -60;
    assert_full(meet(false));
    later_s = 0;
    assert_resumed(meet(false));
}

static void a_ticket_of_another_run_is_ignored(void **state)
{
    (void)state;
    assert_full(meet(true));
    tls_free(t.server);
    t.server = new_server();
    assert_full(meet(true));
    assert_int_equal(t.n_asked, 0);
    assert_resumed(meet(true));
}

static void another_certificate_begins_without_tickets(void **state)
{
    (void)state;
    assert_full(meet(true));
    certify(CERTIFICATE_S);
    assert_full(meet(true));
}

/* Nor where a client with a certificate would keep it. */
static void a_ticket_without_a_certificate_makes_nobody_known(void **state)
{
    struct ssl_session_st *ticket = NULL;
    struct meeting m;

    (void)state;
    tls_free(t.client);
    t.client = new_client(NULL);
    m = meet(true);
    assert_true(m.open);
    assert_false(m.client.has_certificate);
    m = meet(true);
    assert_true(m.open);
    assert_false(m.client.has_certificate);
    assert_false(m.server.is_resumed);
    tls_swap_ticket(t.client, &ticket);
    assert_non_null(ticket);
    certify(CERTIFICATE_S);
    tls_swap_ticket(t.client, &ticket);
    assert_null(ticket);
    assert_full(meet(true));
    assert_int_equal(t.n_asked, 0);
}

static int64_t clock_after_the_servers_certificate(void)
{
    return clock_unix_s() + (int64_t)(CA_SERVER_LIFE_DAYS + 1) * 86400;
}

static void a_client_offers_no_ticket_of_a_server_whose_certificate_is_over(void **state)
{
    (void)state;
    assert_full(meet(true));
    tls_set_clock(t.client, clock_after_the_servers_certificate);
    assert_full(meet(true));
    assert_int_equal(t.n_asked, 0);
}

static void a_client_that_comes_again_and_again_has_one_session(void **state)
{
    (void)state;
    certify(CA_AGENT_LIFE_S);
    assert_full(meet(true));
    for (int i = 0; i < 5; i++)
        assert_resumed(meet(true));
    assert_int_equal(tls_n_tickets(t.server), 1);
    certify(CA_AGENT_LIFE_S);
    assert_full(meet(true));
    assert_int_equal(tls_n_tickets(t.server), 2);
    later_s = TICKET_LIFE_S + 60;
    assert_full(meet(true)); /* Made by the machine's clock: too old at once. */
    assert_int_equal(tls_n_tickets(t.server), 1);
}

/* OpenSSL asks for one ticket after the other until one suits; then the connection ends. */
static void a_client_that_offers_two_tickets_leaves_nothing_dangling(void **state)
{
    SSL *server = tls_session(t.server);
    SSL_SESSION *(*ask)(SSL *, const unsigned char *, int, int *) =
        SSL_CTX_sess_get_get_cb(SSL_get_SSL_CTX(server));
    int copied;

    (void)state;
    for (int i = 0; i < 2; i++) {
        CLEANUP(buf_done) struct buf ticket = BUF_INIT;
        SSL_SESSION *found;

        certify(CERTIFICATE_S);
        assert_full(meet(true));
        ticket = kept_ticket();
        found = ask(server, (const unsigned char *)ticket.data, (int)ticket.size, &copied);
        assert_non_null(found);
        SSL_SESSION_free(found);
    }
    assert_int_equal(tls_n_tickets(t.server), 2);
    SSL_free(server);
    tls_free(TAKE_PTR(t.server)); /* Both sessions are forgotten: neither may know that one. */
}

int main(void)
{
#define WITH_ENDS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_ENDS(a_client_with_a_ticket_is_resumed_and_known_by_its_certificate),
        WITH_ENDS(a_ticket_is_good_after_a_connection_that_gave_no_other),
        WITH_ENDS(a_resumed_session_gets_a_ticket_of_its_own),
        WITH_ENDS(without_a_ticket_given_there_is_none),
        WITH_ENDS(keys_are_exchanged_anew_and_nothing_is_said_early),
        WITH_ENDS(a_certificate_that_counts_no_more_is_judged_in_full),
        WITH_ENDS(a_ticket_does_not_outlive_its_certificate),
        WITH_ENDS(a_ticket_does_not_outlive_a_day),
        WITH_ENDS(a_ticket_from_the_future_is_ignored),
        WITH_ENDS(a_ticket_of_another_run_is_ignored),
        WITH_ENDS(another_certificate_begins_without_tickets),
        WITH_ENDS(a_ticket_without_a_certificate_makes_nobody_known),
        WITH_ENDS(a_client_offers_no_ticket_of_a_server_whose_certificate_is_over),
        WITH_ENDS(a_client_that_comes_again_and_again_has_one_session),
        WITH_ENDS(a_client_that_offers_two_tickets_leaves_nothing_dangling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
