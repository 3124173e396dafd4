/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* abi.h - what kernel side and user side agree on, byte for byte
 *
 * Included by src/bpf/<name>.bpf.c and by src/enforce/host; includes nothing but fixed-width types.
 * Padding is spelled out and zero, and every size is asserted: hash maps compare raw bytes.
 *
 * Two slots
 * =========
 * Everything that belongs to one verdict program (core/program.h) lives in inner maps, one set for
 * each of two slots.  A new program is written into the idle slot, its maps are frozen so that not
 * even root can edit them by system call, and one store to 'abi_config.active' switches all tables
 * at once.  The former slot stays as it was: going back to it is one store too.
 *
 *     active = generation << 1 | slot         generation rises with every change of policy or trust
 *
 * Sockets and flows remember the 'active' under which they were judged; a different one means
 * "judge again". */
#pragma once

#include <linux/types.h>

enum {
    ABI_SLOTS = 2,
    ABI_LIFELINE = 5,
    ABI_PATH_SIZE = 256, /* As PROGRAM_PATH_SIZE. */
    ABI_PORTS = 65536,
};

enum abi_protocol_row { ABI_ROW_TCP, ABI_ROW_UDP, ABI_ROW_ICMP, ABI_ROWS };

/* The values of core/program.h's enums; src/enforce/host asserts that they agree. */
enum abi_direction { ABI_OUT, ABI_IN };
enum abi_suspect { ABI_SUSPECT_NONE, ABI_SUSPECT_SOURCE, ABI_SUSPECT_DESTINATION };
enum abi_word { ABI_WORD_DENY, ABI_WORD_ALLOW, ABI_WORD_DEFAULT };
enum abi_verdict { ABI_DENY, ABI_ALLOW, ABI_WOULD_DENY };
enum abi_refine {
    ABI_REFINE_PROCESS = 1,
    ABI_REFINE_USER = 2,
    ABI_REFINE_FUNCTION = 4, /* Edges only: entries with process ABI_FUNCTION | function. */
};
enum { ABI_FUNCTION = 0x8000 };
enum abi_layer {
    ABI_LAYER_LIFELINE,
    ABI_LAYER_QUARANTINE,
    ABI_LAYER_GLASS,
    ABI_LAYER_NEVER,
    ABI_LAYER_ALLOW,
    ABI_LAYER_DEFAULT,
};
enum { ABI_MODE_ENFORCE = 3, ABI_TRUST_BLACK = 2 };

/* IPv4 as ::ffff:a.b.c.d, network order. */
struct abi_address {
    __u32 word[4];
};

struct abi_prefix { /* Key of the LPM map. */
    __u32 length;   /* 0 .. 128 */
    struct abi_address address;
};
_Static_assert(sizeof(struct abi_prefix) == 20, "LPM key");

enum { ABI_REMOTE_SELF = 1 };

struct abi_remote { /* Value of 'addresses' and 'prefixes'. */
    __u32 identity;
    __u8 mode;
    __u8 flags; /* ABI_REMOTE_* */
    __u8 pad[2];
};
_Static_assert(sizeof(struct abi_remote) == 8, "map value");

struct abi_entry_key {
    __u32 remote;
    __u16 service;
    __u16 process;
    __u16 user;
    __u8 direction;
    __u8 suspect;
};
_Static_assert(sizeof(struct abi_entry_key) == 12, "hashed as raw bytes");

struct abi_entry {
    __u32 rule;
    __u8 word;
    __u8 layer;
    __u8 refine;
    __u8 pad;
};
_Static_assert(sizeof(struct abi_entry) == 8, "map value");

/* Port (or ICMP type) to service class: __u16[ABI_PORTS], one row a protocol. */

/* A program file as the kernel sees it.  The change time is part of the key: a file that was
 * written to, or an inode number that was given to another file, is another program until the
 * agent has looked at it. */
struct abi_file {
    __u64 inode;
    __u64 change_ns; /* Seconds * 10^9 + nanoseconds. */
    __u32 device;    /* Kernel's dev_t: major << 20 | minor. */
    __u32 pad;
};
_Static_assert(sizeof(struct abi_file) == 24, "hashed as raw bytes");

struct abi_lifeline {
    struct abi_address address;
    __u16 port;
    __u8 protocol;
    __u8 here; /* The controller is this endpoint: let its port be reached. */
};

struct abi_slot {
    __u64 revision;
    __u32 identity;
    __u32 mode;
    __u32 n_lifeline;
    __u32 pad;
    struct abi_lifeline lifeline[ABI_LIFELINE];
    __u32 pad2;
};
_Static_assert(sizeof(struct abi_slot) == 128, "no hidden padding");

enum abi_config_flags {
    ABI_FLAG_ROOT = 1,     /* Attached at the root cgroup: no socket of this host is outside it. */
    ABI_FLAG_SUSPECTS = 2, /* The 'suspects' map is not empty. */
};

struct abi_config {
    __u64 active;
    __u32 trust; /* Of this endpoint. */
    __u32 flags; /* enum abi_config_flags */
    struct abi_slot slots[ABI_SLOTS];
};

enum abi_socket_flags {
    ABI_SOCKET_JUDGED = 1,   /* 'active', 'verdict' .. 'port' hold. */
    ABI_SOCKET_LISTENED = 2, /* It is, or was accepted from, a listener: direction is IN. */
    ABI_SOCKET_REPORTED = 4, /* Its first event was sent. */
    ABI_SOCKET_MIXED = 8,    /* Created by one program and bound or connected by another. */
    ABI_SOCKET_ADOPTED = 16, /* Older than us: who began its datagram flows is not known. */
};

/* What we know of a socket; lives and dies with it.  An accepted socket inherits its listener's. */
struct abi_socket {
    struct abi_file file; /* Program that created it. */
    __u64 active;         /* Under which it was judged. */
    __u64 bytes_out;
    __u64 bytes_in;
    __u64 sent_out; /* Of these, reported. */
    __u64 sent_in;
    struct abi_address remote;
    __u32 identity; /* Of the remote end. */
    __u32 rule;
    __u32 uid;
    __u32 pid;
    __u16 port; /* The connection's destination port. */
    __u8 protocol;
    __u8 direction;
    __u8 verdict;
    __u8 layer;
    __u8 flags; /* enum abi_socket_flags */
    __u8 pad;
};
_Static_assert(sizeof(struct abi_socket) == 104, "no hidden padding");

/* Flows of what has no connection: UDP, ICMP echo, other protocols, forwarded TCP. */
struct abi_flow_key {
    __u64 cookie; /* Of the socket; 0: none (answered by the kernel, or forwarded). */
    struct abi_address remote;
    __u16 remote_port; /* ICMP echo: identifier. */
    __u16 local_port;  /* ICMP: 0. */
    __u8 protocol;     /* IPPROTO_*; ICMPv6 as IPPROTO_ICMP. */
    __u8 pad[3];
};
_Static_assert(sizeof(struct abi_flow_key) == 32, "hashed as raw bytes");

struct abi_flow {
    struct abi_file file;
    __u64 active;
    __u64 last_ns; /* CLOCK_MONOTONIC, coarse. */
    __u64 bytes_out;
    __u64 bytes_in;
    __u64 sent_out;
    __u64 sent_in;
    __u32 identity;
    __u32 rule;
    __u32 uid;
    __u16 port;
    __u8 direction;
    __u8 verdict;
    __u8 layer;
    __u8 pad[7];
};
_Static_assert(sizeof(struct abi_flow) == 96, "no hidden padding");

/* Denials are counted here and reported at most once a second for each key, so that a flood of one
 * cannot hide another, nor fill the ring. */
struct abi_denial_key {
    struct abi_file file;
    struct abi_address remote;
    __u32 uid;
    __u16 port;
    __u8 protocol;
    __u8 direction;
};
_Static_assert(sizeof(struct abi_denial_key) == 48, "hashed as raw bytes");

struct abi_denial {
    __u64 reported_ns; /* CLOCK_MONOTONIC of the last event. */
    __u64 pending;     /* Denied since, not yet reported. */
    __u32 identity;
    __u32 rule;
    __u8 layer;
    __u8 pad[7];
};
_Static_assert(sizeof(struct abi_denial) == 32, "no hidden padding");

enum abi_event_kind {
    ABI_EVENT_FLOW = 1, /* A connection, or a datagram flow, was judged. */
    ABI_EVENT_CLOSE,    /* It ended: bytes. */
    ABI_EVENT_PROGRAM,  /* A program file was seen for the first time: its path. */
    ABI_EVENT_SCRIPT,   /* A process became an interpreter of this script. */
};

struct abi_event {
    __u32 kind;
    __u32 count;   /* Of denials, over the last second. */
    __u64 time_ns; /* CLOCK_MONOTONIC. */
    __u64 active;
    struct abi_file file;
    struct abi_address remote;
    __u64 bytes_out;
    __u64 bytes_in;
    __u32 identity;
    __u32 rule;
    __u32 uid;
    __u32 pid; /* 0: not known here. */
    __u16 port;
    __u8 protocol;
    __u8 direction;
    __u8 verdict;
    __u8 layer;
    __u8 pad[2];
};
_Static_assert(sizeof(struct abi_event) == 104, "no hidden padding");

struct abi_program_event {
    __u32 kind;
    __u32 pid;
    struct abi_file file;
    __u32 start;    /* Where in 'path' the text begins; it ends with the last byte, which is NUL. */
    __u32 complete; /* 0: deeper or longer than we follow. */
    char path[2 * ABI_PATH_SIZE];
};
_Static_assert(sizeof(struct abi_program_event) == 552, "no hidden padding");

/* Why a packet or call went the way it went: index of the per-CPU 'counters' array. */
enum abi_counter {
    ABI_COUNT_ALLOWED, /* Connections and flows judged: allowed. */
    ABI_COUNT_WOULD_DENY,
    ABI_COUNT_DENIED,    /* Calls and packets. */
    ABI_COUNT_LOST_FLOW, /* Events that found the ring full. */
    ABI_COUNT_LOST_CLOSE,
    ABI_COUNT_LOST_PROGRAM,
    ABI_COUNT_LOST_DENIAL, /* Denials that could not be reported one by one. */
    ABI_COUNT_MALFORMED,   /* Dropped: headers cut off or too many. */
    ABI_COUNT_FOREIGN,     /* Dropped: not IP, and none of the link-layer protocols let out. */
    ABI_COUNT_NO_CONFIG,   /* Denied: the maps hold no program. */
    ABI_COUNT_STRAY,       /* Dropped: echo reply, error, reset or segment that answers nothing. */
    ABI_COUNT_UNTAGGED,    /* Judged without a known program: socket older than us, or outside. */
    ABI_COUNT_DESTROYED,   /* Sockets ended because they are no longer allowed. */
    ABI_COUNT_ADOPTED,     /* Sockets that existed before us and were given their program. */
    ABI_COUNTERS,
};
