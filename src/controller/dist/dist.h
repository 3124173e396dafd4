/* SPDX-License-Identifier: Apache-2.0 */
/* dist.h - the agents' side of the controller: who is connected, what each runs, what it is told
 *
 * One TLS port takes agents, known by their certificates, and strangers, who may only enrol.  Each
 * agent is brought to the current generation (controller/desired.h): by a delta when this run of
 * the daemon sent it the base, be it on an earlier connection, else by a snapshot; one program is
 * under way at a time, and what changes meanwhile follows after the acknowledgement.
 *
 * Edges.  An agent that has a port of an endpoint (inventory: edge) is told so on its own
 * connection, and makes one more connection for each of them: an enforcer of its own here, with
 * that endpoint's program, known by the same certificate, and refused unless the inventory says so.
 *
 * What an agent may not do is refused and counted: report about another endpoint, speak out of
 * turn. Two live connections with one identity: the older is asked for a sign of life; if it gives
 * one the newer is refused and both are named in log and audit; if not, the newer takes its place.
 * Certificates count only while the store knows their serial: enrolling again makes older ones
 * worthless.
 *
 * Tickets (sys/tickets.h).  Who is LIVE is given one, and another every few hours, so that after a
 * cut it comes back without a signature.  It is good for the endpoint's newest certificate only,
 * while the endpoint is in the inventory; all others shake hands in full, and are judged there.
 *
 * A storm of reconnections is taken as fast as hands can be shaken: strangers beyond
 * DIST_MAX_STRANGERS wait in the kernel, and only one who has kept us waiting for DIST_PATIENCE_MS
 * is pushed out for the next.
 *
 * Programs are sent to as many at once as DIST_UNDER_WAY_MAX allows, the others take turns
 * (dist/turns.h): what a start of all agents costs in memory does not grow with their number.
 *
 * Limits: connections, strangers, programs under way and enrolments a minute.  One thread, on the
 * loop. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/desired.h"
#include "sys/channel.h"
#include "sys/loop.h"
#include "wire/agent.h"

enum {
    DIST_MAX_CONNECTIONS = 40000,
    DIST_MAX_STRANGERS = 256, /* Not shaken hands, or not enrolled. */
    DIST_PATIENCE_MS = 4000,
    DIST_UNDER_WAY_MAX = 256 << 20,  /* Bytes of programs that were sent and not answered. */
    DIST_ENROLMENTS_PER_MINUTE = 60, /* Unless the settings say another number. */
};

struct dist;

struct dist_hooks { /* What dist cannot see itself: main/ joins it with its siblings. */
    /* Signs for a stranger: fills PEM texts that dist frees.  Negative: refused, '*ret_why'
     * (static) is for the log only. */
    int (*enroll)(void *user, const char *token, const char *csr, char **ret_chain, char **ret_ca,
                  char ret_endpoint[PROGRAM_NAME_SIZE], const char **ret_why);
    int (*renew)(void *user, const char *endpoint, const char *csr, char **ret_chain);
    bool (*certificate_counts)(void *user, const char *endpoint, const char *serial);
    /* It is the newest that this endpoint has, and may resume sessions. */
    bool (*certificate_is_newest)(void *user, const char *endpoint, const char *serial);
    /* A batch about what its sender may report; 'stream' is who counts its batches. */
    void (*flows)(void *user, const char *stream, const struct agent_flows *flows);
    void (*notice)(void *user, const char *endpoint, const struct agent_notice *notice);
    void (*audit)(void *user, const char *actor, const char *action, const char *object,
                  const char *detail);
    /* Another state or revision than it was told last; NULL: of many.  May be NULL. */
    void (*enforcer)(void *user, const char *endpoint);
    void *user;
};

/* Listens at once.  Errors as listener_new(). */
int dist_new(struct loop *l, struct tls *tls, const char *address, uint16_t port,
             struct desired *desired, const struct dist_hooks *hooks, struct dist **ret_d);
void dist_set_enrolments(struct dist *d, uint64_t per_minute);
void dist_free(struct dist *d);
DEFINE_CLEANUP(struct dist, dist_free)

uint16_t dist_port(const struct dist *d); /* Where it listens. */

/* Every endpoint that should have an enforcer, or has one: wanted and running revision, state, last
 * result.  'name' NULL: all.  The caller owns the array. */
json_t *dist_enforcers(struct dist *d, const char *name);

struct dist_summary {
    size_t n_expected; /* Host enforcers, and edges with a place, in the inventory. */
    size_t n_connected;
    size_t n_active;
    size_t n_current; /* Connected, and running the current revision. */
    size_t n_refused; /* Connected, and refused the current revision. */
    uint64_t foreign_reports, bad_messages, refused_connections;
};
void dist_summarise(struct dist *d, struct dist_summary *ret_s);

enum { DIST_STREAM_SIZE = 2 * PROGRAM_NAME_SIZE }; /* "pc1", or "edge1/plc": agent and endpoint. */

/* Tells who counts there that his batches up to this one are on the disk, if he is connected. */
void dist_acknowledge_flows(struct dist *d, const char *stream, uint64_t epoch, uint64_t sequence);

/* Is the endpoint's own agent connected? */
bool dist_has_agent(struct dist *d, const char *endpoint);

/* Sends a control message.  -ENOENT: not connected.  -EINVAL: count out of range, unknown verb. */
int dist_control(struct dist *d, const char *target, uint32_t verb, uint32_t count);
