/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that only tells flows, as fast as they are acknowledged (metric 9); driven by run.py.
 *
 *     flows PORT CA CERTIFICATE KEY ENDPOINT BATCHES
 *
 * Prints {"records": ..., "bytes": ..., "seconds": ..., "cpu_s": ...} when the last is answered. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "ends.h"
#include "wire/agent.h"
#include "wire/frame.h"

enum { BATCH = 2048, KINDS_OF_BATCHES = 200, WINDOW = 32, PEERS = 500, PROGRAMS = 60 };

static unsigned rng = 1;

static unsigned next_random(unsigned n)
{
    rng = rng * 1103515245u + 12345u;
    return (rng >> 16) % n;
}

static double wall_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A minute of a server: 60 programs and ports, 500 peers. */
static void fill(struct flow_batch *b, uint64_t minute_ms)
{
    for (unsigned i = 0; i < BATCH; i++) {
        unsigned what = next_random(PROGRAMS), peer = next_random(PEERS);
        struct address local = {.bytes = {[10] = 0xff, [11] = 0xff, 10, 20, 1, 11}};
        struct address remote = {
            .bytes = {[10] = 0xff, [11] = 0xff, 10, 21, (uint8_t)(peer >> 8), (uint8_t)peer}};
        char process[64];
        struct flow_kind k = {.local = flow_batch_add_address(b, &local),
                              .user = flow_batch_add_text(b, what % 3 ? "www-data" : "root"),
                              .uid = what % 3 ? 33 : 0,
                              .port = (uint16_t)(8000 + what % 20),
                              .protocol = 6,
                              .direction = what & 1,
                              .verdict = VERDICT_ALLOW,
                              .layer = LAYER_ALLOW,
                              .enforced = 1};
        struct flow_record r = {.remote = flow_batch_add_address(b, &remote),
                                .first_ms = minute_ms + i * 50000 / BATCH,
                                .count = 1 + next_random(100),
                                .bytes_out = next_random(20000),
                                .bytes_in = next_random(60000)};

        (void)snprintf(process, sizeof(process), "/usr/lib/service-%u/bin/server", what);
        k.process = flow_batch_add_text(b, process);
        r.last_ms = r.first_ms + next_random(9000);
        flow_batch_add(b, &k, &r);
    }
}

static void say(SSL *tls, const struct agent_message *m)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    if (agent_encode(m, &frame) < 0 || SSL_write(tls, frame.data, (int)frame.size) <= 0)
        die("send");
}

static void read_all(SSL *tls, char *to, size_t size)
{
    for (size_t n = 0; n < size;) {
        int r = SSL_read(tls, to + n, (int)(size - n));

        if (r <= 0)
            die("receive");
        n += (size_t)r;
    }
}

/* The next message; programs are larger than all others, and are acknowledged. */
static uint64_t hear(SSL *tls)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    CLEANUP(free_voidp) char *body = NULL;
    struct agent_message answer = {.kind = AGENT_ACK};
    const char *what = "";
    char head[FRAME_HEADER_SIZE];
    size_t size = 0;

    read_all(tls, head, sizeof(head));
    if (frame_peek(head, sizeof(head), FRAME_TO_AGENT_MAX, &size) < 1)
        die("frame");
    body = xcalloc(size, 1);
    read_all(tls, body, size);
    if (agent_decode(AGENT_SIDE_CONTROLLER, body, size, &m, &what) < 0)
        die(what);
    if (m->kind == AGENT_FLOWS_ACK)
        return m->flows_ack.sequence;
    if (m->kind == AGENT_SNAPSHOT) {
        answer.ack = (struct agent_ack){.revision = m->snapshot.program->revision,
                                        .result = AGENT_RESULT_RUNNING};
        say(tls, &answer);
    } else if (m->kind == AGENT_STATUS_REQUEST) {
        answer = (struct agent_message){.kind = AGENT_STATUS_REPLY,
                                        .status_reply = {.nonce = m->status_request}};
        say(tls, &answer);
    }
    return 0;
}

static SSL *connected(char *argv[])
{
    SSL_CTX *context = ends_context(TLS_client_method(), argv[2], argv[3], argv[4]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    uint64_t port = 0;
    SSL *tls;

    if (number_parse(argv[1], strlen(argv[1]), UINT16_MAX, &port) < 0)
        die("port");
    to.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    tls = SSL_new(context);
    if (!tls || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1)
        die("hands");
    return tls;
}

int main(int argc, char *argv[])
{
    static struct buf columns[KINDS_OF_BATCHES];
    struct agent_message m = {.kind = AGENT_HELLO, .hello = {.version = AGENT_PROTOCOL_VERSION}};
    uint64_t batches = 0, epoch = 0, bytes = 0, answered = 0, now = (uint64_t)time(NULL) * 1000;
    double cpu, wall;
    SSL *tls;

    if (argc != 7 || number_parse(argv[6], strlen(argv[6]), UINT32_MAX, &batches) < 0 ||
        getrandom(&epoch, sizeof(epoch), 0) < 0)
        return 2;
    for (size_t i = 0; i < KINDS_OF_BATCHES; i++) {
        CLEANUP(flow_batch_done) struct flow_batch b = {.texts = NULL};

        fill(&b, (now / FLOW_MINUTE_MS - KINDS_OF_BATCHES + i) * FLOW_MINUTE_MS);
        flow_batch_encode(&b, &columns[i]);
    }
    tls = connected(argv);
    (void)snprintf(m.hello.endpoint, sizeof(m.hello.endpoint), "%s", argv[5]);
    say(tls, &m);
    (void)hear(tls);
    wall = wall_s();
    cpu = cpu_s();
    for (uint64_t n = 1; n <= batches; n++) {
        struct agent_message f = {.kind = AGENT_FLOWS,
                                  .flows = {.epoch = epoch, .sequence = n, .sent_ms = now}};

        f.flows.columns = columns[n % KINDS_OF_BATCHES].data;
        f.flows.columns_size = columns[n % KINDS_OF_BATCHES].size;
        bytes += f.flows.columns_size;
        (void)snprintf(f.flows.endpoint, sizeof(f.flows.endpoint), "%s", argv[5]);
        while (n > answered + WINDOW) {
            uint64_t sequence = hear(tls);

            answered = sequence ? sequence : answered;
        }
        say(tls, &f);
    }
    while (answered < batches) {
        uint64_t sequence = hear(tls);

        answered = sequence ? sequence : answered;
    }
    printf("{\"records\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"cpu_s\": %.3f}\n",
           (unsigned long long)batches * BATCH, (unsigned long long)bytes, wall_s() - wall,
           cpu_s() - cpu);
    return 0;
}
