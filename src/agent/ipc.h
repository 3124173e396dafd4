/* SPDX-License-Identifier: Apache-2.0 */
/* ipc.h - what the two halves of the agent say to each other
 *
 *     net      TLS, protocol buffers, strangers' bytes      no privilege, seccomp
 *     enforce  CAP_BPF, CAP_NET_ADMIN                       takes only what is below, and checks it
 *
 * Packets over a SOCK_SEQPACKET socketpair: a kind, a seat, and one structure of fixed size,
 * numbers and terminated texts.  Seat 0 is the machine's own enforcer; each other is an edge at one
 * port, numbered by the network half when it announces it (IPC_PORT).  A verdict program comes as
 * its records (wire/records.h) in pieces, and passes program_check() before anything is done with
 * it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/program.h"

enum {
    IPC_PIECE_SIZE = 32768,
    IPC_TEXT_SIZE = 240,
    IPC_SEATS = 1025, /* The host, and as many ports as one agent may have. */
    IPC_INTERFACE_SIZE = 16,
    IPC_MACS = 8,
    IPC_MAX_PROGRAM = 256 << 20, /* Bytes; more than the largest program that passes the limits. */
};

enum ipc_kind {
    /* To enforce. */
    IPC_PROGRAM = 1, /* Announces a program; pieces follow. */
    IPC_PIECE,
    IPC_CONFIRM,
    IPC_TRUST,
    IPC_ASK_STATUS,
    IPC_VERIFY,
    IPC_REPORT,    /* Tell what is known now, then IPC_REPORTED. */
    IPC_PORT,      /* This seat is an edge at this port, new or changed. */
    IPC_PORT_GONE, /* The controller says that it is no more. */
    /* From enforce. */
    IPC_ACK = 32,
    IPC_FLOW,
    IPC_NOTICE,
    IPC_STATUS,
    IPC_LOST,     /* So many connections, or their bytes, will never be told. */
    IPC_REPORTED, /* So much was known when IPC_REPORT came. */
    IPC_END,      /* An orderly end: all that was known has been told. */
};

struct ipc_program {
    uint64_t size;
    uint64_t trust_sequence;
    uint32_t confirm_s; /* 0: final. */
    uint32_t pad;
};

struct ipc_piece {
    uint32_t size;
    char bytes[IPC_PIECE_SIZE];
};

struct ipc_port {
    char endpoint[PROGRAM_NAME_SIZE];
    char interface[IPC_INTERFACE_SIZE];
    char pair[IPC_INTERFACE_SIZE]; /* In line: the other interface; "": not. */
    uint8_t macs[IPC_MACS][6];
    uint32_t n_macs;
    uint8_t open_before, dhcp_server, router, learn_dhcp;
    uint32_t refusal; /* enum refusal */
};

struct ipc_trust {
    uint64_t sequence;
    struct address address;
    uint32_t trust; /* enum trust */
    uint32_t pad;
};

enum ipc_result { IPC_RUNNING = 1, IPC_REFUSED, IPC_ROLLED_BACK, IPC_CONFIRMED };
enum ipc_reason {
    IPC_REASON_NONE,
    IPC_REASON_OLDER,
    IPC_REASON_INVALID,
    IPC_REASON_FULL,
    IPC_REASON_KERNEL,
    IPC_REASON_OTHER
};

struct ipc_ack {
    uint64_t revision; /* The one that it is about; ROLLED_BACK: the one that runs again. */
    uint64_t trust_sequence;
    uint32_t result;
    uint32_t reason;
    char text[IPC_TEXT_SIZE];
};

struct ipc_flow {
    struct address local; /* Zeroes: not told. */
    struct address remote;
    uint64_t revision;
    uint64_t first_ms; /* Unix time. */
    uint64_t last_ms;
    uint64_t count;
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint32_t identity;
    uint32_t rule;
    uint32_t uid;
    uint32_t pid;
    uint16_t port;
    uint8_t protocol;
    uint8_t direction;
    uint8_t verdict;
    uint8_t layer;
    uint8_t pad[2];
    char process[PROGRAM_PATH_SIZE];
    char script[PROGRAM_PATH_SIZE];
    char user[PROGRAM_NAME_SIZE];
    char rule_name[PROGRAM_NAME_SIZE]; /* Empty: none, or not known any more. */
};

struct ipc_notice {
    uint64_t time_ms;
    uint32_t kind; /* enum enforcer_notice */
    uint32_t pad;
    char text[IPC_TEXT_SIZE];
};

enum { IPC_HOOKS = 16, IPC_COUNTERS = 40 };

struct ipc_status {
    uint64_t revision;
    uint64_t trust_sequence;
    uint64_t counters[IPC_COUNTERS];
    uint32_t n_counters;
    uint32_t n_nics;
    uint32_t n_hooks;
    uint32_t can_destroy;
    uint64_t n_tampers;
    struct {
        char name[28];
        uint32_t attached;
    } hooks[IPC_HOOKS];
};

/* A connected pair of sockets.  Errors as socketpair(2). */
int ipc_pair(int ret_fds[2]);

/* Sends one message; does not block.  -EAGAIN: the other half does not keep up. */
int ipc_send(int fd, enum ipc_kind kind, uint32_t seat, const void *body, size_t size);

/* Receives one message into 'body' (room for the largest kind: struct ipc_piece), and returns its
 * size; 0: the other half is gone; -EAGAIN: nothing there; -EPROTO: shorter than its kind says, or
 * of no known kind, or with no possible seat. */
int ipc_receive(int fd, enum ipc_kind *ret_kind, uint32_t *ret_seat, void *body, size_t room);

/* Size of the body of a kind; 0: no such kind. */
size_t ipc_size(enum ipc_kind kind);
