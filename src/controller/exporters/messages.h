/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h - what the worker says to the controller, in packets of a SOCK_SEQPACKET pair
 *
 * Fixed sizes, no pointers; both ends are the same program.  The controller checks all of it. */
#pragma once

#include "collect/exports.h"
#include "controller/exporters/exporters.h"

enum message_kind { MESSAGE_SEEN = 1, MESSAGE_STATE, MESSAGE_SOCKET };
enum { MESSAGE_SEEN_MAX = 256, MESSAGE_STRANGERS = 16 };

struct message_head {
    uint32_t kind, index; /* Of the exporter, or of the socket. */
    uint32_t n, run;      /* Sightings or strangers; which worker it is: the first is 1. */
};

struct message_seen {
    struct message_head head;
    struct sighting sightings[MESSAGE_SEEN_MAX]; /* Only 'n' of them are sent. */
};

struct message_state { /* Of an exporter, all in all since the worker began. */
    struct message_head head;
    struct exports_state state;
    uint64_t untold; /* Sightings that the controller was too busy to take. */
};

struct message_socket { /* Of a socket, all in all since the worker began. */
    struct message_head head;
    uint64_t kernel_lost; /* Datagrams that found the queue full. */
    uint64_t strangers;   /* Datagrams of those who are not believed. */
    struct {
        struct address address;
        uint64_t n; /* At least so many; of whom there are too many to count, the busiest. */
    } of[MESSAGE_STRANGERS];
};

struct worker_options {
    const struct exporters_config *config;
    const int *sockets;
    int channel;
    uint32_t run;
    uid_t uid;
    gid_t gid;
};

/* The keeper: gives up privilege, and keeps a worker alive until the controller ends. */
void keeper_run(struct worker_options *o) __attribute__((noreturn));

/* The worker; returns its exit code when the controller is gone. */
int reader_run(const struct worker_options *o);
