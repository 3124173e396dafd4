/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { STATE_CONNECTING, STATE_WAITING, STATE_DONE };

/* A round of waiting lasts so long, and takes no more from the limit however late we come out of
 * it: where the machine has no time for us, it has none for who is to answer either. */
enum { ROUND_US = 20000 };

struct attempt {
    struct target *target;
    int fd;
    enum state state;
    int error; /* 0: open. */
    uint64_t start_us, end_us;
    char token[TOKEN_SIZE];
    struct sockaddr_storage address;
    socklen_t address_len;
};

static void finish(struct attempt *a, int error)
{
    a->error = error;
    a->end_us = now_us();
    a->state = STATE_DONE;
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

static uint16_t checksum(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static ssize_t send_echo_request(struct attempt *a)
{
    bool v4 = target_is_v4(&a->target->address);
    struct icmphdr icmp = {.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
    char packet[sizeof(icmp) + TOKEN_SIZE];

    icmp.un.echo.id = htons((uint16_t)getpid());
    memcpy(packet, &icmp, sizeof(icmp));
    memcpy(packet + sizeof(icmp), a->token, TOKEN_SIZE);
    icmp.checksum = checksum(packet, sizeof(packet)); /* The kernel does it for IPv6. */
    memcpy(packet, &icmp, sizeof(icmp));
    return sendto(a->fd, packet, sizeof(packet), 0, (struct sockaddr *)&a->address, a->address_len);
}

static ssize_t send_udp(struct attempt *a)
{
    const struct target *t = a->target;
    struct iovec data = {a->token, TOKEN_SIZE};
    struct mmsghdr messages[2] = {0};
    struct sockaddr_storage via;
    socklen_t via_len;

    switch (t->how) {
    case HOW_CONNECT:
        if (connect(a->fd, (struct sockaddr *)&a->address, a->address_len) < 0)
            return -1;
        return send(a->fd, a->token, TOKEN_SIZE, 0);
    case HOW_OTHER:
        via_len = target_address(t, &t->via, &via);
        if (connect(a->fd, (struct sockaddr *)&via, via_len) < 0)
            return -1;
        break;
    case HOW_SENDMMSG:
        for (int i = 0; i < 2; i++)
            messages[i].msg_hdr = (struct msghdr){.msg_name = &a->address,
                                                  .msg_namelen = a->address_len,
                                                  .msg_iov = &data,
                                                  .msg_iovlen = 1};
        return sendmmsg(a->fd, messages, 2, 0);
    case HOW_SENDTO:
        break;
    }
    return sendto(a->fd, a->token, TOKEN_SIZE, 0, (struct sockaddr *)&a->address, a->address_len);
}

static void begin(struct attempt *a, unsigned n)
{
    struct target *t = a->target;
    ssize_t r;

    a->start_us = now_us();
    memset(a->token, 0, sizeof(a->token));
    snprintf(a->token, sizeof(a->token), "probe %d %u", getpid(), n);
    if (t->kind == KIND_RAW || t->kind == KIND_FRAME) {
        a->fd = -1;
        finish(a, -send_strange(t));
        return;
    }
    a->fd = target_socket(t);
    if (a->fd < 0) {
        finish(a, -a->fd);
        return;
    }
    a->address_len = target_address(t, &t->address, &a->address);
    if (t->kind == KIND_TCP) {
        a->state = STATE_CONNECTING;
        if (connect(a->fd, (struct sockaddr *)&a->address, a->address_len) < 0 &&
            errno != EINPROGRESS)
            finish(a, errno);
        return;
    }
    a->state = STATE_WAITING;
    r = t->kind == KIND_ICMP ? send_echo_request(a) : send_udp(a);
    if (r < 0)
        finish(a, errno);
}

static void connected(struct attempt *a)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error || !a->target->echo) {
        finish(a, error);
        return;
    }
    a->state = STATE_WAITING;
    if (send(a->fd, a->token, TOKEN_SIZE, MSG_NOSIGNAL) < 0)
        finish(a, errno);
}

static void readable(struct attempt *a)
{
    char data[2048];
    ssize_t size = recv(a->fd, data, sizeof(data), 0);

    if (size < 0) {
        if (errno != EAGAIN && errno != EINTR)
            finish(a, errno);
        return;
    }
    if (size == 0 && a->target->kind == KIND_TCP) {
        finish(a, ECONNRESET);
        return;
    }
    if (a->target->kind == KIND_ICMP && a->target->raw) { /* Others' packets come here as well. */
        bool v4 = target_is_v4(&a->target->address);
        size_t at = v4 ? (size_t)(data[0] & 15) * 4 : 0;

        if (size < (ssize_t)(at + 8 + TOKEN_SIZE) ||
            (uint8_t)data[at] != (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
            return;
    }
    if (memmem(data, (size_t)size, a->token, strlen(a->token)))
        finish(a, 0);
}

static void print_result(const struct attempt *a)
{
    printf("{\"target\": \"%s\", \"result\": \"%s\", \"errno\": %d, \"ms\": %.2f, "
           "\"token\": \"%s\"}\n",
           a->target->text, result_word(a->error), a->error,
           (double)(a->end_us - a->start_us) / 1000, a->token);
}

static size_t wait_round(struct attempt *attempts, size_t n, struct pollfd *polls, int wait_ms)
{
    size_t left = 0;

    for (size_t i = 0; i < n; i++) {
        short want = attempts[i].state == STATE_CONNECTING ? POLLOUT : POLLIN;

        polls[i] = (struct pollfd){.fd = attempts[i].fd, .events = want};
    }
    if (poll(polls, n, wait_ms) < 0 && errno != EINTR)
        die("poll: %m");
    for (size_t i = 0; i < n; i++) {
        struct attempt *a = &attempts[i];

        if (a->state != STATE_DONE && polls[i].revents) {
            if (a->state == STATE_CONNECTING)
                connected(a);
            else
                readable(a);
        }
        left += a->state != STATE_DONE;
    }
    return left;
}

int run_try(struct target *targets, size_t n, int limit_ms)
{
    struct attempt *attempts = calloc(n, sizeof(*attempts));
    struct pollfd *polls = calloc(n, sizeof(*polls));
    size_t left = n;
    uint64_t rest_us = (uint64_t)limit_ms * 1000;

    if (!attempts || !polls)
        die("out of memory");
    for (size_t i = 0; i < n; i++) {
        attempts[i].target = &targets[i];
        begin(&attempts[i], (unsigned)i);
        left -= attempts[i].state == STATE_DONE;
    }
    /* The limit begins here: to begin hundreds takes long in a large world. */
    while (left > 0 && rest_us > 0) {
        uint64_t round_us = rest_us < ROUND_US ? rest_us : ROUND_US, began_us = now_us(), took_us;

        left = wait_round(attempts, n, polls, (int)((round_us + 999) / 1000));
        took_us = now_us() - began_us;
        rest_us -= took_us < round_us ? took_us : round_us;
    }
    for (size_t i = 0; i < n; i++) {
        if (attempts[i].state != STATE_DONE)
            finish(&attempts[i], ETIMEDOUT);
        print_result(&attempts[i]);
    }
    free(attempts);
    free(polls);
    return 0;
}
