/* SPDX-License-Identifier: Apache-2.0 */
/* hygiene_internal.h - what hygiene.c and hygiene_narrow.c share; nobody else includes it */
#pragma once

#include "base/arena.h"
#include "base/table.h"
#include "core/hygiene.h"

enum fact_kind {
    FACT_FROM, /* value: endpoint */
    FACT_TO,
    FACT_FROM_OUTSIDE, /* value: group */
    FACT_TO_OUTSIDE,
    FACT_UNIT,    /* value: which of the rule's units */
    FACT_PORT,    /* value: protocol << 16 | port, of rules without a service */
    FACT_PROCESS, /* value: which of the rule's */
    FACT_SERVED_BY,
    FACT_USER,
    FACT_SCRIPT, /* value: text; of no rule */
};

struct fact { /* Something of a rule that was seen. */
    struct fact_key {
        uint32_t rule, kind, value;
    } key;
    uint64_t count;
};

struct unit { /* A port of a service, or a long range. */
    struct port_range range;
    uint32_t service; /* Which of the rule's. */
};

struct carrying {      /* What is gathered of one rule. */
    uint64_t first_ms; /* Of its hits; 0: none. */
    struct unit *units;
    size_t n_units, n_ports;
    bool has_units, outside_from, outside_to, odd_protocol;
};

struct hygiene {
    const struct world *w;
    struct hygiene_evidence evidence;
    const char *(*text)(const void *keeper, text_t number);
    const void *keeper;
    struct arena *arena;
    struct hygiene_rule *rules;
    struct carrying *carrying;
    const struct rule **by_id;  /* Sorted. */
    uint32_t *rule_of, *end_of; /* By text: index + 2; 1: none; 0: not looked up yet. */
    size_t n_texts;
    struct fact *facts;
    size_t n_facts, facts_room;
    struct table index;
    size_t n_buckets;
    uint64_t bucket_ms;
    bool over;
};

/* Items and narrow of a rule from its facts, which stand together. */
void hygiene_narrow_rule(struct hygiene *h, struct hygiene_rule *r, const struct fact facts[],
                         size_t n);
