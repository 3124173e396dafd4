/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A UDP session without an echo for so long, although it asks again each interval, is cut. */
enum { UDP_SILENCE_US = 3000000, ROUND_US = 20000, CONNECT_MS = 15000 };

struct session {
    const struct target *target;
    unsigned number;
    int fd;
    bool waiting; /* For the echo of what was sent last. */
    uint64_t sent_us, heard_us, heard_given_us, longest_us, exchanges;
};

static unsigned n_cut;
/* The clock of that silence stands still while the machine has no time for us: rounds of waiting
 * move it by ROUND_US at most. */
static uint64_t given_us;

static void cut(struct session *s, int error)
{
    printf("{\"event\": \"cut\", \"session\": %u, \"target\": \"%s\", \"result\": \"%s\", "
           "\"errno\": %d, \"us\": %lu, \"exchanges\": %lu}\n",
           s->number, s->target->text, result_word(error), error, now_us(), s->exchanges);
    close(s->fd);
    s->fd = -1;
    n_cut++;
}

static void open_session(struct session *s, const struct target *t, unsigned number)
{
    struct sockaddr_storage address;
    socklen_t len = target_address(t, &t->address, &address);
    struct pollfd wait;
    int error = 0;
    socklen_t error_len = sizeof(error);

    *s = (struct session){.target = t, .number = number, .fd = target_socket(t)};
    if (s->fd < 0)
        die("%s: socket: %s", t->text, strerror(-s->fd));
    if (connect(s->fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
        die("%s: connect: %m", t->text);
    wait = (struct pollfd){.fd = s->fd, .events = POLLOUT};
    if (poll(&wait, 1, CONNECT_MS) != 1)
        die("%s: connect: timed out", t->text);
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &error_len);
    if (error)
        die("%s: connect: %s", t->text, strerror(error));
    s->heard_us = now_us();
    s->heard_given_us = given_us;
}

static void hear(struct session *s)
{
    char data[2048];
    ssize_t size = recv(s->fd, data, sizeof(data), 0);

    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        cut(s, size < 0 ? errno : ECONNRESET);
        return;
    }
    s->heard_us = now_us();
    s->heard_given_us = given_us;
    if (s->heard_us - s->sent_us > s->longest_us)
        s->longest_us = s->heard_us - s->sent_us;
    s->waiting = false;
    s->exchanges++;
}

static void talk(struct session *s, uint64_t now)
{
    bool udp = s->target->kind == KIND_UDP;
    char data[TOKEN_SIZE] = "hold";

    if (udp && s->waiting && given_us - s->heard_given_us > UDP_SILENCE_US) {
        hear(s); /* It may have come while the machine had no time for us. */
        if (s->fd >= 0 && s->waiting)
            cut(s, ETIMEDOUT);
        if (s->fd < 0)
            return;
    }
    if (s->waiting && !udp)
        return;
    if (send(s->fd, data, sizeof(data), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        cut(s, errno);
        return;
    }
    if (!s->waiting)
        s->sent_us = now;
    s->waiting = true;
}

static void print_totals(const struct session *sessions, size_t n, const char *event)
{
    uint64_t exchanges = 0, longest = 0;

    for (size_t i = 0; i < n; i++) {
        exchanges += sessions[i].exchanges;
        if (sessions[i].longest_us > longest)
            longest = sessions[i].longest_us;
    }
    printf("{\"event\": \"%s\", \"sessions\": %zu, \"cut\": %u, \"exchanges\": %lu, "
           "\"longest_ms\": %.1f}\n",
           event, n, n_cut, exchanges, (double)longest / 1000);
}

static int wait_ms(uint64_t us)
{
    return (int)((us < ROUND_US ? us : ROUND_US) / 1000) + 1;
}

/* Waits until the next round is due; false when stdin has ended. */
static bool listen_until(struct session *sessions, size_t n, struct pollfd *polls, uint64_t due)
{
    uint64_t now = now_us(), before;

    while (now < due) {
        for (size_t i = 0; i < n; i++)
            polls[i] = (struct pollfd){.fd = sessions[i].fd, .events = POLLIN};
        polls[n] = (struct pollfd){.fd = 0, .events = POLLIN};
        if (poll(polls, n + 1, wait_ms(due - now)) < 0 && errno != EINTR)
            die("poll: %m");
        for (size_t i = 0; i < n; i++)
            if (sessions[i].fd >= 0 && polls[i].revents)
                hear(&sessions[i]);
        if (polls[n].revents) {
            char line[64];

            if (read(0, line, sizeof(line)) <= 0)
                return false;
            print_totals(sessions, n, "count");
        }
        before = now;
        now = now_us();
        given_us += now - before < ROUND_US ? now - before : ROUND_US;
    }
    return true;
}

int run_hold(struct target *targets, size_t n, int interval_ms, unsigned copies)
{
    size_t n_sessions = n * copies;
    struct session *sessions = calloc(n_sessions, sizeof(*sessions));
    struct pollfd *polls = calloc(n_sessions + 1, sizeof(*polls));

    if (!sessions || !polls)
        die("out of memory");
    for (size_t i = 0; i < n_sessions; i++)
        open_session(&sessions[i], &targets[i % n], (unsigned)i);
    printf("{\"event\": \"up\", \"sessions\": %zu}\n", n_sessions);
    do {
        for (size_t i = 0; i < n_sessions; i++)
            if (sessions[i].fd >= 0)
                talk(&sessions[i], now_us());
    } while (listen_until(sessions, n_sessions, polls, now_us() + (uint64_t)interval_ms * 1000));
    print_totals(sessions, n_sessions, "end");
    free(sessions);
    free(polls);
    return n_cut ? 1 : 0;
}
