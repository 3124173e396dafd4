/* SPDX-License-Identifier: Apache-2.0 */
/* ruleset.h - an inherited rule set, whatever language it was written in
 *
 * The readers (import/iptables.h, nft.h, ios.h) make this, and everything behind them is written
 * once: what the rules mean (resolve.h), what is wrong with them (finding.h), what they become
 * (draft.h).
 *
 * A rule is a box, the product of five sets, with a verdict.  It judges the packet that opens a
 * connection, since that is what a policy decides: of connection states only "new" matches, of TCP
 * flags only a lone SYN, and rules that let replies through match nothing, because replies of what
 * is allowed pass anyway.  What a policy has no words for (a rate, a source port, a mark) makes a
 * rule 'inexact': it is never carried over, and the ledger says so.
 *
 * Everything lives in the set's arena.  What a stranger can make grow has a limit in enum
 * import_limits, and meeting it is E-LIMIT. */
#pragma once

#include "core/address.h"
#include "core/diagnostics.h"
#include "import/ranges.h"

enum import_limits {
    IMPORT_MAX_SIZE = 4 << 20,   /* Bytes a file. */
    IMPORT_MAX_FILES = 16,       /* Of one import. */
    IMPORT_MAX_RULES = 10000,    /* Rules of all files, each value of a verdict map is one. */
    IMPORT_MAX_CHAINS = 1000,    /* Chains or access lists. */
    IMPORT_MAX_INTERFACES = 200, /* Names and patterns. */
    IMPORT_MAX_DEPTH = 16,       /* Chains that jump to chains. */
    IMPORT_MAX_VISITS = 50000,   /* Rules met on all ways through the chains. */
    IMPORT_MAX_BOXES = 20000,    /* Pieces that the list falls into. */
    IMPORT_MAX_WORK = 8000000,   /* Ranges touched by all set operations. */
    IMPORT_MAX_ENDPOINTS = 2000, /* Proposed endpoints; more hosts stay addresses. */
    IMPORT_MAX_GROUPS = 4000,    /* Groups of the draft. */
    IMPORT_MAX_RANGES = 65536,   /* In one address set. */
    IMPORT_MAX_TEXT = 300,       /* Bytes of a rule that are shown. */
};

enum family { FAMILY_NONE = 0, FAMILY_V4 = 1, FAMILY_V6 = 2, FAMILY_BOTH = 3 };

enum dimension { DIM_IN, DIM_OUT, DIM_SOURCE, DIM_DESTINATION, DIM_SERVICE, N_DIMS };

/* The number line of services: other protocols by their number, ICMP by ICMPv4 type, ICMPv6 types
 * without an ICMPv4 twin, then ports. */
enum service_line {
    SERVICE_OTHER = 0,
    SERVICE_ICMP = 256,
    SERVICE_ICMP6 = 512,
    SERVICE_TCP = 0x10000,
    SERVICE_UDP = 0x20000,
};

struct box {
    struct ranges dim[N_DIMS]; /* Interfaces by number; addresses as 128 bits; services as above. */
};

enum act { ACT_NOTHING, ACT_ACCEPT, ACT_DENY, ACT_JUMP, ACT_GOTO, ACT_RETURN };

struct interface_match { /* Any of the names; "eth*" is a pattern. */
    const char **names;
    size_t n;
    bool negated;
    bool outgoing;
};

struct chain;

struct import_rule {
    struct place place;
    const char *text;    /* As written, cut. */
    const char *same_as; /* Canonical: equal texts are duplicates. */
    const char *number;  /* Of a rule in its chain, for its id; NULL: its line. */
    const char *comment; /* NULL: none. */
    const char *owner;   /* NULL: nobody. */
    const struct chain *chain;
    struct import_rule *first; /* Of those that one written rule became; often itself. */
    enum act act;
    const char *target;       /* Of a jump. */
    const struct chain *to;   /* The target, once linked. */
    struct box match;         /* As far as a policy can say it. */
    bool names_destination;   /* A condition on the destination stands there. */
    const char *inexact;      /* What a policy has no words for; NULL: nothing. */
    const char *loosened;     /* A condition that was dropped on purpose; NULL: none. */
    bool never_opens;         /* Matches no packet that opens a connection. */
    bool by_flags;            /* Lets packets through by their TCP flags. */
    bool by_source_port;      /* Accepts by source port alone. */
    const char *host_network; /* "192.168.128.103/24": a host that is really a network. */
    struct interface_match *interfaces;
    size_t n_interfaces;
    bool limits_interface; /* Some condition on an interface other than lo. */
    bool is_duplicate;     /* Of a rule before it in its chain. */
    bool is_policy;        /* Stands for a chain's policy. */
    /* Counted by resolve(): ways to the rule, ways on which it can match, and on which no rule
     * before it decides all of that; 'covers' are the lines of those that do. */
    size_t n_reached, n_met, n_live;
    const char *covers;
};

enum hook { HOOK_NONE, HOOK_INPUT, HOOK_OUTPUT, HOOK_FORWARD, HOOK_LIST };

struct chain {
    const char *name;
    const char *table; /* "filter"; for nft "inet filter". */
    const char *label; /* For people and ids: "input", "inet filter input". */
    enum family family;
    enum hook hook; /* HOOK_NONE: reached by jumps only. */
    int priority;
    enum act policy; /* Of a base chain: ACT_ACCEPT or ACT_DENY. */
    bool policy_given;
    bool ignored;                    /* Of a table that decides nothing here (nat, mangle). */
    bool applied;                    /* An access list that some interface names. */
    struct import_rule *policy_rule; /* Stands for the policy in findings and drafts. */
    struct place place;
    struct import_rule **rules;
    size_t n, room; /* 'rules' is heap memory until ruleset_free(). */
};

enum effect {
    EFFECT_SAME,     /* Not written, and no verdict differs. */
    EFFECT_NARROWER, /* The draft allows less than the original. */
    EFFECT_WIDER,    /* The draft allows more. */
};

struct ledger_entry {
    const struct import_rule *rule; /* NULL: about the whole. */
    enum effect effect;
    const char *reason;
};

enum finding_code {
    FINDING_DUPLICATE,
    FINDING_SHADOWED,
    FINDING_UNREACHABLE,
    FINDING_HOST_NETWORK,
    FINDING_SOURCE_PORT,
    FINDING_STATELESS,
    FINDING_WIDE,
    FINDING_OWNER,
    N_FINDINGS,
};

struct finding {
    enum finding_code code;
    const struct import_rule *rule;
    const char *message, *fix;
};

struct ruleset {
    struct arena *arena;
    struct diagnostics *d; /* Borrowed: errors of the text. */
    struct chain **chains; /* Heap. */
    size_t n_chains, chains_room;
    size_t n_rules;
    enum family families;    /* Of which the files speak. */
    const char **interfaces; /* Heap; the number of a name is its index; the last set is "other". */
    size_t n_interfaces, interfaces_room;
    struct ledger_entry *ledger;
    size_t n_ledger, ledger_room;
    struct finding *findings;
    size_t n_findings, findings_room;
    bool over_limit; /* Said once. */
};

/* 'd' is borrowed for the set's life. */
struct ruleset *ruleset_new(struct diagnostics *d);
void ruleset_free(struct ruleset *rs);
DEFINE_CLEANUP(struct ruleset, ruleset_free)

/* Text in the arena. */
const char *ruleset_text(struct ruleset *rs, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* At most 'max' bytes of foreign text, made printable. */
const char *ruleset_safe(struct ruleset *rs, const char *s, size_t len, size_t max);

struct chain *ruleset_chain(struct ruleset *rs, const char *table, const char *name,
                            enum family family); /* NULL: there is none. */
struct chain *ruleset_add_chain(struct ruleset *rs, const char *table, const char *name,
                                enum family family, const struct place *place);
/* NULL: over the limit, which was said. */
struct import_rule *ruleset_add_rule(struct ruleset *rs, struct chain *c);

/* Says E-LIMIT once. */
void ruleset_limit(struct ruleset *rs, const struct place *place, const char *what, size_t max);

void ruleset_ledger(struct ruleset *rs, const struct import_rule *rule, enum effect effect,
                    const char *reason);

/* After all files: links jumps, numbers interfaces.  With 'interfaces' ("eth0=any,
 * eth1=10.0.0.0/8+192.168.0.0/16"; NULL: none) a condition on an interface becomes one on
 * addresses.  Errors go to 'd'. */
void ruleset_link(struct ruleset *rs, const char *interfaces);

/* Everything of the family: the addresses, and a box. */
struct ranges family_addresses(struct arena *a, enum family family);
struct box box_of_everything(const struct ruleset *rs, enum family family);
struct ranges services_all(struct arena *a);

point address_point(const struct address *a);
struct address point_address(point p);
struct ranges loopback_addresses(void);
struct ranges multicast_addresses(struct arena *a); /* And broadcast, both families. */

/* "line 7", or "handle 7" where lines say nothing. */
const char *rule_name(struct ruleset *rs, const struct import_rule *r);

const char *finding_code_name(enum finding_code code); /* "W-DUPLICATE" */
const char *effect_name(enum effect effect);           /* "same", "narrower", "wider" */
