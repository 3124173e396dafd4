/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum role { ROLE_LISTENER, ROLE_SESSION, ROLE_UDP, ROLE_RAW, ROLE_COMMANDS };

struct socket_state {
    int fd;
    enum role role;
    uint16_t port;
};

struct totals {
    uint64_t connections, bytes, datagrams, raw;
};

static struct totals totals;
static int epoll_fd;
static bool quiet_server;

static void watch(int fd, enum role role, uint16_t port)
{
    struct socket_state *s = calloc(1, sizeof(*s));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};

    if (!s)
        die("out of memory");
    *s = (struct socket_state){fd, role, port};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        if (role != ROLE_COMMANDS) /* A file or /dev/null as stdin: no commands then. */
            die("epoll: %m");
        free(s);
    }
}

static void forget(struct socket_state *s)
{
    close(s->fd);
    free(s);
}

/* The token is what run_try() sent: it tells whether a packet without an answer came through. */
static void report(const char *kind, const struct sockaddr_in6 *from, uint16_t port,
                   const char *data, size_t size)
{
    char text[INET6_ADDRSTRLEN], token[TOKEN_SIZE] = "";

    if (size >= 6 && memcmp(data, "probe ", 6) == 0)
        snprintf(token, sizeof(token), "%.*s", (int)size, data);
    if (quiet_server)
        return;
    inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text));
    printf("{\"event\": \"%s\", \"from\": \"%s\", \"from_port\": %u, \"port\": %u, "
           "\"token\": \"%s\"}\n",
           kind, strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text, ntohs(from->sin6_port), port,
           token);
}

static void serve_listener(struct socket_state *s)
{
    struct sockaddr_in6 from = {0};
    socklen_t len = sizeof(from);
    int fd = accept4(s->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    totals.connections++;
    report("tcp", &from, s->port, "", 0);
    watch(fd, ROLE_SESSION, s->port);
}

static void serve_session(struct socket_state *s)
{
    char data[65536];
    ssize_t size = recv(s->fd, data, sizeof(data), 0);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        forget(s);
        return;
    }
    totals.bytes += (uint64_t)size;
    if (send(s->fd, data, (size_t)size, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        forget(s);
}

static void serve_udp(struct socket_state *s)
{
    char data[2048];

    for (int i = 0; i < 64; i++) {
        struct sockaddr_in6 from = {0};
        socklen_t len = sizeof(from);
        ssize_t size =
            recvfrom(s->fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

        if (size < 0)
            return;
        totals.datagrams++;
        report("udp", &from, s->port, data, (size_t)size);
        (void)sendto(s->fd, data, (size_t)size, 0, (struct sockaddr *)&from, len);
    }
}

static void serve_raw(struct socket_state *s)
{
    char data[2048];

    if (recv(s->fd, data, sizeof(data), MSG_DONTWAIT) >= 0)
        totals.raw++;
}

static void serve_commands(struct socket_state *s)
{
    char line[256];

    if (read(s->fd, line, sizeof(line)) <= 0) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        return;
    }
    printf("{\"connections\": %lu, \"bytes\": %lu, \"datagrams\": %lu, \"raw\": %lu}\n",
           totals.connections, totals.bytes, totals.datagrams, totals.raw);
}

static void open_port(const char *word)
{
    const char *comma = strchr(word, ',');
    unsigned long port = comma ? strtoul(comma + 1, NULL, 10) : 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    bool tcp = strncmp(word, "tcp,", 4) == 0, udp = strncmp(word, "udp,", 4) == 0;
    int on = 1, size = 4 << 20, fd;

    if (port == 0 || port > UINT16_MAX)
        die("serve %s: expected tcp,PORT udp,PORT or raw,PROTOCOL", word);
    if (!tcp && !udp) {
        fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, (int)port);
        if (fd < 0)
            die("serve %s: %m", word);
        watch(fd, ROLE_RAW, (uint16_t)port);
        return;
    }
    fd = socket(AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        (tcp && listen(fd, 4096) < 0))
        die("serve %s: %m", word);
    watch(fd, tcp ? ROLE_LISTENER : ROLE_UDP, (uint16_t)port);
}

static void dispatch(struct socket_state *s)
{
    switch (s->role) {
    case ROLE_LISTENER:
        serve_listener(s);
        break;
    case ROLE_SESSION:
        serve_session(s);
        break;
    case ROLE_UDP:
        serve_udp(s);
        break;
    case ROLE_RAW:
        serve_raw(s);
        break;
    case ROLE_COMMANDS:
        serve_commands(s);
        break;
    }
}

int run_serve(char **words, size_t n, bool quiet)
{
    quiet_server = quiet;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < n; i++)
        open_port(words[i]);
    watch(0, ROLE_COMMANDS, 0);
    printf("{\"event\": \"ready\"}\n");
    for (;;) {
        struct epoll_event events[64];
        int n_events = epoll_wait(epoll_fd, events, 64, -1);

        for (int i = 0; i < n_events; i++)
            dispatch(events[i].data.ptr);
    }
}
