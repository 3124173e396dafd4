/* SPDX-License-Identifier: Apache-2.0 */
/* A client that belongs to an attacker, a server that loses what it wants, and the edge between.
 * Whatever the client sends, in whatever order, again and otherwise: a header that the server finds
 * in its stream is a Modbus request for a function that the policy names.
 *
 * The input's first bytes choose at whose port the edge stands and which of two bytes for one place
 * the server keeps; then come steps. */
#include "edge_bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WINDOW = 4096, CLIENT_PORT = 40000, SERVER_PORT = 502, SERVER_FIRST = 77000, HEADERS = 54 };
enum { IS_LOST = 0x10 };

struct input {
    const uint8_t *at, *end;
};

struct server {
    enum { LISTENS, ASKED, ANSWERED, TALKS } state;
    bool new_wins;
    uint32_t next; /* Number of the byte that it waits for. */
    bool has[WINDOW];
    uint8_t bytes[WINDOW]; /* From 'next' on. */
    uint8_t header[8];
    uint32_t n_header, left;
};

static struct server server;
static uint32_t port, client_next, client_last;

static uint8_t take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* One byte in its place of the stream, as the device would take it. */
static void read_byte(uint8_t byte)
{
    if (server.left) {
        server.left--;
        return;
    }
    server.header[server.n_header++] = byte;
    if (server.n_header < sizeof(server.header))
        return;
    if (server.header[2] || server.header[3] || server.header[4] || server.header[5] < 2 ||
        (server.header[7] != READ_1 && server.header[7] != READ_2))
        abort(); /* It got through. */
    server.left = server.header[5] - 2u;
    server.n_header = 0;
}

static void receive(uint32_t sequence, const uint8_t *bytes, uint32_t size)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < size; i++) {
        uint32_t at = sequence + i - server.next;

        if (at < WINDOW && (!server.has[at] || server.new_wins)) {
            server.has[at] = true;
            server.bytes[at] = bytes[i];
        }
    }
    while (n < WINDOW && server.has[n])
        read_byte(server.bytes[n++]);
    memmove(server.has, server.has + n, WINDOW - n);
    memmove(server.bytes, server.bytes + n, WINDOW - n);
    memset(server.has + WINDOW - n, 0, n);
    server.next += n;
}

static void begin_server(uint32_t sequence)
{
    bool new_wins = server.new_wins;

    server = (struct server){.state = ASKED, .new_wins = new_wins, .next = sequence + 1};
}

/* Sends one segment of either end through the edge.  Does it pass? */
static bool pass(bool from_client, uint8_t flags, uint32_t sequence, uint32_t acknowledged,
                 const uint8_t *bytes, uint32_t size)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};
    uint8_t *p = shim_packet.bytes;
    uint32_t words[2] = {bpf_htonl(sequence), bpf_htonl(acknowledged)};
    uint16_t ports_of[2] = {bpf_htons(from_client ? CLIENT_PORT : SERVER_PORT),
                            bpf_htons(from_client ? SERVER_PORT : CLIENT_PORT)};

    memset(p, 0, HEADERS);
    memcpy(p, MAC_OF[from_client ? PORT_B : PORT_A], 6);
    memcpy(p + 6, MAC_OF[from_client ? PORT_A : PORT_B], 6);
    p[12] = 8;
    ip.tot_len = bpf_htons((uint16_t)(40 + size));
    ip.saddr = bpf_htonl(0x0a000000 + (from_client ? PORT_A : PORT_B));
    ip.daddr = bpf_htonl(0x0a000000 + (from_client ? PORT_B : PORT_A));
    memcpy(p + ETHER, &ip, sizeof(ip));
    memcpy(p + 34, ports_of, 4);
    memcpy(p + 38, words, 8);
    p[46] = 5 << 4;
    p[47] = flags;
    if (size)
        memcpy(p + HEADERS, bytes, size);
    shim_packet.size = HEADERS + size;
    return bench_run(port, from_client == (port == PORT_A) ? ABI_OUT : ABI_IN);
}

static uint32_t put_request(uint8_t *to, uint8_t function, uint8_t length)
{
    const uint8_t request[] = {0, 1, 0, 0, 0, length, 1, function, 0, 0, 0, 1};

    memcpy(to, request, sizeof(request));
    return sizeof(request);
}

static uint32_t put_piece(struct input *in, uint8_t *to)
{
    uint8_t what = take(in), n;

    switch (what % 8) {
    case 0:
    case 1:
        return put_request(to, READ_1, 6);
    case 2:
        return put_request(to, 6, 6); /* A write. */
    case 3:
        return put_request(to, READ_2, take(in));
    case 4:
        memset(to, 0, what >> 3);
        return what >> 3;
    default:
        n = (what >> 3) % 20;
        for (uint8_t i = 0; i < n; i++)
            to[i] = take(in);
        return n;
    }
}

static void client_segment(struct input *in)
{
    const uint32_t bases[] = {client_next, server.next, client_last, client_next};
    uint8_t how = take(in), bytes[256], flags = TCP_ACK;
    uint32_t size = 0, sequence = bases[how & 3];

    if ((how & 3) == 3)
        sequence += (uint32_t)(int8_t)take(in);
    for (int i = 0; i <= (how >> 2 & 3); i++)
        size += put_piece(in, bytes + size);
    if (how & 0x20)
        flags |= take(in) & (TCP_FIN | TCP_SYN | TCP_RST | TCP_URG);
    if (!pass(true, flags, sequence, SERVER_FIRST + 1, bytes, size))
        return;
    client_last = sequence;
    if ((int32_t)(sequence + size - client_next) > 0)
        client_next = sequence + size;
    if (how & IS_LOST || flags & (TCP_SYN | TCP_RST | TCP_URG))
        return;
    if (server.state == ANSWERED)
        server.state = TALKS;
    if (server.state == TALKS)
        receive(sequence, bytes, size);
}

static void client_syn(struct input *in)
{
    uint8_t how = take(in);
    uint32_t sequence = client_next - 1 + (uint32_t)(how & 1 ? (int8_t)take(in) : 0);

    if (!pass(true, TCP_SYN, sequence, 0, NULL, 0))
        return;
    if (how & 2)
        client_next = sequence + 1;
    if (!(how & 4) && server.state != TALKS)
        begin_server(sequence);
}

static void step(struct input *in)
{
    uint8_t what = take(in);

    switch (what % 8) {
    default:
        client_segment(in);
        break;
    case 4:
        client_syn(in);
        break;
    case 5: /* Nobody talks to it without its number, which stands in its answer. */
        if (server.state == ASKED &&
            pass(false, TCP_SYN | TCP_ACK, SERVER_FIRST, server.next, NULL, 0))
            server.state = ANSWERED;
        break;
    case 6:
        if (server.state == TALKS)
            (void)pass(false, TCP_ACK, SERVER_FIRST + 1, server.next, NULL, 0);
        break;
    case 7: /* Power off and on. */
        if (what & 8)
            server.state = LISTENS;
        else
            (void)pass(true, TCP_ACK, client_next, SERVER_FIRST + 1, NULL, 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    struct input in = {data, data + size};
    uint8_t how = take(&in);

    if (!is_ready)
        bench_begin();
    is_ready = true;
    bench_again();
    port = how & 1 ? PORT_B : PORT_A;
    server = (struct server){.new_wins = how & 2};
    client_next = client_last = 1000;
    while (in.at < in.end)
        step(&in);
    return 0;
}
