/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h - what controller and agents say to each other, as C structs
 *
 * One message is one frame (wire/frame.h) of protocol buffers (wire/agent.proto); the conversation
 * is told in docs/protocol.md.  Decoding checks everything: which side may say it, lengths, ranges,
 * UTF-8, terminated strings, and whole programs by program_check().  Whoever gets a message may
 * rely on its numbers being inside their enums.  Memory for one message is bounded too: forty bytes
 * of wire cannot become gigabytes of structs.
 *
 * Names and texts are cut to nothing: one that is too long is an error, never truncated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "core/delta.h"
#include "core/program.h"
#include "wire/flows.h"

enum {
    AGENT_PROTOCOL_VERSION = 1,
    AGENT_TEXT_SIZE = 256,          /* Reasons, versions, notices; NUL included. */
    AGENT_PEM_SIZE = 16384,         /* Certificates and requests; NUL included. */
    AGENT_TOKEN_SIZE = 256,         /* Enrolment tokens; NUL included. */
    AGENT_MAX_TRUST = 65536,        /* In one message. */
    AGENT_MAX_COUNTERS = 64,        /* In one status. */
    AGENT_MAX_HOOKS = 256,          /* In one status. */
    AGENT_MAX_FEATURES = 64,        /* In one greeting. */
    AGENT_MAX_CONTROL_COUNT = 1000, /* A control message is carried out 1 .. this often. */
    AGENT_MAX_CONFIRM_S = 86400,
    AGENT_MAX_PORTS = 1024, /* Of one machine. */
    AGENT_MAX_MACS = 8,     /* Of one port. */
    AGENT_INTERFACE_SIZE = 16,
};

enum agent_side { AGENT_SIDE_CONTROLLER, AGENT_SIDE_AGENT, AGENT_SIDE_STRANGER };

enum agent_kind { /* The field numbers of wire/agent.proto. */
                  /* Controller to agent. */
                  AGENT_SNAPSHOT = 1,
                  AGENT_DELTA,
                  AGENT_CONFIRM,
                  AGENT_TRUST,
                  AGENT_STATUS_REQUEST,
                  AGENT_CERTIFICATE,
                  AGENT_CONTROL,
                  AGENT_REFUSED,  /* The controller closes the connection behind it. */
                  AGENT_ENROLLED, /* To a stranger. */
                  AGENT_PORTS,    /* On the agent's own connection. */
                  AGENT_FLOWS_ACK,
                  /* Agent to controller. */
                  AGENT_HELLO = 16,
                  AGENT_ACK,
                  AGENT_FLOWS,
                  AGENT_NOTICE,
                  AGENT_STATUS_REPLY,
                  AGENT_RENEW,
                  AGENT_ENROLL, /* From a stranger: it has no certificate yet. */
};

enum agent_result {                           /* In Ack. */
                    AGENT_RESULT_RUNNING = 1, /* The kernel maps hold this revision. */
                    AGENT_RESULT_REFUSED,     /* Nothing changed; 'reason' and 'text' say why. */
                    AGENT_RESULT_ROLLED_BACK, /* No Confirm came: 'revision' is the older one that
                                                 runs again. */
                    AGENT_RESULT_CONFIRMED,
};

enum agent_reason { /* Why a program, a control message or a connection was refused. */
                    AGENT_REASON_NONE,
                    AGENT_REASON_OLDER,       /* Revision below the running one. */
                    AGENT_REASON_BASE,        /* Delta for another base: send a snapshot. */
                    AGENT_REASON_INVALID,     /* Failed a check; 'text' names it. */
                    AGENT_REASON_MAP_FULL,    /* 'text': which map, needed, room. */
                    AGENT_REASON_KERNEL,      /* The kernel said no; 'text' has errno. */
                    AGENT_REASON_NOT_ME,      /* Another endpoint's program or control message. */
                    AGENT_REASON_COUNT,       /* Control count out of range. */
                    AGENT_REASON_UNSUPPORTED, /* This kernel or agent cannot do it. */
                    AGENT_REASON_DUPLICATE,   /* Another live connection has this identity. */
                    AGENT_REASON_VERSION,
                    AGENT_REASON_TOKEN, /* Enrolment token unknown, used, expired or for another. */
                    AGENT_REASON_UNKNOWN_ENDPOINT, /* Not, or no more, in the inventory. */
                    AGENT_REASON_BUSY,             /* A limit of the controller; try later. */
                    AGENT_REASON_PROTOCOL,
};

enum agent_verb {
    AGENT_VERB_REPORT = 1, /* Send up to 'count' flow batches now. */
    AGENT_VERB_VERIFY,     /* Check links, pins and maps now, 'count' times; repair and notice. */
    AGENT_VERB_RESYNC,     /* Say Hello with running revision 0, to get a snapshot; count is 1. */
};

enum agent_notice_kind {
    AGENT_NOTICE_TAMPER = 1, /* A link, pin, map or filter was changed by others and is repaired. */
    AGENT_NOTICE_ADOPTED,    /* Sockets from before the agent were taken over. */
    AGENT_NOTICE_PROGRAM_CHANGED, /* A program file named by policy was replaced. */
    AGENT_NOTICE_DEGRADED,        /* Something cannot be enforced here; 'object' names it. */
    AGENT_NOTICE_STARTED,
    AGENT_NOTICE_STOPPING,
    AGENT_NOTICE_CUT, /* Living connections were ended by a change of policy. */
};

enum agent_hook_state {
    AGENT_HOOK_ATTACHED = 1,
    AGENT_HOOK_MISSING,
    AGENT_HOOK_REPAIRED,
    AGENT_HOOK_UNSUPPORTED
};

struct agent_snapshot {
    struct program *program; /* Owned by the message; TAKE_PTR() it to keep it. */
    uint32_t confirm_s;      /* Roll back by yourself after so long without Confirm; 0: final. */
    uint64_t trust_sequence; /* Trust changes up to this one are contained. */
};

struct agent_delta {
    struct delta *delta; /* Owned by the message. */
    uint32_t confirm_s;
    uint64_t trust_sequence;
};

struct agent_trust_item {
    struct address address;
    uint8_t trust; /* enum trust */
};

struct agent_trust {                /* Fast path: only these states change, at once. */
    uint64_t sequence;              /* Ignore one that is not above the last. */
    struct agent_trust_item *items; /* Owned by the message. */
    size_t n_items;
};

struct agent_control {
    char target[PROGRAM_NAME_SIZE]; /* Refuse it when this is not your name. */
    uint32_t verb;                  /* Not checked against the enum: newer verbs are refused. */
    uint32_t count;                 /* 1 .. AGENT_MAX_CONTROL_COUNT, checked. */
    uint64_t nonce;
};

struct agent_refused {
    uint32_t reason; /* enum agent_reason; unknown numbers may come from newer controllers. */
    char text[AGENT_TEXT_SIZE];
};

struct agent_enrolled {
    char *chain; /* PEM; both owned by the message. */
    char *ca;
};

/* A feature in the greeting: this agent stands outside others only, and wants no program of its
 * own. */
#define AGENT_EDGE_ONLY "edge-only"

/* Another one: this agent enforces by nftables, and cannot check programs or users. */
#define AGENT_NFT "nft"

struct agent_port {
    char endpoint[PROGRAM_NAME_SIZE];
    char interface[AGENT_INTERFACE_SIZE];
    char pair[AGENT_INTERFACE_SIZE]; /* "": not in line. */
    uint8_t macs[AGENT_MAX_MACS][6];
    size_t n_macs;
    bool open_before, dhcp_server, router, learn_dhcp;
    enum refusal refusal;
};

struct agent_ports {
    struct agent_port *items; /* Owned by the message. */
    size_t n_items;
};

struct agent_hello {
    uint32_t version;
    char endpoint[PROGRAM_NAME_SIZE]; /* As in the certificate. */
    char guards[PROGRAM_NAME_SIZE];   /* "": this connection is about the agent's own endpoint. */
    uint64_t running_revision;        /* 0: none; send a snapshot. */
    uint64_t trust_sequence;
    char boot_id[PROGRAM_NAME_SIZE];
    char kernel[AGENT_TEXT_SIZE];
    char software[AGENT_TEXT_SIZE];
    char (*features)[PROGRAM_NAME_SIZE]; /* Owned by the message. */
    size_t n_features;
};

struct agent_ack {
    uint64_t revision;       /* The one that it is about. */
    uint32_t result;         /* enum agent_result */
    uint32_t reason;         /* enum agent_reason, for REFUSED. */
    uint64_t trust_sequence; /* The last that the kernel maps hold. */
    char text[AGENT_TEXT_SIZE];
};

struct agent_flows {
    char endpoint[PROGRAM_NAME_SIZE];
    uint64_t epoch;    /* Of the counting; random. */
    uint64_t sequence; /* Of the batch in it: from 1, by one. */
    uint64_t lost;     /* Records since the batch before that will never be told. */
    uint64_t sent_ms;  /* Unix time, by the agent's clock. */
    bool interrupted;  /* The run before ended without telling all that it knew. */
    struct flow_batch batch;
    const void *columns; /* Encoding: the batch as columns already, borrowed; NULL: 'batch'. */
    size_t columns_size;
};

struct agent_flows_ack {
    uint64_t epoch, sequence;
};

struct agent_notice {
    uint32_t kind; /* enum agent_notice_kind */
    uint64_t time_ms;
    char text[AGENT_TEXT_SIZE];
    char object[AGENT_TEXT_SIZE];
};

struct agent_counter {
    char name[PROGRAM_NAME_SIZE];
    uint64_t value;
};

struct agent_hook {
    char name[PROGRAM_NAME_SIZE];
    uint32_t state; /* enum agent_hook_state */
    uint64_t hits;
};

struct agent_status {
    uint64_t nonce; /* Of the request. */
    uint64_t running_revision;
    uint64_t trust_sequence;
    struct agent_counter *counters; /* Both owned by the message. */
    size_t n_counters;
    struct agent_hook *hooks;
    size_t n_hooks;
};

struct agent_enroll {
    uint32_t version;
    char token[AGENT_TOKEN_SIZE];
    char *csr; /* PEM, owned by the message. */
};

struct agent_message {
    enum agent_kind kind;
    union {
        struct agent_snapshot snapshot;
        struct agent_delta delta;
        uint64_t confirm; /* Revision. */
        struct agent_trust trust;
        uint64_t status_request; /* Nonce. */
        char *certificate;       /* PEM chain, owned. */
        struct agent_control control;
        struct agent_refused refused;
        struct agent_enrolled enrolled;
        struct agent_ports ports;
        struct agent_flows_ack flows_ack;
        struct agent_hello hello;
        struct agent_ack ack;
        struct agent_flows flows;
        struct agent_notice notice;
        struct agent_status status_reply;
        char *renew; /* PEM request, owned. */
        struct agent_enroll enroll;
    };
};

struct agent_message *agent_message_new(enum agent_kind kind);
void agent_message_free(struct agent_message *m);
DEFINE_CLEANUP(struct agent_message, agent_message_free)

/* Appends one frame to 'out'.  Pointers in 'm' that are not set count as empty; nothing is checked
 * but the size.  -EMSGSIZE: longer than the receiver accepts; 'out' is unchanged. */
int agent_encode(const struct agent_message *m, struct buf *out);

/* Reads the message inside one frame, said by 'from'; the caller frees it.
 * -EBADMSG: no such message.  -EACCES: not for this side to say.  -EINVAL: a field is wrong.
 * -E2BIG: more than its limit.  '*ret_what' (static) names what is wrong. */
int agent_decode(enum agent_side from, const void *data, size_t size, struct agent_message **ret_m,
                 const char **ret_what);

/* The largest frame that 'from' may send. */
size_t agent_frame_max(enum agent_side from);

const char *agent_kind_name(enum agent_kind kind); /* "snapshot", ... */
const char *agent_reason_name(uint32_t reason);    /* "map full"; "unknown reason" */
const char *agent_notice_kind_name(uint32_t kind); /* "tamper", ... */
