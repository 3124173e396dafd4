/* SPDX-License-Identifier: Apache-2.0 */
/* drill_really.h - a drill outside of the lab: what this machine reaches of hosts that are named
 *
 * Connections to the named ports of the policy's services are tried, from this machine, slowly, to
 * the named endpoints and to nobody else; nothing is sent over them, and no host is taken over.  So
 * there is one hop, and what the policy's blast radius says of further ones is told beside it.
 *
 * Each connection is compared with the controller's verdict for this program and user.  The verdict
 * may depend on what a connection does not show (the server's program, a protocol's function): then
 * both outcomes agree, and the text says so. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/command.h"
#include "sys/scan.h"

enum {
    DRILL_MAX_HOSTS = 16,
    DRILL_MAX_PORTS = 32,
    DRILL_RATE = 20, /* A second, unless told otherwise. */
    DRILL_ANSWER_MS = 1000,
};

/* One port of one host, at all of its addresses. */
struct attempt {
    const char *host; /* Borrowed from the command line. */
    uint16_t port;
    size_t first, n; /* Of the drill's targets. */
    enum scan_result best;
    bool passes;        /* By the policy. */
    bool depends;       /* On what a connection does not show. */
    json_t *why;        /* The controller's reasons. */
    const char *reason; /* Borrowed from them. */
};

struct drill {
    const struct invocation *in;
    const char *from;
    uint16_t ports[DRILL_MAX_PORTS];
    size_t n_ports;
    struct scan_target targets[SCAN_MAX_TARGETS];
    const char *addresses[SCAN_MAX_TARGETS]; /* Borrowed from 'endpoints'. */
    size_t n_targets;
    struct attempt attempts[DRILL_MAX_HOSTS * DRILL_MAX_PORTS];
    size_t n_attempts;
    json_t *endpoints; /* By name. */
    json_t *computed;  /* name: hops. */
    json_int_t known_flows;
    uint64_t began_ms, took_ms;
    int64_t alarm_ms; /* -1: none. */
};

/* in->args are the hosts; options "from", "service" and "rate" are read.  EXIT_OK: as the policy
 * says; EXIT_DIFFERS: something was reached that it denies. */
int drill_really(const struct invocation *in);

/* ---- drill_report.c ---- */

/* A reset where the policy allows is the host's own; where it denies, a firewall's. */
bool drill_is_reached(const struct attempt *t);

/* All that was found, how it compares, and why where it differs; owned by the caller. */
json_t *drill_report(const struct drill *d, bool *ret_agrees);
void drill_print(const struct drill *d, const json_t *report, bool agrees);
