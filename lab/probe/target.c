/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ether.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void die(const char *what, ...)
{
    va_list args;

    fprintf(stderr, "probe: ");
    va_start(args, what);
    vfprintf(stderr, what, args);
    va_end(args);
    fprintf(stderr, "\n");
    exit(2);
}

uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

const char *result_word(int error)
{
    switch (error) {
    case 0:
        return "open";
    case ECONNREFUSED:
        return "refused";
    case EPERM:
    case EACCES:
        return "denied";
    case ETIMEDOUT:
        return "timeout";
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return "reset";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "unreachable";
    default:
        return "error";
    }
}

static uint16_t parse_number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || n > UINT16_MAX)
        die("'%s' is no number up to 65535", text);
    return (uint16_t)n;
}

static void parse_address(const char *text, uint16_t port, struct sockaddr_in6 *ret)
{
    char mapped[INET6_ADDRSTRLEN + 8];

    memset(ret, 0, sizeof(*ret));
    ret->sin6_family = AF_INET6;
    ret->sin6_port = htons(port);
    snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
    if (inet_pton(AF_INET6, mapped, &ret->sin6_addr) != 1)
        die("'%s' is no address", text);
}

static void parse_option(char *word, struct target *t)
{
    static const char *const hows[] = {"connect", "sendto", "sendmmsg", "other"};
    char *value = strchr(word, '=');

    if (value)
        *value++ = '\0';
    if (strcmp(word, "mapped") == 0)
        t->mapped = true;
    else if (strcmp(word, "echo") == 0)
        t->echo = true;
    else if (strcmp(word, "raw") == 0)
        t->raw = true;
    else if (strcmp(word, "from") == 0 && value)
        t->from = parse_number(value);
    else if (strcmp(word, "via") == 0 && value && strchr(value, '/')) {
        char *slash = strchr(value, '/');

        *slash = '\0';
        parse_address(value, parse_number(slash + 1), &t->via);
    } else if (strcmp(word, "how") == 0 && value) {
        for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
            if (strcmp(value, hows[i]) == 0) {
                t->how = (enum how)i;
                return;
            }
        }
        die("how=%s: connect, sendto, sendmmsg or other", value);
    } else {
        die("%s: unknown option '%s'", t->text, word);
    }
}

static char *next_word(char **rest, const struct target *t)
{
    char *word = strsep(rest, ",");

    if (!word)
        die("%s: too short for its kind", t->text);
    return word;
}

void target_parse(const char *text, struct target *ret)
{
    char *copy = strdup(text), *rest = copy, *word, *address;

    memset(ret, 0, sizeof(*ret));
    ret->text = text;
    word = next_word(&rest, ret);
    if (strcmp(word, "tcp") == 0 || strcmp(word, "udp") == 0 || strcmp(word, "raw") == 0) {
        ret->kind = *word == 't' ? KIND_TCP : *word == 'u' ? KIND_UDP : KIND_RAW;
        address = next_word(&rest, ret);
        ret->port = parse_number(next_word(&rest, ret));
        parse_address(address, ret->port, &ret->address);
    } else if (strcmp(word, "icmp") == 0) {
        ret->kind = KIND_ICMP;
        parse_address(next_word(&rest, ret), 0, &ret->address);
    } else if (strcmp(word, "frame") == 0) {
        struct ether_addr *mac;

        ret->kind = KIND_FRAME;
        snprintf(ret->interface, sizeof(ret->interface), "%s", next_word(&rest, ret));
        mac = ether_aton(next_word(&rest, ret));
        if (!mac)
            die("%s: no MAC address", text);
        memcpy(ret->mac, mac, sizeof(ret->mac));
        parse_address(next_word(&rest, ret), 40000, &ret->source);
        address = next_word(&rest, ret);
        ret->port = parse_number(next_word(&rest, ret));
        parse_address(address, ret->port, &ret->address);
    } else {
        die("'%s' is no kind of target: tcp, udp, icmp, raw or frame", word);
    }
    while ((word = strsep(&rest, ",")))
        parse_option(word, ret);
    free(copy);
}

bool target_is_v4(const struct sockaddr_in6 *a)
{
    return IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
}

socklen_t target_address(const struct target *t, const struct sockaddr_in6 *a,
                         struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

    memset(ret, 0, sizeof(*ret));
    if (!target_is_v4(a) || t->mapped) {
        memcpy(ret, a, sizeof(*a));
        return sizeof(*a);
    }
    v4->sin_family = AF_INET;
    v4->sin_port = a->sin6_port;
    memcpy(&v4->sin_addr, a->sin6_addr.s6_addr + 12, 4);
    return sizeof(*v4);
}

int target_socket(const struct target *t)
{
    bool v4 = target_is_v4(&t->address) && !t->mapped;
    int type = t->kind == KIND_TCP ? SOCK_STREAM : SOCK_DGRAM, protocol = 0, fd;

    if (t->kind == KIND_ICMP) {
        type = t->raw ? SOCK_RAW : SOCK_DGRAM;
        protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    }
    fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -errno;
    if (t->from) {
        struct sockaddr_storage own;
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(t->from)};
        int on = 1, error;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        memset(&own, 0, sizeof(own));
        memcpy(&own, &any, sizeof(any));
        if (v4)
            *(struct sockaddr_in *)&own =
                (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(t->from)};
        if (bind(fd, (struct sockaddr *)&own, v4 ? sizeof(struct sockaddr_in) : sizeof(any)) < 0) {
            error = errno;
            close(fd);
            return -error;
        }
    }
    return fd;
}
