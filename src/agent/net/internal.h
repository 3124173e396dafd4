/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the network half share; nobody else includes it */
#pragma once

#include "agent/ipc.h"
#include "agent/net/collect.h"
#include "agent/net/identity.h"
#include "agent/net/net.h"
#include "agent/net/spool.h"
#include "sys/channel.h"
#include "sys/loop.h"
#include "wire/agent.h"

struct net;

/* One connection: of the machine's own endpoint, or of one that hangs on a port of it. */
struct link {
    struct net *net;
    uint32_t seat;          /* Of the other half. */
    struct agent_port port; /* With an empty endpoint: the machine itself. */
    struct tls *tls;
    uint64_t tls_of; /* net.n_certificates when it was made. */
    struct channel *channel;
    bool open;
    uint64_t backoff_ms;
    struct timer *retry;

    struct program *held;   /* As the other half runs it; base of deltas. */
    struct program *passed; /* Given to it, not acknowledged yet. */
    uint64_t running, trust_sequence, status_nonce;

    struct collect *collect;
    struct spool *spool; /* NULL: there is no room for one; records are lost. */
    struct timer *urgent, *minute, *resend;
    uint64_t lost_records; /* Without a spool. */
};

struct net {
    struct net_options options;
    struct identity identity;
    uint64_t n_certificates; /* That it has had in this run. */
    struct loop *loop;
    struct timer *renew;
    struct watch *ipc_watch;
    struct ipc_piece *message;
    struct link *links[IPC_SEATS]; /* By seat; the first is always there. */
    bool renewing;
    bool told_all; /* The other half has said that nothing more comes. */
};

static inline bool link_is_own(const struct link *n)
{
    return n->seat == 0;
}

static inline const char *link_endpoint(const struct link *n)
{
    return link_is_own(n) ? n->net->identity.name : n->port.endpoint;
}

/* ---- link.c: one connection ---- */

/* Connects soon, and again whenever it is closed.  Seat 0 is the machine's own endpoint. */
struct link *link_new(struct net *net, uint32_t seat);
void link_free(struct link *n); /* NULL: nothing. */
void link_say(struct link *n, const struct agent_message *m);

/* To the other half.  -ETIMEDOUT: it does not take it.  Else as ipc_send(). */
int link_pass(struct link *n, enum ipc_kind kind, const void *body, size_t size);

/* What the other half says. */
void link_take_ack(struct link *n, const struct ipc_ack *a);
void link_take_flow(struct link *n, const struct ipc_flow *f);
void link_take_lost(struct link *n, uint64_t n_records);
void link_take_notice(struct link *n, const struct ipc_notice *notice);
void link_take_status(struct link *n, const struct ipc_status *s);

/* ---- telling.c: flows on their way ---- */

void telling_begin(struct link *n);  /* When its endpoint is known. */
void telling_end(struct link *n);    /* What is collected goes to the spool. */
void telling_report(struct link *n); /* All that is collected, now: IPC_REPORTED came. */
void telling_connected(struct link *n);
void telling_acknowledged(struct link *n, const struct agent_flows_ack *ack);

/* ---- ports.c: what hangs on this machine ---- */

/* All that the controller says: new ones get a link, others lose theirs. */
void ports_take(struct net *net, const struct agent_ports *ports);
