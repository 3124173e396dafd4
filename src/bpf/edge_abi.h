/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* edge_abi.h - what kernel side and user side of the edge enforcer agree on; see abi.h
 *
 * Ports
 * =====
 * A port is an interface outside a guest or device: tap, veth, or a port of a bridge.  It has a
 * number, 1 .. EDGE_PORTS - 1, and two slots of tables like a host; they stand at
 * number * ABI_SLOTS + slot of the outer maps, and ports with equal tables share the inner maps.
 *
 *     interface --by_ifindex--> number --ports--> struct edge_port
 *     (number, MAC) --macs--> it is this port's        (number, address) --own--> likewise
 *     address --owners--> the one port that has it: nobody else may claim it
 *
 * A frame from the guest (tc ingress of the port) is OUT for its endpoint, a frame to it is IN. */
#pragma once

#include <linux/bpf.h>

#include "bpf/abi.h"

enum {
    EDGE_PORTS = 1024,
    EDGE_NAME_SIZE = 16, /* As IFNAMSIZ. */
    EDGE_MAX_BINDINGS = 65536,
    EDGE_MAX_SERVERS = 64,
    EDGE_MAX_STREAMS = 16384,         /* That are read. */
    EDGE_MAX_LEASES = EDGE_PORTS * 8, /* One for each MAC that a port may have. */
};

enum edge_port_flags {
    EDGE_PORT_OPEN_BEFORE = 1, /* Passes everything until its first program: in-line, by choice. */
    EDGE_PORT_DHCP_SERVER = 2, /* The guest may answer DHCP requests. */
    EDGE_PORT_ROUTER = 4,      /* The guest may advertise itself as a router. */
    EDGE_PORT_RESET = 8,       /* Refused requests are answered (edge_answer.h): RST, or */
    EDGE_PORT_EXCEPTION = 16,  /* an exception of their protocol. */
    EDGE_PORT_LEARN = 32,      /* Addresses from DHCP (edge_lease.h). */
};

struct edge_port {
    __u64 active; /* As abi_config.active; 0: no program yet. */
    __u32 ifindex;
    __u32 epoch; /* Tells apart who had this number one after the other. */
    __u32 trust; /* Of the endpoint. */
    __u32 flags; /* enum edge_port_flags */
    char name[EDGE_NAME_SIZE];
    struct abi_slot slots[ABI_SLOTS];
};
_Static_assert(sizeof(struct edge_port) == 296, "no hidden padding");

enum edge_config_flags {
    EDGE_FLAG_SUSPECTS = 1, /* The 'suspects' map is not empty. */
    EDGE_FLAG_SERVERS = 2,  /* 'dhcp_servers' says who may answer DHCP; else any but a guest. */
};

struct edge_config {
    __u32 flags;
    __u32 max_port_flows; /* Of one port, of all kinds. */
    __u32 max_port_half;  /* Of these: never answered, or still in the handshake. */
    __u32 pad;
};

struct edge_mac {
    __u32 port;
    __u8 mac[6];
    __u8 pad[2];
};
_Static_assert(sizeof(struct edge_mac) == 12, "hashed as raw bytes");

struct edge_own {
    __u32 port;
    struct abi_address address;
};
_Static_assert(sizeof(struct edge_own) == 20, "hashed as raw bytes");

struct edge_flow_key {
    __u32 port; /* Number of the port. */
    struct abi_address remote;
    struct abi_address local;
    __u16 remote_port; /* ICMP echo: identifier. */
    __u16 local_port;  /* ICMP: type * 2 + direction of the first packet. */
    __u8 protocol;     /* IPPROTO_*; ICMPv6 as IPPROTO_ICMP. */
    __u8 pad[3];
};
_Static_assert(sizeof(struct edge_flow_key) == 44, "hashed as raw bytes");

/* TCP, by RFC 9293 as somebody on the wire sees it:
 *
 *     SYN --> SYN_SENT --SYN+ACK--> SYN_RECEIVED --ACK--> ESTABLISHED --FIN--> HALF_CLOSED
 *                                                                                 |
 *     any --RST--> CLOSED (only a new SYN, judged anew, leaves it) <--other FIN----+ */
enum edge_tcp_state {
    EDGE_NO_TCP,
    EDGE_SYN_SENT,
    EDGE_SYN_RECEIVED,
    EDGE_ESTABLISHED,
    EDGE_HALF_CLOSED,
    EDGE_CLOSED,
};

enum edge_flow_kind {            /* What limits count. */
                      EDGE_HALF, /* Never answered, or still in the handshake. */
                      EDGE_WHOLE,
};

/* Where the reader of a client's Modbus requests stands (edge_modbus.h). */
struct edge_reader {
    __u32 sequence; /* TCP's number of the next byte. */
    __u16 left;     /* Bytes of the present request behind its header. */
    __u8 n;         /* Bytes of the next header that are there. */
    __u8 header[8];
    __u8 pad;
};
_Static_assert(sizeof(struct edge_reader) == 16, "no hidden padding");

struct edge_ends { /* MACs */
    __u8 local[6];
    __u8 remote[6];
} __attribute__((aligned(4))); /* Compared as words. */

struct edge_flow {
    __u64 active;   /* Under which it was judged. */
    __u64 last_ns;  /* CLOCK_MONOTONIC, coarse. */
    __u64 due_ns;   /* Likewise: its place in the book (edge_end.h); 0: it has none. */
    __u64 bytes[2]; /* By enum abi_direction. */
    __u64 packets[2];
    __u64 sent[2]; /* Of the bytes, reported. */
    __u32 identity;
    __u32 rule;
    __u32 epoch;  /* Of the port. */
    __u32 kind;   /* enum edge_flow_kind */
    __u32 expect; /* TCP handshake: the number after the last SYN's, which the answer must name. */
    __u16 port;   /* Destination port of the connection, or ICMP type. */
    __u8 direction;
    __u8 verdict;
    __u8 layer;
    __u8 state;    /* enum edge_tcp_state */
    __u8 fins;     /* Bit 1 << direction: that end has sent its FIN. */
    __u8 reads;    /* Its requests are read (struct edge_stream): the verdict asks for functions. */
    __u8 has_ends; /* The MACs below are of a packet: none was looked at wholly before. */
    __u8 pad[3];
    /* At both ends, of the last packet that was looked at wholly; see pass_known(). */
    struct edge_ends ends;
    __u32 pad2;
};
_Static_assert(sizeof(struct edge_flow) == 120, "no hidden padding");

struct edge_due { /* A line of the book. */
    struct edge_flow_key key;
    __u32 pad;
    __u64 due_ns;
};
_Static_assert(sizeof(struct edge_due) == 56, "no hidden padding");

struct edge_clock {
    struct bpf_timer timer;
};

enum { EDGE_MARKS = 8 }; /* Segments that wait for their acknowledgement, and the end before. */

/* The end of a segment that passed, and a sum of the stream up to there (edge_again.h). */
struct edge_mark {
    __u32 sequence;
    __u32 sum;
};

/* What a client sends, where it is read; under the key of its flow.  Numbers are TCP's, of the
 * client's bytes but for 'answered'. */
struct edge_stream {
    __u32 begun;        /* The first byte. */
    __u32 agreed;       /* The server has said so, too. */
    __u32 acknowledged; /* By the server: the next one that it waits for. */
    __u32 answered;     /* The server's next byte. */
    __u32 busy;         /* A processor reads it. */
    __u32 over;         /* Something was refused for good: no more data. */
    __u32 secret;
    __u32 last_mark; /* The newest of 'marks', which is a ring. */
    struct edge_reader reader;
    struct edge_mark marks[EDGE_MARKS];
};
_Static_assert(sizeof(struct edge_stream) == 112, "no hidden padding");

struct edge_fragment_key {
    __u32 port;
    __u32 id; /* IPv4: 16 bits. */
    struct abi_address source;
    struct abi_address destination;
    __u8 protocol;
    __u8 direction;
    __u8 pad[2];
};
_Static_assert(sizeof(struct edge_fragment_key) == 44, "hashed as raw bytes");

/* A datagram in pieces, whose first piece passed: the next one must begin where it ended. */
struct edge_fragment {
    __u64 begun_ns;
    __u32 next;        /* Byte at which the next piece begins. */
    __u16 remote_port; /* Of the flow's key. */
    __u16 local_port;
    __u8 protocol;
    __u8 pad[7];
};
_Static_assert(sizeof(struct edge_fragment) == 24, "no hidden padding");

/* An address that a port has for a time. */
struct edge_lease {
    __u64 expires_ns; /* CLOCK_MONOTONIC */
    __u32 port;
    __u32 epoch; /* Of the port. */
    __u8 mac[6];
    __u8 pad[2];
};
_Static_assert(sizeof(struct edge_lease) == 24, "no hidden padding");

/* Who asks for one: (port, MAC). */
struct edge_client {
    __u64 asked_ns;
    struct abi_address leased; /* Zeros: none. */
    __u32 xid;                 /* Of its last request, as on the wire. */
    __u32 pad;
};
_Static_assert(sizeof(struct edge_client) == 32, "no hidden padding");

struct edge_use { /* Flows of a port. */
    __u32 flows;
    __u32 half;
};

/* Denials are counted and reported at most once a second for each key. */
struct edge_denial_key {
    struct abi_address remote;
    __u32 number;
    __u16 port;
    __u8 protocol;
    __u8 direction;
};
_Static_assert(sizeof(struct edge_denial_key) == 24, "hashed as raw bytes");

enum {
    EDGE_EVENT_LEASE = 64, /* Beside abi.h's kinds: 'remote' leased 'local' for 'count' seconds. */
};

struct edge_event { /* kind: ABI_EVENT_FLOW, ABI_EVENT_CLOSE or EDGE_EVENT_LEASE. */
    __u32 kind;
    __u32 number; /* Of the port. */
    __u64 count;
    __u64 time_ns;
    __u64 active;
    struct abi_address remote;
    struct abi_address local;
    __u64 bytes[2];
    __u32 identity;
    __u32 rule;
    __u16 port;
    __u8 protocol;
    __u8 direction;
    __u8 verdict;
    __u8 layer;
    __u8 pad[2];
};
_Static_assert(sizeof(struct edge_event) == 96, "no hidden padding");

/* What became of a frame, and why: one number is found for each frame, and counted for its port. */
enum edge_reason {
    EDGE_PASS,       /* Of a judged flow, or what keeps the link alive. */
    EDGE_DENIED,     /* By policy. */
    EDGE_NO_PORT,    /* The interface has no number (counted at number 0), or no program yet. */
    EDGE_MALFORMED,  /* Cut off, lengths that do not agree, addresses that cannot be. */
    EDGE_VLAN,       /* Tagged. */
    EDGE_CONTROL,    /* STP, LLDP, CDP, 802.1X: for bridges, not for guests. */
    EDGE_FOREIGN,    /* Neither ARP nor IP. */
    EDGE_MAC_SPOOF,  /* Sent with a MAC that is not the port's. */
    EDGE_IP_SPOOF,   /* Sent with an address that is not the port's. */
    EDGE_ARP_SPOOF,  /* ARP for an address that is not the sender's. */
    EDGE_ND_SPOOF,   /* The same by IPv6. */
    EDGE_DUPLICATE,  /* Somebody else uses an address or MAC of this port. */
    EDGE_NOT_FOR_US, /* Flooded: for another MAC or address than the port's. */
    EDGE_ROGUE_DHCP,
    EDGE_ROGUE_RA,
    EDGE_REDIRECT,
    EDGE_OPTIONS,      /* IPv4 options. */
    EDGE_EXTENSIONS,   /* IPv6 extension headers: too many, twice, or routing. */
    EDGE_ENCAPSULATED, /* A packet in a packet: GRE, IPIP, SIT, ESP and others. */
    EDGE_FRAGMENT,     /* Without its first piece, out of order, overlapping, too long. */
    EDGE_TINY,         /* The first piece does not hold the whole transport header. */
    EDGE_TCP_FLAGS,    /* A combination that no stack sends. */
    EDGE_STRAY_TCP,    /* In no connection that began with a SYN. */
    EDGE_STRAY,        /* ICMP error or reply that belongs to nothing. */
    EDGE_FUNCTION,     /* A request for a protocol function that is denied. */
    EDGE_REQUEST,      /* A request that cannot be read: malformed, out of order, urgent. */
    EDGE_FULL_TCP,     /* New flows refused: the table or the port's share is full. */
    EDGE_FULL_UDP,
    EDGE_FULL_OTHER,
    EDGE_REASONS,
};

/* Counted beside the reasons: how many, not of frames. */
enum edge_counter {
    EDGE_COUNT_ALLOWED = EDGE_REASONS, /* Flows. */
    EDGE_COUNT_WOULD_DENY,
    EDGE_COUNT_CUT,       /* Flows that a change forbade. */
    EDGE_COUNT_ANSWERED,  /* Refused requests that the client was told of. */
    EDGE_COUNT_LEASED,    /* Addresses learned or renewed. */
    EDGE_COUNT_LOST_FLOW, /* Events that found the ring full. */
    EDGE_COUNT_LOST_CLOSE,
    EDGE_COUNT_LOST_DENIAL,
    EDGE_COUNTERS,
};
