/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "sys/loop.h"

enum { BETWEEN_MS = 200, PAUSE_MS = 10 };

struct slot {
    size_t target;
    uint64_t began_ms;
};

struct scan {
    struct scan_target *targets;
    size_t n, next, n_slots;
    unsigned per_second, answer_ms;
    uint64_t began_ms;
    struct slot slots[SCAN_AT_ONCE];
    struct pollfd fds[SCAN_AT_ONCE];
};

int scan_address(const char *text, uint16_t port, struct sockaddr_in6 *ret_a)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) == 1) {
        a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
        memcpy(&a.sin6_addr.s6_addr[12], &v4, sizeof(v4));
    } else if (inet_pton(AF_INET6, text, &a.sin6_addr) != 1) {
        return -EINVAL;
    }
    *ret_a = a;
    return 0;
}

static enum scan_result result_of(int error)
{
    switch (error) {
    case 0:
        return SCAN_OPEN;
    case ECONNREFUSED:
    case ECONNRESET:
        return SCAN_REFUSED;
    case EPERM:
    case EACCES:
    case ECONNABORTED: /* Cut by the agent here. */
        return SCAN_DENIED;
    case ETIMEDOUT:
        return SCAN_SILENT;
    default:
        return SCAN_UNREACHABLE;
    }
}

/* An IPv4 address by an IPv4 socket, as programs do it. */
static int start_connecting(const struct sockaddr_in6 *a, int *ret_fd)
{
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = a->sin6_port};
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    memcpy(&v4.sin_addr, &a->sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
    r = is_v4 ? connect(fd, (const struct sockaddr *)&v4, sizeof(v4))
              : connect(fd, (const struct sockaddr *)a, sizeof(*a));
    r = r < 0 ? -errno : 0;
    *ret_fd = fd;
    return r;
}

static void start_one(struct scan *s, uint64_t now_ms)
{
    size_t target = s->next++;
    int fd = -1, r = start_connecting(&s->targets[target].address, &fd);

    if (r == -EINPROGRESS) {
        s->slots[s->n_slots] = (struct slot){target, now_ms};
        s->fds[s->n_slots++] = (struct pollfd){.fd = fd, .events = POLLOUT};
        return;
    }
    s->targets[target].result = result_of(-r);
    if (fd >= 0)
        (void)close(fd); /* Nothing was written. */
}

static void finish(struct scan *s, size_t i, enum scan_result result)
{
    s->targets[s->slots[i].target].result = result;
    (void)close(s->fds[i].fd); /* Nothing was written. */
    s->n_slots--;
    s->slots[i] = s->slots[s->n_slots];
    s->fds[i] = s->fds[s->n_slots];
}

static void look(struct scan *s, uint64_t now_ms)
{
    for (size_t i = s->n_slots; i-- > 0;) {
        int error = 0;
        socklen_t len = sizeof(error);

        if (s->fds[i].revents) {
            if (getsockopt(s->fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                error = errno;
            finish(s, i, result_of(error));
        } else if (now_ms - s->slots[i].began_ms >= s->answer_ms) {
            finish(s, i, SCAN_SILENT);
        }
    }
}

/* How many may have been started by now. */
static size_t due(const struct scan *s, uint64_t now_ms)
{
    uint64_t n = 1 + (now_ms - s->began_ms) * s->per_second / 1000;

    return n < s->n ? (size_t)n : s->n;
}

int scan_run(struct scan_target *targets, size_t n, unsigned per_second, unsigned answer_ms,
             void (*between)(void *user), void *user)
{
    struct scan s = {.targets = targets,
                     .n = n,
                     .per_second = per_second,
                     .answer_ms = answer_ms,
                     .began_ms = loop_now_ms()};
    uint64_t last_ms = s.began_ms;

    if (n > SCAN_MAX_TARGETS)
        return -E2BIG;
    if (!per_second || per_second > SCAN_MAX_RATE || !answer_ms || answer_ms > SCAN_MAX_ANSWER_MS)
        return -ERANGE;
    while (s.next < n || s.n_slots) {
        uint64_t now_ms = loop_now_ms();

        while (s.next < due(&s, now_ms) && s.n_slots < SCAN_AT_ONCE)
            start_one(&s, now_ms);
        if (poll(s.fds, s.n_slots, PAUSE_MS) < 0 && errno != EINTR)
            return -errno;
        look(&s, now_ms); /* Silent until then: if we were kept from the processor since, they were
                             not. */
        now_ms = loop_now_ms();
        if (now_ms - last_ms >= BETWEEN_MS) {
            between(user);
            last_ms = now_ms;
        }
    }
    return 0;
}

const char *scan_result_name(enum scan_result r)
{
    switch (r) {
    case SCAN_SILENT:
        return "silent";
    case SCAN_OPEN:
        return "open";
    case SCAN_REFUSED:
        return "refused";
    case SCAN_DENIED:
        return "denied";
    case SCAN_UNREACHABLE:
        return "unreachable";
    }
    return "?";
}
