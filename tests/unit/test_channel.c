/* SPDX-License-Identifier: Apache-2.0 */
/* What sys/tls.h and sys/channel.h promise, over real TLS on loopback. */
#include "unit/test.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controller/auth/ca.h"
#include "sys/channel.h"
#include "wire/frame.h"

/* One run of one connection, and what became of it. */
struct side {
    struct channel *channel;
    bool open, closed;
    char why[256];
    struct buf got;
    struct tls_peer peer;
};

static struct {
    struct loop *loop;
    struct tls *server_tls, *client_tls;
    struct listener *listener;
    struct side server, client;
    struct channel_options options;
    char folder[64];
    struct ca *ca;
    struct buf server_key, server_chain, agent_key, agent_chain;
    struct rope answer;   /* Of the server, instead of an echo. */
    struct timer *ticker; /* Runs in each round of the loop. */
    size_t n_rounds;
} t;

static const struct channel_options usual = {
    .peek = frame_peek, .max_in = 1 << 20, .max_out = 1 << 20, .handshake_ms = 60000};

static void now_open(struct channel *c, void *user)
{
    struct side *s = user;

    s->open = true;
    s->peer = *channel_peer(c);
    if (s == &t.client) {
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        frame_put(&b, "hello", 5);
        assert_int_equal(channel_send(c, b.data, b.size), 0);
    }
}

static void got(struct channel *c, const void *data, size_t size, void *user)
{
    struct side *s = user;

    buf_add(&s->got, data, size);
    if (s == &t.server) { /* Echo, and end. */
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        frame_put(&b, data, size);
        if (t.answer.n)
            assert_int_equal(channel_send_rope(c, &t.answer), 0);
        else
            assert_int_equal(channel_send(c, b.data, b.size), 0);
        t.n_rounds = 0;
        channel_close(c, "done");
    }
}

static void over(struct channel *c, const char *why, void *user)
{
    struct side *s = user;

    (void)c;
    s->closed = true;
    (void)snprintf(s->why, sizeof(s->why), "%s", why);
    if (t.client.closed && (t.server.closed || !t.server.channel))
        loop_stop(t.loop);
}

static void accepted(int fd, void *user)
{
    struct channel_handlers h = {now_open, got, over, &t.server};

    (void)user;
    t.server.channel = channel_accept(t.loop, t.server_tls, fd, &t.options, &h);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in in = {.sin_port = 0};
    socklen_t len = sizeof(in);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

/* A key and a request, as an agent makes them. */
static void make_request(struct buf *key_pem, struct buf *csr)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    long n;

    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    n = BIO_get_mem_data(bio, &data);
    buf_add(csr, data, (size_t)n);
    (void)BIO_reset(bio);
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    n = BIO_get_mem_data(bio, &data);
    buf_add(key_pem, data, (size_t)n);
    BIO_free_all(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

static struct ca *authority_in(const char *folder, struct buf *agent_key, struct buf *agent_chain)
{
    CLEANUP(buf_done) struct buf csr = BUF_INIT;
    char serial[TLS_SERIAL_SIZE];
    struct ca *ca = NULL;
    const char *what;

    assert_int_equal(ca_open(folder, &ca, &what), 0);
    make_request(agent_key, &csr);
    assert_int_equal(ca_issue_agent(ca, buf_str(&csr), "web1", 600, agent_chain, serial), 0);
    return ca;
}

static int set_up(void **state)
{
    const char *names[] = {"127.0.0.1"};
    struct tls_options o = {.role = TLS_SERVER_ASKING_CLIENTS};
    const char *what;

    (void)state;
    memset(&t, 0, sizeof(t));
    t.options = usual;
    memcpy(t.folder, "/tmp/sm-chan-XXXXXX", 20);
    if (!mkdtemp(t.folder))
        return -1;
    t.loop = loop_new();
    t.ca = authority_in(t.folder, &t.agent_key, &t.agent_chain);
    assert_int_equal(ca_issue_server(t.ca, names, 1, &t.server_key, &t.server_chain), 0);
    o.chain_pem = buf_str(&t.server_chain);
    o.key_pem = buf_str(&t.server_key);
    o.ca_pem = ca_pem(t.ca);
    assert_int_equal(tls_new(&o, &t.server_tls, &what), 0);
    return listener_new(t.loop, "127.0.0.1", 0, accepted, NULL, &t.listener);
}

static void empty_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(folder);
}

static int tear_down(void **state)
{
    (void)state;
    channel_free(t.client.channel);
    channel_free(t.server.channel);
    listener_free(t.listener);
    tls_free(t.server_tls);
    tls_free(t.client_tls);
    loop_free(t.loop);
    ca_free(t.ca);
    buf_done(&t.server_key);
    buf_done(&t.server_chain);
    buf_done(&t.agent_key);
    buf_done(&t.agent_chain);
    buf_done(&t.client.got);
    buf_done(&t.server.got);
    rope_done(&t.answer);
    empty_folder(t.folder);
    return 0;
}

static void connect_as(const struct tls_options *o)
{
    struct channel_handlers h = {now_open, got, over, &t.client};
    const char *what;

    assert_int_equal(tls_new(o, &t.client_tls, &what), 0);
    assert_int_equal(channel_connect(t.loop, t.client_tls, "127.0.0.1", listener_port(t.listener),
                                     &t.options, &h, &t.client.channel),
                     0);
    loop_run(t.loop);
}

static struct tls_options agent(void)
{
    return (struct tls_options){.role = TLS_CLIENT,
                                .chain_pem = buf_str(&t.agent_chain),
                                .key_pem = buf_str(&t.agent_key),
                                .ca_pem = ca_pem(t.ca),
                                .peer_name = TLS_CONTROLLER_NAME};
}

static void an_agent_is_known_by_its_certificate_and_messages_go_both_ways(void **state)
{
    (void)state;
    struct tls_options o = agent();

    connect_as(&o);
    assert_true(t.server.peer.has_certificate);
    assert_string_equal(t.server.peer.name, "web1");
    assert_true(strlen(t.server.peer.serial) > 20);
    assert_string_equal(t.client.peer.name, TLS_CONTROLLER_NAME);
    assert_string_equal(buf_str(&t.server.got), "hello");
    assert_string_equal(buf_str(&t.client.got), "hello");
    assert_string_equal(t.client.why, "closed by the peer");
    assert_string_equal(t.server.why, "done");
}

static void a_newcomer_trusts_the_pinned_authority(void **state)
{
    (void)state;
    struct tls_options o = {.role = TLS_CLIENT, .peer_name = TLS_CONTROLLER_NAME};
    uint8_t pin[TLS_PIN_SIZE];

    assert_int_equal(tls_fingerprint(ca_pem(t.ca), pin), 0);
    o.pin = pin;
    connect_as(&o);
    assert_true(t.client.open);
    assert_false(t.server.peer.has_certificate);
    assert_string_equal(buf_str(&t.client.got), "hello");
}

static void a_newcomer_refuses_any_other_authority(void **state)
{
    (void)state;
    struct tls_options o = {.role = TLS_CLIENT, .peer_name = TLS_CONTROLLER_NAME};
    uint8_t pin[TLS_PIN_SIZE];

    assert_int_equal(tls_fingerprint(ca_pem(t.ca), pin), 0);
    pin[31] ^= 1;
    o.pin = pin;
    connect_as(&o);
    assert_false(t.client.open);
    assert_non_null(strstr(t.client.why, "certificate"));
}

static void the_wrong_name_is_refused(void **state)
{
    (void)state;
    struct tls_options o = agent();

    o.peer_name = "somebody.else";
    connect_as(&o);
    assert_false(t.client.open);
    assert_non_null(strstr(t.client.why, "mismatch"));
}

static void an_agent_cannot_pose_as_the_controller(void **state)
{
    (void)state;
    struct tls_options fake = {.role = TLS_SERVER_ASKING_CLIENTS,
                               .chain_pem = buf_str(&t.agent_chain),
                               .key_pem = buf_str(&t.agent_key),
                               .ca_pem = ca_pem(t.ca)};
    struct tls_options o = agent();
    const char *what;

    o.peer_name = "web1"; /* So that only the usage stands in its way. */
    tls_free(t.server_tls);
    assert_int_equal(tls_new(&fake, &t.server_tls, &what), 0);
    connect_as(&o);
    assert_false(t.client.open);
    assert_non_null(strstr(t.client.why, "purpose"));
}

static void a_certificate_of_another_authority_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf key = BUF_INIT;
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    CLEANUP(ca_freep) struct ca *other = NULL;
    struct tls_options o = agent();
    char folder[] = "/tmp/sm-chan-XXXXXX";

    assert_non_null(mkdtemp(folder));
    other = authority_in(folder, &key, &chain);
    o.chain_pem = buf_str(&chain);
    o.key_pem = buf_str(&key);
    connect_as(&o);
    empty_folder(folder);
    assert_false(t.server.open);
    assert_int_equal(t.server.got.size, 0);
}

static void a_message_over_the_limit_ends_the_connection(void **state)
{
    (void)state;
    struct tls_options o = agent();

    t.options.max_in = 4;
    connect_as(&o);
    assert_string_equal(t.server.why, "a message over the limit");
    assert_int_equal(t.server.got.size, 0);
}

static void a_peer_that_never_answers_is_given_up(void **state)
{
    (void)state;
    struct channel_handlers h = {now_open, got, over, &t.client};
    struct tls_options o = agent();
    const char *what;
    int fd = -1;

    t.options.handshake_ms = 50;
    listener_free(t.listener); /* Its place is taken by a socket that nobody accepts from. */
    t.listener = NULL;
    assert_int_equal(listen_on("127.0.0.1", 0, &fd), 0);
    assert_int_equal(tls_new(&o, &t.client_tls, &what), 0);
    assert_int_equal(channel_connect(t.loop, t.client_tls, "127.0.0.1", port_of(fd), &t.options, &h,
                                     &t.client.channel),
                     0);
    loop_run(t.loop);
    (void)close(fd);
    assert_string_equal(t.client.why, "no handshake in time");
    assert_false(t.client.open);
}

static void a_queue_that_nobody_empties_is_bounded(void **state)
{
    (void)state;
    struct tls_options o = agent();
    static char large[2048];

    t.options.max_out = 1024;
    connect_as(&o);
    assert_int_equal(channel_send(t.client.channel, large, sizeof(large)), -EPIPE);
    channel_free(t.client.channel);
    t.client = (struct side){.got = t.client.got};
    struct channel_handlers h = {NULL, got, over, &t.client};
    assert_int_equal(channel_connect(t.loop, t.client_tls, "127.0.0.1", listener_port(t.listener),
                                     &t.options, &h, &t.client.channel),
                     0);
    assert_int_equal(channel_send(t.client.channel, large, 1000), 0);
    assert_int_equal(channel_send(t.client.channel, large, 1000), -ENOBUFS);
    t.server.closed = true;
    channel_free(t.server.channel);
    t.server.channel = NULL;
    loop_run(t.loop);
    assert_string_equal(t.client.why, "the peer does not take what is sent");
}

static void a_round_is_over(void *user)
{
    (void)user;
    t.n_rounds++;
    timer_start(t.ticker, 0);
}

static struct rope_block *block_of(size_t size, char with)
{
    struct buf b = BUF_INIT;

    while (b.size < size)
        buf_putc(&b, with);
    return rope_block_new(&b);
}

/* "!", half of the block, all of the block, "!": two and a half megabytes. */
static void add_answer(struct rope_block *many, struct rope_block *mark)
{
    CLEANUP(buf_done) struct buf header = BUF_INIT;
    size_t size = rope_block_size(many);
    struct rope_block *first;

    buf_be32(&header, (uint32_t)(2 + size / 2 + size));
    first = rope_block_new(&header);
    rope_add(&t.answer, first, 0, rope_block_size(first));
    rope_block_drop(first);
    rope_add(&t.answer, mark, 0, 1);
    rope_add(&t.answer, many, size / 2, size - size / 2);
    rope_add(&t.answer, many, 0, size);
    rope_add(&t.answer, mark, 0, 1);
}

static void blocks_arrive_in_order_a_little_in_each_round_and_are_let_go(void **state)
{
    (void)state;
    enum { SIZE = 2 << 20 };
    struct rope_block *many = block_of(SIZE, 'a'), *mark = block_of(1, '!');
    struct tls_options o = agent();
    struct buf kept;

    t.options.max_in = t.options.max_out = 8 << 20;
    add_answer(many, mark);
    t.ticker = timer_new(t.loop, a_round_is_over, NULL);
    timer_start(t.ticker, 0);
    connect_as(&o);
    timer_free(t.ticker);

    assert_string_equal(t.server.why, "done");
    assert_int_equal(t.client.got.size, 2 + SIZE / 2 + SIZE);
    assert_int_equal(t.client.got.data[0], '!');
    assert_int_equal(t.client.got.data[t.client.got.size - 1], '!');
    assert_int_equal(strspn(t.client.got.data + 1, "a"), SIZE / 2 + SIZE);
    assert_true(t.n_rounds >= (SIZE / 2 + SIZE) / CHANNEL_AT_ONCE / 2);

    rope_done(&t.answer);
    rope_block_drop(mark);
    kept = rope_block_reuse(many);
    assert_non_null(kept.data); /* Nobody else holds it: not the channel, which is there still. */
    buf_done(&kept);
}

static void end_of_round(void *user)
{
    (void)user;
    loop_stop(t.loop);
}

static void a_connection_that_ends_lets_go_of_what_it_did_not_send(void **state)
{
    (void)state;
    struct rope_block *many = block_of(2 << 20, 'a'), *mark = block_of(1, '!');
    struct tls_options o = agent();
    struct buf kept;

    t.options.max_in = 1 << 20; /* The client refuses it when it sees the header. */
    t.options.max_out = 8 << 20;
    add_answer(many, mark);
    connect_as(&o);
    assert_string_equal(t.client.why, "a message over the limit");

    rope_done(&t.answer);
    rope_block_drop(mark);
    channel_free(TAKE_PTR(t.server.channel));
    t.ticker = timer_new(t.loop, end_of_round, NULL);
    timer_start(t.ticker, 0);
    loop_run(t.loop); /* libevent takes its buffers apart there. */
    timer_free(t.ticker);
    kept = rope_block_reuse(many);
    assert_non_null(kept.data);
    buf_done(&kept);
}

int main(void)
{
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CONNECTED(an_agent_is_known_by_its_certificate_and_messages_go_both_ways),
        CONNECTED(a_newcomer_trusts_the_pinned_authority),
        CONNECTED(a_newcomer_refuses_any_other_authority),
        CONNECTED(the_wrong_name_is_refused),
        CONNECTED(an_agent_cannot_pose_as_the_controller),
        CONNECTED(a_certificate_of_another_authority_is_refused),
        CONNECTED(a_message_over_the_limit_ends_the_connection),
        CONNECTED(a_peer_that_never_answers_is_given_up),
        CONNECTED(a_queue_that_nobody_empties_is_bounded),
        cmocka_unit_test_setup_teardown(
            blocks_arrive_in_order_a_little_in_each_round_and_are_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_ends_lets_go_of_what_it_did_not_send,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
