/* SPDX-License-Identifier: Apache-2.0 */
/* The worker: datagrams of those who are believed into exports.h, sightings to the controller.
 *
 * It never waits for the controller: what finds the channel full is dropped and counted. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "controller/exporters/messages.h"
#include "sys/clock.h"

enum { AT_ONCE = 16, TICK_MS = 250, TELL_MS = 500, CONTROL_SIZE = 64, HELD_MANY = 4096 };

struct believed { /* By address. */
    struct address address;
    uint32_t index;
};

struct worker_socket {
    int fd;
    enum exports_kind kind;
    struct message_socket told, now;
    uint32_t kernel_before; /* The kernel's counter has 32 bits. */
};

struct reader_state {
    const struct worker_options *o;
    struct believed believed[EXPORTERS_MAX];
    struct exports *exports[EXPORTERS_MAX];
    struct message_state told[EXPORTERS_MAX];
    uint64_t untold[EXPORTERS_MAX];
    struct worker_socket sockets[EXPORTERS_SOCKETS];
    struct message_seen seen; /* Being filled. */
    uint64_t drained_ms, told_ms;
    unsigned char bytes[AT_ONCE][EXPORTS_DATAGRAM_MAX + 1];
    struct sockaddr_storage from[AT_ONCE];
    char control[AT_ONCE][CONTROL_SIZE];
};

/* ---- who it is ---- */

static int by_address(const void *a, const void *b)
{
    return address_compare(&((const struct believed *)a)->address,
                           &((const struct believed *)b)->address);
}

static bool address_of(const struct sockaddr_storage *from, struct address *ret_a)
{
    *ret_a = (struct address){.bytes = {[10] = 0xff, [11] = 0xff}};
    if (from->ss_family == AF_INET)
        memcpy(ret_a->bytes + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    else if (from->ss_family == AF_INET6)
        memcpy(ret_a->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
    return from->ss_family == AF_INET || from->ss_family == AF_INET6;
}

/* The busiest are remembered: a new one takes the place, and the count, of the least busy. */
static void count_stranger(struct message_socket *m, const struct address *a)
{
    size_t least = 0;

    m->strangers++;
    for (size_t i = 0; i < m->head.n; i++) {
        if (address_compare(&m->of[i].address, a) == 0) {
            m->of[i].n++;
            return;
        }
        if (m->of[i].n < m->of[least].n)
            least = i;
    }
    if (m->head.n < MESSAGE_STRANGERS) {
        least = m->head.n++;
        m->of[least].n = 0;
    }
    m->of[least].address = *a;
    m->of[least].n++;
}

/* ---- to the controller ---- */

static bool tell(const struct reader_state *s, const void *message, size_t size)
{
    return send(s->o->channel, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static void drain(struct reader_state *s, uint32_t index, uint64_t now_ms)
{
    struct message_seen *m = &s->seen;
    bool more = true;

    while (more) {
        uint32_t n = 0;

        while (n < MESSAGE_SEEN_MAX &&
               (more = exports_next(s->exports[index], now_ms, &m->sightings[n])))
            n++;
        m->head =
            (struct message_head){.kind = MESSAGE_SEEN, .index = index, .n = n, .run = s->o->run};
        if (n && !tell(s, m, sizeof(m->head) + n * sizeof(m->sightings[0])))
            s->untold[index] += n;
    }
}

static void tell_states(struct reader_state *s)
{
    for (uint32_t i = 0; i < s->o->config->n_exporters; i++) {
        struct message_state m = {.head = {.kind = MESSAGE_STATE, .index = i, .run = s->o->run},
                                  .state = *exports_state(s->exports[i]),
                                  .untold = s->untold[i]};

        if (memcmp(&m, &s->told[i], sizeof(m)) != 0 && tell(s, &m, sizeof(m)))
            s->told[i] = m;
    }
    for (uint32_t i = 0; i < s->o->config->n_sockets; i++) {
        struct worker_socket *k = &s->sockets[i];

        if (memcmp(&k->now, &k->told, sizeof(k->now)) != 0 && tell(s, &k->now, sizeof(k->now)))
            k->told = k->now;
    }
}

/* ---- from the network ---- */

static void count_kernel_lost(struct worker_socket *k, struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        uint32_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
            continue;
        memcpy(&n, CMSG_DATA(c), sizeof(n));
        k->now.kernel_lost += n - k->kernel_before;
        k->kernel_before = n;
    }
}

static void take_datagram(struct reader_state *s, struct worker_socket *k, const unsigned char *p,
                          size_t size, const struct sockaddr_storage *from, uint64_t now_ms)
{
    struct believed key = {.index = 0};
    const struct believed *who;

    if (!address_of(from, &key.address))
        return;
    who = bsearch(&key, s->believed, s->o->config->n_exporters, sizeof(key), by_address);
    if (!who) {
        count_stranger(&k->now, &key.address);
        return;
    }
    (void)exports_take(s->exports[who->index], k->kind, p, size, now_ms); /* It counts. */
    if (exports_held(s->exports[who->index]) > HELD_MANY)
        drain(s, who->index, now_ms);
}

static void take_some(struct reader_state *s, struct worker_socket *k)
{
    struct mmsghdr messages[AT_ONCE];
    struct iovec pieces[AT_ONCE];
    uint64_t now_ms = clock_unix_ms();
    int n;

    memset(messages, 0, sizeof(messages));
    for (size_t i = 0; i < AT_ONCE; i++) {
        pieces[i] = (struct iovec){s->bytes[i], sizeof(s->bytes[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &s->from[i],
                                              .msg_namelen = sizeof(s->from[i]),
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1,
                                              .msg_control = s->control[i],
                                              .msg_controllen = sizeof(s->control[i])};
    }
    n = recvmmsg(k->fd, messages, AT_ONCE, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        count_kernel_lost(k, &messages[i].msg_hdr);
        take_datagram(s, k, s->bytes[i], messages[i].msg_len, &s->from[i], now_ms);
    }
}

static void tick_reader(struct reader_state *s)
{
    uint64_t now_ms = clock_unix_ms();

    if (now_ms - s->drained_ms >= TICK_MS) { /* Also when the clock was set back. */
        s->drained_ms = now_ms;
        for (uint32_t i = 0; i < s->o->config->n_exporters; i++)
            drain(s, i, now_ms);
    }
    if (now_ms - s->told_ms >= TELL_MS) {
        s->told_ms = now_ms;
        tell_states(s);
    }
}

static void prepare_reader(struct reader_state *s)
{
    const struct exporters_config *c = s->o->config;

    for (uint32_t i = 0; i < c->n_exporters; i++) {
        s->exports[i] = exports_new(c->max_rate);
        s->believed[i] = (struct believed){c->exporters[i].address, i};
        s->told[i].head.kind = 0; /* Nothing was told. */
    }
    qsort(s->believed, c->n_exporters, sizeof(s->believed[0]), by_address);
    for (uint32_t i = 0; i < c->n_sockets; i++) {
        s->sockets[i].fd = s->o->sockets[i];
        s->sockets[i].kind = c->sockets[i].kind;
        s->sockets[i].now.head =
            (struct message_head){.kind = MESSAGE_SOCKET, .index = i, .run = s->o->run};
    }
}

int reader_run(const struct worker_options *o)
{
    struct reader_state *s = xcalloc(1, sizeof(*s)); /* Until the process ends. */
    struct pollfd polled[EXPORTERS_SOCKETS + 1];
    size_t n = o->config->n_sockets;

    s->o = o;
    prepare_reader(s);
    for (size_t i = 0; i < n; i++)
        polled[i] = (struct pollfd){.fd = o->sockets[i], .events = POLLIN};
    polled[n] = (struct pollfd){.fd = o->channel, .events = POLLRDHUP};
    for (;;) {
        if (poll(polled, n + 1, TICK_MS) < 0 && errno != EINTR)
            return 1;
        if (polled[n].revents)
            return 0; /* The controller is gone. */
        for (size_t i = 0; i < n; i++)
            if (polled[i].revents)
                take_some(s, &s->sockets[i]);
        tick_reader(s);
    }
}
