/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - measures what really passes between hosts
 *
 * What
 * ====
 * One small program that sends and serves TCP, UDP, ICMP and stranger packets, and says as JSON
 * lines what came of it.  Demo, tests and the vectors use it; tests copy it to the path of the
 * program that a policy names, since an enforcer judges by the file that runs.
 *
 *     probe try   TARGET...     tries all at once, one result line each
 *     probe serve TARGET...     echoes on ports, counts what arrives
 *     probe hold  TARGET...     keeps sessions talking, says which one was cut and when
 *     probe flood TARGET        sends many packets and counts what the own kernel refused
 *
 * A target is words with commas:  tcp,ADDRESS,PORT   udp,ADDRESS,PORT   icmp,ADDRESS
 *                                 raw,ADDRESS,PROTOCOL   frame,INTERFACE,MAC,SOURCE,ADDRESS,PORT
 * and options after it:  mapped  echo  from=PORT  how=connect|sendto|sendmmsg|other
 *                        via=ADDRESS/PORT (how=other: the address the socket is connected to)
 *
 * Rules of use: one thread, nothing shared; input comes from the tests' own command lines. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_SIZE = 32, MAX_TARGETS = 4096 };

enum kind { KIND_TCP, KIND_UDP, KIND_ICMP, KIND_RAW, KIND_FRAME };

enum how { HOW_CONNECT, HOW_SENDTO, HOW_SENDMMSG, HOW_OTHER };

struct target {
    const char *text; /* As it was given; named in results. */
    enum kind kind;
    enum how how;
    bool mapped;                 /* IPv4 over an IPv6 socket. */
    bool echo;                   /* TCP: open means that an echo came back. */
    bool raw;                    /* ICMP by a raw socket rather than a ping socket. */
    uint16_t port;               /* Or the protocol of a raw target. */
    uint16_t from;               /* Source port; 0: any. */
    struct sockaddr_in6 address; /* AF_INET is kept as v4-mapped; target_address() gives it out. */
    struct sockaddr_in6 via;     /* HOW_OTHER. */
    struct sockaddr_in6 source;  /* KIND_FRAME. */
    char interface[16];          /* KIND_FRAME. */
    uint8_t mac[6];              /* KIND_FRAME. */
};

/* Reads a target; ends the program with a message when it cannot. */
void target_parse(const char *text, struct target *ret);

bool target_is_v4(const struct sockaddr_in6 *a);

/* The address as the target's socket wants it: IPv4, IPv6 or v4-mapped. */
socklen_t target_address(const struct target *t, const struct sockaddr_in6 *a,
                         struct sockaddr_storage *ret);

/* A non-blocking socket for the target, bound to 'from' when that is set; -errno. */
int target_socket(const struct target *t);

uint64_t now_us(void);              /* Monotonic. */
const char *result_word(int error); /* 0 -> "open", ECONNREFUSED -> "refused", ... */
_Noreturn void die(const char *what, ...) __attribute__((format(printf, 1, 2)));

int run_try(struct target *targets, size_t n, int limit_ms);
int run_serve(char **words, size_t n, bool quiet);
int run_hold(struct target *targets, size_t n, int interval_ms, unsigned copies);
int run_flood(struct target *t, uint64_t count, bool until_eof);

/* Sends one packet of a raw or frame target; 0 or -errno. */
int send_strange(const struct target *t);
