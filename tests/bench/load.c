/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the work that the benchmarks measure: connections, small datagrams, bulk
 *
 *     load serve PORT                 TCP: accepts and answers; UDP: acknowledges bursts
 *     load tcp  ADDRESS PORT COUNT    COUNT times: connect, one request, one answer, close
 *     load udp  ADDRESS PORT COUNT    COUNT datagrams of 64 bytes in bursts, each acknowledged
 *     load bulk ADDRESS PORT BYTES    one connection, BYTES to the server
 *     load lookups ADDRESS skewed|uniform ENTRIES COUNT
 *                                     COUNT times: connect() to a random pair of ADDRESS + i / 100
 *                                     and port 20000 + i % 100; where it leads does not matter
 *     load rate ADDRESS PORT COUNT    as tcp, COUNT a second, until stdin ends
 *
 * One thread each, blocking, so that the CPU time of both ends is the work and nothing else. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 32, DATAGRAM = 64, BULK = 65536 };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in to_address(const char *text, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};

    if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
        die("address");
    return a;
}

/* One request and one answer; closed with a reset, so that no port waits for its reuse. */
static void one_connection(const struct sockaddr_in *a)
{
    struct linger at_once = {.l_onoff = 1};
    char byte = 'x';
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
        die("connect");
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
        die("answer");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

static void run_udp(const struct sockaddr_in *a, uint64_t count)
{
    char data[DATAGRAM] = "data", answer[DATAGRAM];
    struct timeval limit = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
        die("connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    for (uint64_t sent = 0; sent < count; sent += BURST) {
        for (int i = 0; i < BURST; i++) {
            data[0] = i == BURST - 1 ? 'l' : 'd'; /* The last one asks for the answer. */
            if (send(fd, data, sizeof(data), 0) < 0)
                die("send");
        }
        if (recv(fd, answer, sizeof(answer), 0) < 0)
            die("acknowledgement");
    }
}

static void run_bulk(const struct sockaddr_in *a, uint64_t bytes)
{
    static char data[BULK];
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
        die("connect");
    for (uint64_t sent = 0; sent < bytes;) {
        ssize_t r = send(fd, data, sizeof(data), MSG_NOSIGNAL);

        if (r < 0)
            die("send");
        sent += (uint64_t)r;
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
}

static void run_rate(const struct sockaddr_in *a, uint64_t rate)
{
    uint64_t due = now_ns(), n = 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};

    for (;;) {
        uint64_t now = now_ns();

        if (now < due) {
            if (poll(&input, 1, (int)((due - now) / 1000000) + 1) > 0)
                break;
            continue;
        }
        one_connection(a);
        n++;
        due += 1000000000 / rate;
    }
    printf("{\"connections\": %lu}\n", n);
}

static uint32_t next_random(uint32_t *state) /* xorshift32 (Marsaglia 2003). */
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Skewed: nine of ten go to 64 pairs, as most traffic of a host goes to few peers. */
static void run_lookups(const char *base, bool skewed, uint32_t entries, uint64_t count)
{
    struct sockaddr_in a = to_address(base, "0");
    uint32_t first = ntohl(a.sin_addr.s_addr), state = 1;

    for (uint64_t i = 0; i < count; i++) {
        uint32_t r = next_random(&state), few = entries < 64 ? entries : 64;
        uint32_t which = r / 10 % (skewed && r % 10 ? few : entries);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        a.sin_addr.s_addr = htonl(first + which / 100);
        a.sin_port = htons((uint16_t)(20000 + which % 100));
        if (fd < 0)
            die("socket");
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EPERM)
            die("connect");
        close(fd);
    }
}

static void serve_tcp(int epoll, int listener, int fd)
{
    static char data[BULK];
    struct epoll_event event = {.events = EPOLLIN};
    ssize_t size;

    if (fd == listener) {
        event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (event.data.fd >= 0)
            epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        return;
    }
    size = recv(fd, data, sizeof(data), 0);
    if (size == 1)
        (void)send(fd, data, 1, MSG_NOSIGNAL);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        close(fd);
}

static void serve_udp(int fd)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    char data[DATAGRAM];

    while (recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &len) > 0) {
        if (data[0] == 'l')
            (void)sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&from, len);
    }
}

static void run_serve(const char *port)
{
    struct sockaddr_in any = to_address("0.0.0.0", port);
    int on = 1, size = 1 << 20, epoll = epoll_create1(0);
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = tcp};

    setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (bind(tcp, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(tcp, 1024) < 0 ||
        bind(udp, (struct sockaddr *)&any, sizeof(any)) < 0)
        die("bind");
    epoll_ctl(epoll, EPOLL_CTL_ADD, tcp, &event);
    event.data.fd = udp;
    epoll_ctl(epoll, EPOLL_CTL_ADD, udp, &event);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == udp)
                serve_udp(udp);
            else
                serve_tcp(epoll, tcp, events[i].data.fd);
        }
    }
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    struct sockaddr_in a;
    uint64_t count;

    if (argc == 3 && strcmp(kind, "serve") == 0)
        run_serve(argv[2]);
    if (argc == 6 && strcmp(kind, "lookups") == 0) {
        run_lookups(argv[2], argv[3][0] == 's', (uint32_t)strtoul(argv[4], NULL, 10),
                    strtoull(argv[5], NULL, 10));
        return 0;
    }
    if (argc != 5) {
        fprintf(stderr, "usage: load serve PORT | load tcp|udp|bulk|rate ADDRESS PORT COUNT\n"
                        "       load lookups ADDRESS skewed|uniform ENTRIES COUNT\n");
        return 2;
    }
    a = to_address(argv[2], argv[3]);
    count = strtoull(argv[4], NULL, 10);
    if (strcmp(kind, "udp") == 0)
        run_udp(&a, count);
    else if (strcmp(kind, "bulk") == 0)
        run_bulk(&a, count);
    else if (strcmp(kind, "rate") == 0)
        run_rate(&a, count);
    else
        for (uint64_t i = 0; i < count; i++)
            one_connection(&a);
    return 0;
}
