/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the edge enforcer share; nobody else includes it */
#pragma once

#include "bpf/edge_abi.h"
#include "enforce/common/denials.h"
#include "enforce/common/suspects.h"
#include "enforce/common/tables.h"
#include "enforce/edge/edge.h"

struct edge_bpf;
struct bpf_map;
struct ring_buffer;

enum { POOL_DIGEST = 32, EDGE_TABLES = TABLE_ENTRIES + 1, EDGE_REVISIONS = 4 };

struct pooled { /* An inner map that several slots may use. */
    unsigned char digest[POOL_DIGEST];
    enum table table;
    int fd;
    uint32_t id;
    size_t n_users;
    struct pooled *next;
};

struct port_slot {
    bool filled;
    struct pooled *tables[EDGE_TABLES];
    struct abi_address own[EDGE_MAX_OWN];
    size_t n_own;
    char endpoint[PROGRAM_NAME_SIZE];
};

struct port {
    bool used;  /* The number is taken. */
    bool bound; /* By this agent; else it is as another one left it. */
    struct edge_binding binding;
    struct edge_port kernel; /* As it must be in the kernel. */
    struct port_slot slots[ABI_SLOTS];
    int links[2]; /* By enum abi_direction; tcx links, or -1. */
    bool attached, by_tcx;
    bool wire_told; /* That it cannot be joined. */
    struct {        /* Which revision an 'active' stands for, newest first. */
        uint64_t active, revision;
    } revisions[EDGE_REVISIONS];
    uint64_t spoofs_told[EDGE_REASONS];
    struct suspects suspects; /* By the program that it got last. */
};

struct edge {
    struct edge_options options;
    char *pin_dir;
    struct enforcer_events events;
    struct edge_bpf *bpf;
    struct table_types inner_types[EDGE_TABLES];
    struct edge_config config;
    struct port *ports; /* EDGE_PORTS of them; number 0 is nobody's. */
    struct pooled *pool;
    struct ring_buffer *ring;
    int netlink_fd;
    int claim_fd; /* Says that this name space has an edge; -1: not claimed. */
    uint64_t generation;
    uint32_t epoch;
    bool no_tcx; /* Asked for, or the kernel has none. */
    uint64_t losses_told[EDGE_COUNTERS];
    uint64_t n_tampers;
    uint64_t n_watches;
    bool guard_stands;
    unsigned char guard_digest[POOL_DIGEST]; /* Of the table as we left it. */
};

/* edge.c */
void edge_notice(struct edge *e, enum enforcer_notice kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int edge_store_port(struct edge *e, uint32_t number); /* -errno */
int edge_store_config(struct edge *e);
struct port *edge_find(const struct edge *e, const char *interface, uint32_t *ret_number);

/* policy.c: the slot is in force; every flow of the port is judged again by its next packet. */
int edge_activate(struct edge *e, uint32_t number, unsigned slot);

/* tables.c: a slot's inner maps, shared by what they hold. */
void edge_learn_types(struct edge *e);
int edge_fill(struct edge *e, uint32_t number, unsigned slot, const struct program *view,
              struct buf *why);
void edge_empty(struct edge *e, struct port_slot *s);
void edge_verify_tables(struct edge *e, uint32_t number);

/* bindings.c: MACs and addresses of ports. */
int bindings_put_macs(struct edge *e, uint32_t number, const struct edge_binding *b);
int bindings_add_own(struct edge *e, uint32_t number, const struct port_slot *s);
void bindings_trim_own(struct edge *e, uint32_t number); /* Keeps the active slot's only. */
/* Learned addresses that count now. */
size_t bindings_leases(const struct edge *e, uint32_t number, struct address addresses[],
                       size_t room);
void bindings_clear(struct edge *e, uint32_t number);
void bindings_forget_flows(struct edge *e, uint32_t number);

/* attach.c */
int attach_port(struct edge *e, uint32_t number, struct buf *why);
void attach_verify(struct edge *e, uint32_t number);
void attach_remove(struct edge *e, uint32_t number);
int attach_listen(struct edge *e, struct buf *why);
void attach_refresh(struct edge *e); /* Interfaces came or went. */

/* claim.c: -EBUSY: another edge has it. */
int claim_namespace(struct edge *e, struct buf *why);
void claim_answer(const struct edge *e); /* To those who asked since. */

/* events.c */
int events_open(struct edge *e, struct buf *why);
void events_done(struct edge *e);
/* What was counted so far has been told; 'anew': counts from zero. */
void events_start_port(struct edge *e, uint32_t number, bool anew);
