/* SPDX-License-Identifier: Apache-2.0 */
/* slices.h - the ports, ICMP types and protocol functions that services tell apart
 *
 * Between two numbers where some service begins or ends, all ports are alike; and all such
 * stretches that the same services hold are one slice.  Slice 0 is what no service names, other
 * protocols among it: only rules without service take it.  Within a slice, protocol functions that
 * the same services name are alike too, and one of them stands for all; function 0 stands for what
 * no service names.
 *
 * Size: for r port ranges in services, O(r log r) time and about 40 r bytes, plus 4 bytes for each
 * service of each slice, of which there are at most SLICES_MAX_SERVICES. */
#pragma once

#include "core/classes.h"

enum { SLICES_MAX_SERVICES = 1 << 24 };

struct slice_range {
    uint8_t protocol;   /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP */
    uint16_t low, high; /* Ports, or ICMPv4 types. */
    uint32_t slice;
};

struct slices {
    struct arena *arena;
    const struct policy *policy;
    size_t n;                   /* Slice 0 included. */
    struct slice_range *ranges; /* By protocol and port; what is missing belongs to slice 0. */
    size_t n_ranges;
    uint32_t *example;       /* A range of each slice; slice 0 has none. */
    struct lists services;   /* Of each slice, ascending. */
    struct lists of_service; /* The slices of each service, ascending. */
    struct lists functions;  /* Of each slice: functions that stand for all; 0 is always there. */
};

/* -E2BIG: more than SLICES_MAX_SERVICES. */
int slices_new(const struct policy *p, struct slices **ret_s);
void slices_free(struct slices *s);
DEFINE_CLEANUP(struct slices, slices_free)

/* The slice of a port; 0 when no service names it. */
uint32_t slices_find(const struct slices *s, uint8_t protocol, uint16_t port);

/* True when the service takes the slice, whatever the function. */
bool slices_in_service(const struct slices *s, uint32_t slice, uint32_t service);

/* A protocol and port of the slice. For slice 0 a protocol that no service can name. */
void slices_example(const struct slices *s, uint32_t slice, uint8_t *ret_protocol,
                    uint16_t *ret_port);
