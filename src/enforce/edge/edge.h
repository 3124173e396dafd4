/* SPDX-License-Identifier: Apache-2.0 */
/* edge.h - the edge enforcer: verdict programs outside the guests, at the ports that they hang on
 *
 * What
 * ====
 * Beside guests (virtual machines, containers, desktops) or in line before a device, every port -
 * a tap, a veth, or a port of a bridge - gets a program in both directions, which knows the port's
 * MACs, the addresses and identity of its endpoint, and the endpoint's verdict program as an edge
 * may take it (core/edge_view.h).  Root inside the guest has no hold on any of this.
 *
 *     nothing --edge_put_port()--> closed --edge_load()--> enforced --edge_remove_port()--> gone
 *
 * A port that was put and has no program yet passes nothing, unless it was put with 'open_before'.
 * The program's own addresses (program_address.self) are the addresses that the port may use.
 *
 * Fail static
 * ===========
 * Nothing is unpinned or detached when the agent ends.  A new one takes maps, ports, programs and
 * flows over as they are, by the ports' names; programs on links are replaced in place.  Flows end
 * by a clock in the kernel, so a dead agent does not fill the table.
 *
 * Slots: as host.h, for each port by itself.
 *
 * Rules of use: one thread, one network name space; needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON.
 * 'why' receives one sentence when a function fails. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/program.h"
#include "enforce/enforcer.h"

struct edge;

enum { EDGE_MAX_MACS = 8, EDGE_MAX_OWN = 64, EDGE_INTERFACE_SIZE = 16, EDGE_MAX_GUARDED = 64 };

struct edge_options {
    const char *pin_dir;     /* Below a BPF file system, for example /sys/fs/bpf/suimitsu-edge. */
    uint32_t max_entries;    /* Larger programs are refused. */
    uint32_t max_flows;      /* Of all ports; fixed as long as the pins are there. */
    uint32_t max_port_flows; /* Of one port. */
    uint32_t max_port_half;  /* Of these, without an answer or in the handshake. */
    bool no_tcx;             /* Use clsact also where the kernel has tcx. */
    const struct address *dhcp_servers; /* Who may answer DHCP; none: anybody but a guest. */
    size_t n_dhcp_servers;

    /* Closed from their first frame on until they are ports of this edge (guard.h).  Borrowed for
     * the edge's life. */
    const char *const *guarded; /* Interfaces by name, or by its beginning: "tap*". */
    size_t n_guarded;
    const char *const *guarded_bridges; /* All ports of these but 'trunks'. */
    size_t n_guarded_bridges;
    const char *const *trunks;
    size_t n_trunks;
};

struct edge_binding {
    char interface[EDGE_INTERFACE_SIZE];
    char pair[EDGE_INTERFACE_SIZE]; /* In line: joined with this one (pair.h); "": not. */
    uint8_t macs[EDGE_MAX_MACS][6];
    size_t n_macs;
    bool open_before;     /* Passes everything until its first program: in-line, by choice. */
    bool dhcp_server;     /* The guest may answer DHCP requests. */
    bool router;          /* The guest may advertise itself as a router. */
    bool learn_dhcp;      /* Addresses that DHCP gives it are its own, for their time. */
    enum refusal refusal; /* Of requests for protocol functions that are denied. */
};

/* Loads the programs, taking over what is pinned.
 * -EPERM: a capability is missing.  -ENOENT: no BPF file system there.  -EEXIST: what is pinned has
 * another shape.  -EBUSY: this name space has an edge already.  Others: from the kernel. */
int edge_new(const struct edge_options *options, const struct enforcer_events *events,
             struct edge **ret_e, struct buf *why);
void edge_free(struct edge *e); /* Forgets; detaches nothing. */
DEFINE_CLEANUP(struct edge, edge_free)

/* Binds an interface, new or known; it is closed at once, or goes on with the program that it has.
 * An interface that is not there yet is taken when it appears.
 * -ENOSPC: no more ports.  -EINVAL: no MAC, or a name that is none.  Others: from the kernel. */
int edge_put_port(struct edge *e, const struct edge_binding *binding, struct buf *why);

/* Without an edge: the wire of an in-line port that is open without programs.  As pair_join(). */
int edge_join_pair(const char *port, const char *pair, bool open, struct buf *why);

/* Ends the enforcement at this port and its flows: opens it, unless it is guarded.
 * -ENOENT: not bound. */
int edge_remove_port(struct edge *e, const char *interface, struct buf *why);

/* Makes the view of 'p' (checked) the port's program, all or nothing.
 * -ENOENT: not bound.  -E2BIG: over 'max_entries', or too many own addresses.  -EINVAL: the program
 * has no address of its own.  Others from the kernel: the former program stays. */
int edge_load(struct edge *e, const char *interface, const struct program *p, struct buf *why);

/* Goes back to the port's former program.  -ENOENT: there is none. */
int edge_back(struct edge *e, const char *interface, struct buf *why);

/* The fast path: trust of an address, for all ports; of its owner too, when that hangs here. */
int edge_set_trust(struct edge *e, const struct address *address, enum trust trust);

int edge_events_fd(const struct edge *e); /* Readable when edge_drain() has work. */
int edge_drain(struct edge *e);
int edge_link_fd(const struct edge *e); /* Readable when interfaces changed. */
void edge_links_changed(struct edge *e);
void edge_watch(struct edge *e); /* Twice a second: repairs what was tampered with. */
void edge_flush(struct edge *e); /* Every second: pending denials, spoofs, losses. */

struct edge_port_status {
    const char *interface; /* Borrowed until the next change of ports. */
    const char *endpoint;  /* "" before the first program of this agent. */
    uint64_t revision;     /* 0: closed, or open before. */
    bool present;          /* The interface is there, and the programs are on it. */
    bool open_before;
    const char *pair; /* "": not in line. */
    bool joined;      /* The two are one wire. */
    const char *hook; /* "tcx", "clsact" or "none". */
    uint32_t n_flows, n_half;
};
size_t edge_ports(const struct edge *e, struct edge_port_status ports[], size_t room);

/* Of one interface; false: it is no port. */
bool edge_port(const struct edge *e, const char *interface, struct edge_port_status *ret_status);

/* Addresses that a port has learned and may use now; how many. */
size_t edge_learned(const struct edge *e, const char *interface, struct address addresses[],
                    size_t room);

/* Counter number i of a port: why its frames passed or not.  Names for i < edge_n_counters(). */
uint64_t edge_counter(const struct edge *e, const char *interface, size_t i);
const char *edge_counter_name(size_t i);
size_t edge_n_counters(void);

/* Removes the edge for good from the interfaces of this name space: filters, links, pins. */
int edge_detach(const char *pin_dir, struct buf *why);
