/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - one record of history: who talked to whom, how, and what was said about it
 *
 * A record stands for all connections of one minute that agree in everything but time, counts and
 * bytes.  It is told by one reporter, who saw one of its ends ('direction': out when he stands at
 * the source); where both ends have an enforcer there are two records, and whoever adds up takes
 * one of the two (flow_counts()).
 *
 * Texts are numbers of a dictionary that belongs to whoever keeps the records; 0 is the empty text.
 * Names are those of 'first_ms', not of today. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "core/program.h"

enum flow_origin {             /* Who says so.  Numbers are kept on disk: only ever added. */
                   FLOW_AGENT, /* The agent at one of the ends. */
                   FLOW_EDGE,  /* An enforcer outside of one of the ends. */
                   FLOW_IPFIX, /* Network gear.  From here on: no enforcers, see flow_word(). */
                   FLOW_NETFLOW5,
                   FLOW_NETFLOW9,
                   FLOW_SFLOW,
                   FLOW_AWS, /* Files of flow logs. */
                   FLOW_AZURE,
                   FLOW_GCP,
                   FLOW_ORIGINS,
};

enum flow_mark {                     /* Bits, kept on disk: only ever added. */
                 FLOW_ENFORCED = 1,  /* The decision was carried out; not for a would-deny. */
                 FLOW_GUESSED = 2,   /* Which end is the client was not told: by the ports. */
                 FLOW_ESTIMATED = 4, /* Counts or bytes stand for samples. */
                 FLOW_RETIMED = 8,   /* Its time was not believed. */
                 FLOW_TWIN = 16,     /* Another enforcer, who knows more, tells of it, too. */
                 FLOW_MARKS_OF_OTHERS = FLOW_GUESSED | FLOW_ESTIMATED | FLOW_RETIMED,
                 FLOW_MARKS_ALL = 31,
};

enum { FLOW_MINUTE_MS = 60000 };

/* What is shown and asked for as the verdict.  An enforcer decides by our rules; network gear and
 * clouds only say that something passed there, or did not, by rules of their own: that is never
 * counted among decisions of ours. */
enum flow_word {
    FLOW_WORD_DENY, /* As enum verdict. */
    FLOW_WORD_ALLOW,
    FLOW_WORD_WOULD_DENY,
    FLOW_WORD_SEEN,      /* Somebody else saw it pass. */
    FLOW_WORD_SEEN_DENY, /* Somebody else refused it, or saw it refused. */
    FLOW_WORDS,
};

typedef uint32_t text_t; /* A text of the keeper's dictionary. */

struct flow {
    struct address source, destination;
    uint64_t first_ms, last_ms; /* Unix time; of enforcers both in the same minute. */
    uint64_t count;             /* Connections, or packets where there is no connection. */
    uint64_t bytes_out;         /* From source to destination. */
    uint64_t bytes_in;
    uint64_t revision; /* Of the policy that decided; 0: unknown. */
    text_t from, to;   /* Endpoints' names; 0: outside, or unknown then. */
    text_t reporter;   /* Endpoint, exporter or file that says so. */
    text_t process;    /* Program file of the reporter's end. */
    text_t script;     /* What that program interprets. */
    text_t user;       /* Whose it is. */
    text_t rule;       /* Id of the deciding rule. */
    uint32_t uid;      /* UINT32_MAX: unknown. */
    uint16_t port;     /* Destination port, or ICMP type in ICMPv4's numbers. */
    uint8_t protocol;  /* IPPROTO_*; ICMPv6 as IPPROTO_ICMP. */
    uint8_t direction; /* enum direction, as the reporter sees it. */
    uint8_t verdict;   /* enum verdict */
    uint8_t layer;     /* enum layer */
    uint8_t origin;    /* enum flow_origin */
    uint8_t marks;     /* enum flow_mark, or-ed */
};

/* Was it told by somebody who is no enforcer of ours? */
static inline bool flow_is_others(const struct flow *f)
{
    return f->origin > FLOW_EDGE;
}

static inline enum flow_word flow_word_of(const struct flow *f)
{
    if (flow_is_others(f))
        return f->verdict == VERDICT_DENY ? FLOW_WORD_SEEN_DENY : FLOW_WORD_SEEN;
    return (enum flow_word)f->verdict;
}

static inline const char *flow_word_name(enum flow_word word)
{
    static const char *const names[FLOW_WORDS] = {"deny", "allow", "would-deny", "seen",
                                                  "seen-deny"};

    return word < FLOW_WORDS ? names[word] : "?";
}

/* Is it this record that counts, or another reporter's about the same connections?  The source's
 * does, where it had an enforcer that reports by then, and of an agent and the edge before it the
 * agent's, who knows programs; a denial always does, since only who denies knows of it, or the
 * destination denies what the source had let pass. */
static inline bool flow_counts(const struct flow *f)
{
    return !(f->marks & FLOW_TWIN) || f->verdict == VERDICT_DENY;
}
