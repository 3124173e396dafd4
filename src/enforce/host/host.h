/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the host enforcer: verdict programs in this machine's kernel
 *
 * What
 * ====
 * Loads the programs of src/bpf, keeps all links and maps pinned in one directory of the BPF file
 * system, fills the tables, watches that nobody takes them away, and reads the events.
 *
 * Fail static
 * ===========
 * Nothing is unpinned or detached when the agent ends, however it ends: the kernel goes on with the
 * last program.  A new agent takes the pinned maps over as they are, and replaces the programs on
 * the pinned links one by one, atomically: at no instant is a hook without a program.  The first
 * attach of all comes after the first program was applied.
 *
 * Slots
 * =====
 * host_apply() writes into the idle slot and switches; the former program stays in the other slot
 * until the next host_apply(), and host_back() is one store.  That is what commit-confirm stands
 * on.
 *
 * Rules of use: one thread; needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, and CAP_SYS_ADMIN for
 * looking at sockets that already exist.  'why' receives one sentence when a function fails. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/program.h"
#include "enforce/enforcer.h"

struct host;

struct host_options {
    const char *pin_dir;  /* Below a BPF file system, for example /sys/fs/bpf/suimitsu. */
    const char *cgroup;   /* cgroup v2 directory whose sockets are enforced. */
    bool cgroup_is_root;  /* It is the root: no socket of this machine is outside. */
    uint32_t max_entries; /* Larger programs are refused. */
};

/* Loads the programs, taking over what is pinned.  Enforces nothing new yet.
 * -EPERM: a capability is missing.  -ENOENT: no BPF file system or cgroup there.  Others: from the
 * kernel, with the verifier's last words in 'why'. */
int host_new(const struct host_options *options, const struct enforcer_events *events,
             struct host **ret_h, struct buf *why);
void host_free(struct host *h); /* Forgets; detaches nothing. */
DEFINE_CLEANUP(struct host, host_free)

/* Makes 'p' (checked) the enforced program, all or nothing, then judges living connections again.
 * -E2BIG: over 'max_entries'.  -ENOMEM and others from the kernel: the former program stays. */
int host_apply(struct host *h, const struct program *p, struct buf *why);

/* Goes back to the former program.  -ENOENT: there is none. */
int host_back(struct host *h, struct buf *why);

/* Revision that is enforced now; also after a restart, from the kernel.  0: none. */
uint64_t host_revision(const struct host *h);

/* Attaches everything that is not attached yet, adopts older sockets.  Call after host_apply(). */
int host_attach(struct host *h, struct buf *why);

/* The fast path: trust of one remote address, or of this endpoint itself. */
int host_set_trust(struct host *h, const struct address *address, enum trust trust);
int host_set_own_trust(struct host *h, enum trust trust);

int host_events_fd(const struct host *h); /* Readable when host_drain() has work. */
int host_drain(struct host *h);           /* Reads events; returns how many, bounded a call. */
int host_link_fd(const struct host *h);   /* Readable when network interfaces changed. */
void host_links_changed(struct host *h);

/* Interfaces that are left to somebody else (the edge's ports, and the bridges' that have them:
 * what passes there is the guests', and this machine's own traffic is judged at the bridge itself).
 */
void host_leave_nics(struct host *h, bool (*is_left)(void *arg, const char *name), void *arg);
void host_refresh_nics(struct host *h); /* That has changed. */

/* Twice a second: repairs what was tampered with, follows program files and accounts. */
void host_watch(struct host *h);

/* Every second: reports pending denials, bytes of long flows, and losses. */
void host_flush(struct host *h);

struct host_hook { /* For status. */
    const char *name;
    bool attached;
};

struct host_status {
    uint64_t revision;
    uint64_t generation;
    size_t n_hooks;
    struct host_hook hooks[16];
    size_t n_nics;
    bool can_destroy; /* Forbidden connections are reset; else they starve. */
    uint64_t counters[32];
    size_t n_counters;
    uint64_t n_tampers; /* Repaired since start. */
};
void host_status(struct host *h, struct host_status *ret_status);
const char *host_counter_name(size_t counter);

/* Removes an enforcer for good: tc filters, links, pins.  The only thing that opens. */
int host_detach(const char *pin_dir, struct buf *why);

/* Answers of `suimitsu-agent check`: one line a feature. */
struct host_feature {
    const char *name;
    const char *purpose;
    bool required;
    bool present;
    char why[160]; /* Why not, and what follows. */
};
size_t host_probe(struct host_feature features[], size_t room);
