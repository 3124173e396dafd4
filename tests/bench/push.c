/* SPDX-License-Identifier: Apache-2.0 */
/* The floor beside metrics 7 and 11: a TLS server that does nothing else, by OpenSSL and epoll
 * alone.
 *
 *     push PORT CA CERTIFICATE KEY
 *
 * Takes clients with certificates of the authority, and resumes their sessions as OpenSSL does by
 * itself, with a ticket for each connection.  Commands on standard input, answers are lines:
 *     accept N     until N have shaken hands and said something: {"accepted", "cpu_s", "rss_kb"}
 *     push SIZE    a frame of so many bytes to each; until each has answered: {"pushed", "cpu_s"}
 *     drop         ends all connections */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/number.h"
#include "ends.h"

enum { EVENTS = 256, READ_SIZE = 4096, LINE_SIZE = 64, MAX_FILES = 1 << 17 };

struct client {
    SSL *tls;
    int fd;
    bool is_ready;    /* Hands have been shaken. */
    bool has_greeted; /* And it has said something. */
    bool waits;       /* Its answer to the last push is missing. */
};

static struct client clients[MAX_FILES]; /* By descriptor. */
static size_t n_greeted, n_waiting;
static int epoll_fd, listen_fd;
static SSL_CTX *context;

static long rss_kb(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;

    if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2)
        die("statm");
    (void)fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void watch(int fd, uint32_t events, int how)
{
    struct epoll_event e = {.events = events, .data.fd = fd};

    if (epoll_ctl(epoll_fd, how, fd, &e) < 0)
        die("epoll");
}

static void end(struct client *c)
{
    n_greeted -= c->has_greeted;
    n_waiting -= c->waits;
    (void)close(c->fd);
    SSL_free(c->tls);
    *c = (struct client){.tls = NULL};
}

static void accept_all(void)
{
    int fd, one = 1;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= MAX_FILES)
            die("too many");
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        clients[fd] = (struct client){.tls = SSL_new(context), .fd = fd};
        if (!clients[fd].tls || SSL_set_fd(clients[fd].tls, fd) != 1)
            die("SSL_new");
        SSL_set_accept_state(clients[fd].tls);
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void heard(struct client *c)
{
    n_greeted += !c->has_greeted;
    c->has_greeted = true;
    n_waiting -= c->waits;
    c->waits = false;
}

static void serve(struct client *c)
{
    char bytes[READ_SIZE];
    int r;

    ERR_clear_error();
    if (!c->is_ready) {
        r = SSL_do_handshake(c->tls);
        c->is_ready = r == 1;
        if (r != 1 && SSL_get_error(c->tls, r) != SSL_ERROR_WANT_READ)
            end(c);
        if (r != 1)
            return;
    }
    while ((r = SSL_read(c->tls, bytes, sizeof(bytes))) > 0)
        heard(c);
    if (SSL_get_error(c->tls, r) != SSL_ERROR_WANT_READ)
        end(c);
}

static void wait_until(const size_t *what, size_t is)
{
    struct epoll_event events[EVENTS];

    while (*what != is) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listen_fd)
                accept_all();
            else if (clients[events[i].data.fd].tls)
                serve(&clients[events[i].data.fd]);
    }
}

/* A frame of the protocol's form: four bytes of length, then that many. */
static void push(size_t size)
{
    CLEANUP(buf_done) struct buf frame = BUF_INIT;

    buf_be32(&frame, (uint32_t)(size - 4));
    for (size_t i = 4; i < size; i++)
        buf_putc(&frame, (char)i);
    n_waiting = 0;
    for (int fd = 0; fd < MAX_FILES; fd++) {
        struct client *c = &clients[fd];

        if (!c->has_greeted)
            continue;
        c->waits = true;
        n_waiting++;
        if (SSL_write(c->tls, frame.data, (int)frame.size) != (int)frame.size)
            die("a client does not take it; sizes beyond the socket's buffer are not for this");
    }
    wait_until(&n_waiting, 0);
}

static void start(char *argv[])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rlimit files = {.rlim_cur = MAX_FILES, .rlim_max = MAX_FILES};
    uint64_t port = 0;
    int one = 1;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    context = ends_context(TLS_server_method(), argv[2], argv[3], argv[4]);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_session_id_context(context, (const unsigned char *)"push", 4) != 1)
        die("tickets");
    (void)SSL_CTX_set_num_tickets(context, 1); /* As the controller; nobody is judged again. */
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (number_parse(argv[1], strlen(argv[1]), UINT16_MAX, &port) < 0)
        die("port");
    at.sin_port = htons((uint16_t)port);
    if (setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(listen_fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listen_fd, 4096) < 0)
        die("listen");
    watch(listen_fd, EPOLLIN, EPOLL_CTL_ADD);
}

static void command(const char *word, uint64_t n)
{
    double cpu = cpu_s();

    if (strcmp(word, "accept") == 0) {
        wait_until(&n_greeted, n);
        printf("{\"accepted\": %zu, \"cpu_s\": %.4f, \"rss_kb\": %ld}\n", n_greeted, cpu_s() - cpu,
               rss_kb());
    } else if (strcmp(word, "push") == 0) {
        push(n);
        printf("{\"pushed\": %zu, \"cpu_s\": %.4f}\n", n_greeted, cpu_s() - cpu);
    } else if (strcmp(word, "drop") == 0) {
        for (int fd = 0; fd < MAX_FILES; fd++)
            if (clients[fd].tls)
                end(&clients[fd]);
        printf("{\"dropped\": true}\n");
    }
    (void)fflush(stdout);
}

int main(int argc, char *argv[])
{
    char line[LINE_SIZE];

    if (argc != 5)
        return 2;
    start(argv);
    printf("{\"ready\": true, \"rss_kb\": %ld}\n", rss_kb());
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        char *space = strchr(line, ' ');
        uint64_t n = 0;

        line[strcspn(line, "\n")] = 0;
        if (space) {
            *space = 0;
            if (number_parse(space + 1, strlen(space + 1), UINT32_MAX, &n) < 0)
                return 2;
        }
        command(line, n);
    }
    return 0;
}
