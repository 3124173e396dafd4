/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - the network half of the agent: strangers' bytes, and no privilege
 *
 *     OFF --connect--> GREETING --open, Hello--> ON --closed--> OFF (again after 1 to 30 s,
 * jittered)
 *
 * It decodes what the controller sends, keeps the program that the other half runs so that deltas
 * can be applied, and passes programs, confirmations and trust on as the messages of agent/ipc.h.
 * Whatever goes wrong here, the other half and the kernel go on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct net_options {
    const char *address; /* Numeric. */
    uint16_t port;
    const char *dir; /* Of key and certificate; belongs to 'uid'. */
    uid_t uid;
    gid_t gid;
    int ipc_fd;
    uint64_t spool_bytes; /* For flows while the controller is away. */
    bool edge_only;       /* The machine itself is not enforced, and wants no program. */
    bool nft;             /* It is enforced by nftables. */
};

/* Drops privilege, then runs until the other half is gone or SIGTERM.  Exit code. */
int net_run(const struct net_options *options);

/* Enrolls: makes a key and has it signed, by the one controller whose authority the token names.
 * Returns 0, or a negative errno with one sentence on standard error. */
int net_enroll(const char *address, uint16_t port, const char *token, const char *dir);

/* "192.0.2.1:7443" or "[2001:db8::1]:7443".  -EINVAL: anything else. */
int net_parse_endpoint(const char *text, char address[64], uint16_t *ret_port);
