/* SPDX-License-Identifier: Apache-2.0 */
/* flows.h - who talked to whom, as agents report it, with names at both ends
 *
 * The last FLOWS_KEPT records in memory, numbered from 1; older ones are dropped and counted. Names
 * are those of the inventory at arrival.  The long history is for another store, behind this
 * interface. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/desired.h"
#include "wire/agent.h"

enum { FLOWS_KEPT = 50000, FLOWS_PAGE_MAX = 1000 };

struct flows;

struct flows *flows_new(struct desired *desired);
void flows_free(struct flows *f);
DEFINE_CLEANUP(struct flows, flows_free)

/* A batch of an agent about itself; dist has checked that it is. */
void flows_add(struct flows *f, const struct agent_flows *batch);

struct flows_filter {
    const char *from, *to; /* Endpoint names or addresses; NULL: any. */
    const char *verdict;   /* "allow", "deny", "would-deny"; NULL: any. */
    bool denied;           /* deny or would-deny. */
    uint64_t since_ms;     /* Last seen at or after; Unix time. */
    uint64_t after;        /* Number above this one. */
    size_t max;
};

/* Matching records in the order of their numbers, the newest 'max' of them unless 'after' is given,
 * then the oldest.  The caller owns the array. */
json_t *flows_list(const struct flows *f, const struct flows_filter *q);

uint64_t flows_last(const struct flows *f); /* Number of the newest; 0: none. */
