/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's end: sockets, the worker's messages, and what is known of each exporter. */
#include "controller/exporters/exporters.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/log.h"
#include "controller/exporters/messages.h"
#include "controller/json.h"
#include "sys/clock.h"
#include "sys/file.h"

enum {
    CHANNEL_SIZE = 4 << 20,
    QUEUE_SIZE = 8 << 20, /* Bytes that the kernel keeps while the worker is away. */
    MESSAGES_AT_ONCE = 64,
    WARN_MS = 60000,
    HEARD_MS = 300000,
    TRIES = 40,
    TRY_MS = 50,
};

struct known {                          /* One exporter. */
    struct exports_state state, before; /* Of this worker; all in all of those before it. */
    uint64_t untold, untold_before;
    uint64_t told, refused; /* Sightings: kept, and not. */
    uint64_t noted;         /* Of what is missing, that was noted. */
    uint32_t run;           /* Of the worker. */
};

struct exporters {
    struct exporters_config config;
    struct exporters_handlers handlers;
    struct known known[EXPORTERS_MAX];
    struct message_socket sockets[EXPORTERS_SOCKETS];
    uint64_t strangers_before, kernel_before, kernel_noted, strangers_warned, bad;
    uint64_t warned_ms;
    uint16_t ports[EXPORTERS_SOCKETS];
    int fds[EXPORTERS_SOCKETS], channel;
    pid_t keeper;
    struct watch *watch;
};

/* ---- sockets ---- */

static int open_udp(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1;
    CLEANUP(fd_closep) int fd = -1;
    struct sockaddr *at = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    socklen_t size = is_four ? sizeof(four) : sizeof(six);
    int room = QUEUE_SIZE, yes = 1;

    if (!is_four && inet_pton(AF_INET6, address, &six.sin6_addr) != 1)
        return -EINVAL;
    fd = socket(at->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* What is allowed. */
    if (setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof(yes)) < 0 || bind(fd, at, size) < 0 ||
        getsockname(fd, at, &size) < 0)
        return -errno;
    *ret_port = ntohs(is_four ? four.sin_port : six.sin6_port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* A worker of a daemon that was killed just now may still be ending. */
static int open_udp_soon(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port)
{
    int r = open_udp(address, port, ret_fd, ret_port);

    for (int i = 0; r == -EADDRINUSE && i < TRIES; i++) {
        (void)poll(NULL, 0, TRY_MS);
        r = open_udp(address, port, ret_fd, ret_port);
    }
    return r;
}

static int start_keeper(struct exporters *e, uid_t uid, gid_t gid)
{
    int fds[2], size = CHANNEL_SIZE;
    struct worker_options o = {.config = &e->config, .sockets = e->fds, .uid = uid, .gid = gid};
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* What is allowed. */
    e->keeper = fork();
    if (e->keeper == 0) {
        o.channel = fds[1];
        if (getppid() != parent)
            _exit(0);
        keeper_run(&o);
    }
    close(fds[1]);
    e->channel = fds[0];
    return e->keeper < 0 ? -errno : 0;
}

int exporters_start(const struct exporters_config *c, uid_t uid, gid_t gid,
                    struct exporters **ret_e, const char **ret_what)
{
    CLEANUP(exporters_freep) struct exporters *e = xcalloc(1, sizeof(*e));
    int r = 0;

    e->config = *c;
    e->channel = -1;
    for (size_t i = 0; i < EXPORTERS_SOCKETS; i++)
        e->fds[i] = -1;
    *ret_what = "a --collect cannot be listened at";
    for (size_t i = 0; r == 0 && i < c->n_sockets; i++)
        r = open_udp_soon(c->sockets[i].address, c->sockets[i].port, &e->fds[i], &e->ports[i]);
    if (r < 0)
        return r;
    *ret_what = "the process that reads exporters' datagrams cannot be started";
    r = start_keeper(e, uid, gid);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->n_sockets; i++) {
        fd_closep(&e->fds[i]); /* The keeper has them. */
        e->fds[i] = -1;
    }
    *ret_e = TAKE_PTR(e);
    return 0;
}

void exporters_free(struct exporters *e)
{
    if (!e)
        return;
    watch_free(e->watch);
    for (size_t i = 0; i < EXPORTERS_SOCKETS; i++)
        fd_closep(&e->fds[i]);
    fd_closep(&e->channel); /* The worker sees it, and the keeper it. */
    if (e->keeper > 0) {
        (void)kill(e->keeper, SIGKILL); /* Which has nothing to save; its worker ends with it. */
        while (waitpid(e->keeper, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    free(e);
}

/* ---- what is missing ---- */

static uint64_t missing_of(const struct known *k)
{
    return k->state.lost + k->before.lost + k->state.flooded + k->before.flooded + k->untold +
           k->untold_before + k->refused;
}

static void note_missing(struct exporters *e, uint32_t i)
{
    struct known *k = &e->known[i];
    uint64_t missing = missing_of(k);

    if (missing > k->noted)
        e->handlers.lost(e->handlers.user, e->config.exporters[i].name, missing - k->noted);
    k->noted = missing > k->noted ? missing : k->noted; /* What came late is not taken back. */
}

/* ---- messages ---- */

/* Counters of a worker begin at 0; those of the ones before it go on counting. */
static void add_state(struct exports_state *to, const struct exports_state *s)
{
    to->datagrams += s->datagrams;
    to->records += s->records;
    to->malformed += s->malformed;
    to->unexpected += s->unexpected;
    to->untemplated += s->untemplated;
    to->skipped += s->skipped;
    to->lost += s->lost;
    to->late += s->late;
    to->restarts += s->restarts;
    to->flooded += s->flooded;
    to->retimed += s->retimed;
    to->evicted += s->evicted;
    to->origins |= s->origins;
    to->last_ms = s->last_ms > to->last_ms ? s->last_ms : to->last_ms;
}

static bool take_seen(struct exporters *e, const struct message_seen *m, size_t size)
{
    struct known *k = &e->known[m->head.index];

    if (m->head.index >= e->config.n_exporters || m->head.n > MESSAGE_SEEN_MAX ||
        size != sizeof(m->head) + m->head.n * sizeof(m->sightings[0]))
        return false;
    for (uint32_t i = 0; i < m->head.n; i++)
        if (!sighting_is_valid(&m->sightings[i]))
            return false;
    if (e->handlers.seen(e->handlers.user, e->config.exporters[m->head.index].name, m->sightings,
                         m->head.n))
        k->told += m->head.n;
    else
        k->refused += m->head.n;
    return true;
}

static bool take_state(struct exporters *e, const struct message_state *m, size_t size)
{
    struct known *k = &e->known[m->head.index];

    if (size != sizeof(*m) || m->head.index >= e->config.n_exporters)
        return false;
    if (m->head.run != k->run) { /* It began at zero. */
        add_state(&k->before, &k->state);
        k->untold_before += k->untold;
        k->run = m->head.run;
    }
    k->state = m->state;
    k->untold = m->untold;
    note_missing(e, m->head.index);
    return true;
}

static uint64_t strangers_of(const struct exporters *e)
{
    uint64_t n = e->strangers_before;

    for (size_t i = 0; i < e->config.n_sockets; i++)
        n += e->sockets[i].strangers;
    return n;
}

static uint64_t kernel_lost_of(const struct exporters *e)
{
    uint64_t n = e->kernel_before;

    for (size_t i = 0; i < e->config.n_sockets; i++)
        n += e->sockets[i].kernel_lost;
    return n;
}

/* At most once a minute, whatever comes. */
static void warn_of_strangers(struct exporters *e, const struct message_socket *m)
{
    uint64_t n = strangers_of(e), now_ms = loop_now_ms();
    char text[ADDRESS_TEXT_SIZE];
    size_t busiest = 0;

    if (n == e->strangers_warned || !m->head.n || (e->warned_ms && now_ms - e->warned_ms < WARN_MS))
        return;
    for (size_t i = 1; i < m->head.n; i++)
        if (m->of[i].n > m->of[busiest].n)
            busiest = i;
    log_warn("exporters: %" PRIu64 " datagrams came from addresses that no --exporter names (most "
             "from %s); they are not read; suimitsu exporters lists them",
             n - e->strangers_warned, address_format(&m->of[busiest].address, text));
    e->strangers_warned = n;
    e->warned_ms = now_ms;
}

static bool take_socket(struct exporters *e, const struct message_socket *m, size_t size)
{
    struct message_socket *k = &e->sockets[m->head.index];
    uint64_t lost;

    if (size != sizeof(*m) || m->head.index >= e->config.n_sockets || m->head.n > MESSAGE_STRANGERS)
        return false;
    if (m->head.run != k->head.run) { /* It began at zero. */
        e->strangers_before += k->strangers;
        e->kernel_before += k->kernel_lost;
    }
    *k = *m;
    warn_of_strangers(e, k);
    lost = kernel_lost_of(e);
    if (lost > e->kernel_noted) /* Whose they were nobody can tell. */
        e->handlers.lost(e->handlers.user, "", lost - e->kernel_noted);
    e->kernel_noted = lost;
    return true;
}

static bool take_message(struct exporters *e, const void *data, size_t size)
{
    struct message_head head;

    if (size < sizeof(head))
        return false;
    memcpy(&head, data, sizeof(head));
    if (head.index >= EXPORTERS_MAX ||
        (head.kind == MESSAGE_SOCKET && head.index >= EXPORTERS_SOCKETS))
        return false;
    if (head.kind == MESSAGE_SEEN)
        return take_seen(e, data, size);
    if (head.kind == MESSAGE_STATE)
        return take_state(e, data, size);
    return head.kind == MESSAGE_SOCKET && take_socket(e, data, size);
}

static void channel_ready(int fd, void *user)
{
    struct exporters *e = user;
    union {
        struct message_seen seen;
        struct message_state state;
        struct message_socket socket;
    } m;

    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        ssize_t n = recv(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            log_err("exporters: nobody reads their datagrams any more; start suimitsud again");
            watch_free(TAKE_PTR(e->watch));
            return;
        }
        if ((size_t)n > sizeof(m) || !take_message(e, &m, (size_t)n))
            if (!e->bad++)
                log_err("exporters: the process that reads datagrams says what it may not say");
    }
}

void exporters_attach(struct exporters *e, struct loop *l, const struct exporters_handlers *h)
{
    static const char *const kinds[EXPORTS_KINDS] = {"auto", "netflow", "ipfix", "sflow"};

    e->handlers = *h;
    e->watch = watch_new(l, e->channel, channel_ready, e);
    for (size_t i = 0; i < e->config.n_sockets; i++)
        log_info("exporters: %s at %s:%u, %zu believed", kinds[e->config.sockets[i].kind],
                 e->config.sockets[i].address, e->ports[i], e->config.n_exporters);
}

/* ---- shown ---- */

static void add_kinds(struct buf *b, uint32_t origins)
{
    static const struct {
        enum flow_origin origin;
        const char *name;
    } names[] = {{FLOW_NETFLOW5, "netflow5"},
                 {FLOW_NETFLOW9, "netflow9"},
                 {FLOW_IPFIX, "ipfix"},
                 {FLOW_SFLOW, "sflow"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (origins >> names[i].origin & 1)
            buf_printf(b, "%s%s", b->size ? " " : "", names[i].name);
}

static json_t *exporter_json(const struct exporters *e, size_t i)
{
    const struct known *k = &e->known[i];
    struct exports_state s = k->before;
    CLEANUP(buf_done) struct buf kinds = BUF_INIT;
    char address[ADDRESS_TEXT_SIZE], last[DATE_TEXT_SIZE] = "";
    json_t *j;

    add_state(&s, &k->state);
    add_kinds(&kinds, s.origins);
    if (s.last_ms)
        (void)date_format_time((int64_t)(s.last_ms / 1000), last);
    j = json_pack("{s:s,s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "name",
                  e->config.exporters[i].name, "address",
                  address_format(&e->config.exporters[i].address, address), "believed", 1, "kind",
                  buf_str(&kinds), "templates", (json_int_t)k->state.n_templates, "datagrams",
                  (json_int_t)s.datagrams, "records", (json_int_t)s.records, "kept",
                  (json_int_t)k->told, "lost", (json_int_t)s.lost, "refused",
                  (json_int_t)s.flooded + (json_int_t)(k->untold + k->untold_before + k->refused),
                  "last_seen", last);
    (void)json_object_update_new(
        j, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "malformed", (json_int_t)s.malformed,
                     "unexpected", (json_int_t)s.unexpected, "without_template",
                     (json_int_t)s.untemplated, "without_addresses", (json_int_t)s.skipped, "late",
                     (json_int_t)s.late, "restarts", (json_int_t)s.restarts, "times_not_believed",
                     (json_int_t)s.retimed, "sampling", (json_int_t)k->state.sampling));
    return j;
}

json_t *exporters_json(const struct exporters *e)
{
    json_t *list = json_array();
    char address[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; e && i < e->config.n_exporters; i++)
        (void)json_array_append_new(list, exporter_json(e, i));
    for (size_t i = 0; e && i < e->config.n_sockets; i++)
        for (size_t k = 0; k < e->sockets[i].head.n; k++)
            (void)json_array_append_new(
                list, json_pack("{s:s,s:s,s:b,s:I,s:I}", "name", "", "address",
                                address_format(&e->sockets[i].of[k].address, address), "believed",
                                0, "datagrams", (json_int_t)e->sockets[i].of[k].n, "refused",
                                (json_int_t)e->sockets[i].of[k].n));
    return list;
}

struct exporters_sums exporters_sums(const struct exporters *e)
{
    struct exporters_sums sums = {.n = e ? e->config.n_exporters : 0};
    uint64_t now_ms = clock_unix_ms();

    if (!e)
        return sums;
    for (size_t i = 0; i < e->config.n_exporters; i++) {
        const struct known *k = &e->known[i];
        struct exports_state s = k->before;

        add_state(&s, &k->state);
        sums.datagrams += s.datagrams;
        sums.records += s.records;
        sums.lost += s.lost;
        sums.refused += s.flooded + k->untold + k->untold_before + k->refused;
        sums.malformed += s.malformed;
        sums.untemplated += s.untemplated;
        sums.n_heard += s.last_ms + HEARD_MS > now_ms;
    }
    sums.strangers = strangers_of(e);
    sums.kernel_lost = kernel_lost_of(e);
    return sums;
}
