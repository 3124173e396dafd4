/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of the host enforcer share; nobody else includes it */
#pragma once

#include <sys/stat.h>

#include "bpf/abi.h"
#include "enforce/common/denials.h"
#include "enforce/common/tables.h"
#include "enforce/host/host.h"

struct host_bpf;
struct sweep_bpf;
struct rejudge_bpf;
struct script_bpf;
struct bpf_map;
struct bpf_program;
struct ring_buffer;

enum { HOST_LINKS = 8, HOST_MAX_NICS = 256, GENERATIONS_KEPT = 64, SHA256_SIZE = 32 };

/* A program file named by the policy, as last seen. */
struct host_process {
    char path[PROGRAM_PATH_SIZE];
    uint16_t class;
    bool usable;      /* There, regular, and written by root only. */
    bool complained;  /* About the present state. */
    struct stat seen; /* st_ino 0: missing. */
    struct abi_file file;
    unsigned char digest[SHA256_SIZE];
};

struct host_slot {
    bool filled;
    uint64_t revision;
    struct abi_slot head;
    struct host_process *processes;
    size_t n_processes;
    struct program_user *users;
    size_t n_users;
    uint32_t inner_ids[TABLES]; /* Kernel's numbers of the inner maps. */
    int inner_fds[TABLES];      /* -1 or open: to put them back when somebody replaced them. */
};

struct host_link {
    const char *name;
    int attach_type;
    struct bpf_program *program;
    int fd;
};

struct host_nic {
    unsigned ifindex;
    bool ethernet;
};

struct host {
    struct host_options options;
    char *pin_dir; /* Owned copies of the options' strings. */
    char *cgroup;
    struct enforcer_events events;
    struct host_bpf *bpf;
    struct sweep_bpf *sweep;
    struct rejudge_bpf *rejudge; /* NULL: the kernel cannot destroy sockets. */
    struct script_bpf *script;   /* NULL: scripts are not reported. */
    struct abi_config config;    /* As it must be in the kernel. */
    struct host_slot slots[ABI_SLOTS];
    struct table_types inner_types[TABLES];
    struct host_link links[HOST_LINKS];
    bool attached;
    int cgroup_fd;
    int netlink_fd;
    struct host_nic nics[HOST_MAX_NICS];
    size_t n_nics;
    bool (*nic_is_left)(void *arg, const char *name); /* NULL: none is. */
    void *nic_left_arg;
    struct stat passwd_seen;
    struct ring_buffer *ring;
    struct { /* Which revision a generation belongs to. */
        uint64_t active, revision;
    } generations[GENERATIONS_KEPT];
    struct seen_program *programs; /* Path of each abi_file, by events. */
    struct seen_script *scripts;   /* Script of each process, by events. */
    uint64_t counters_told[ABI_COUNTERS];
    uint64_t n_tampers;
    uint64_t n_flushes, n_watches;
};

/* host.c */
void host_notice(struct host *h, enum enforcer_notice kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t host_counter(const struct host *h, uint32_t which); /* Of all CPUs. */
void host_quiet_libbpf(void);          /* Its complaints are told in our words. */
int host_store_config(struct host *h); /* Writes h->config to the kernel. */

/* tables.c: a slot's inner maps. */
void tables_init(struct host_slot *slot);
void tables_learn_types(struct host *h); /* Between open and load. */
int tables_fill(struct host *h, unsigned slot, const struct program *p, struct buf *why);
int tables_put_processes(struct host *h, unsigned slot); /* After programs_look(). */
int tables_put_users(struct host *h, unsigned slot);
void tables_verify(struct host *h);
void tables_done(struct host_slot *slot);

/* programs.c: program files. */
void programs_look(struct host *h, struct host_process processes[], size_t n);
void programs_follow(struct host *h); /* Notices changed files and accounts. */

/* attach.c: links and pins. */
int attach_links(struct host *h, struct buf *why);
void host_verify_hooks(struct host *h);

/* nics.c: the backstop on every interface. */
int nics_open(struct host *h, struct buf *why);
void nics_refresh(struct host *h, bool first);
void nics_uncover(unsigned ifindex);

/* sockets.c: what already exists. */
void sockets_adopt(struct host *h);
void sockets_rejudge(struct host *h);
/* Which abi_file each of this process' descriptors fds[0..n) is; zeros where unknown. */
void sockets_identify(struct host *h, const int fds[], size_t n, struct abi_file files[]);

/* events.c */
int host_open_events(struct host *h, struct buf *why);
void host_close_events(struct host *h);
