/* SPDX-License-Identifier: Apache-2.0 */
/* cloud.h - flow logs of clouds: AWS VPC (2 to 5), Azure NSG (1 and 2) and VNet, GCP
 *
 * What
 * ====
 * The bytes of one file go in, in pieces of any size; sightings come out, in an order that depends
 * on nothing but those bytes.  No I/O and no clock.
 *
 *     aws     lines of words; a first line of names says which, else those of version 2
 *     azure   {"records": [{... "flowTuples": ["1542110377,10.0.0.4,...", ...]}, ...]}
 *     gcp     entries of Cloud Logging: one a line, or an array; VPC flows and firewall logs
 *
 * Sources: "Flow log records", docs.aws.amazon.com; "Flow logging for network security groups" and
 * "Virtual network flow logs", learn.microsoft.com; "VPC Flow Logs records" and "Firewall Rules
 * Logging", cloud.google.com.
 *
 * ACCEPT, A and ALLOWED become VERDICT_ALLOW (it passed there), the others VERDICT_DENY.  Both
 * directions that one interface tells become one connection (pairs.h).  What the cloud does not
 * tell is marked: ICMP's type (echo is assumed) and the client are FLOW_GUESSED, what GCP has
 * sampled is FLOW_ESTIMATED.
 *
 * A line or entry that is wrong is counted, told with its place, and left out; the rest goes on.
 *
 * Limits: CLOUD_PIECE_MAX bytes a line or entry; CLOUD_TELLERS_MAX interfaces, the others are
 * "(other)". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "core/sighting.h"

enum cloud_format { CLOUD_AWS, CLOUD_AZURE, CLOUD_GCP, CLOUD_FORMATS };

enum {
    CLOUD_PIECE_MAX = 16 << 20,
    CLOUD_TELLERS_MAX = 4096,
    CLOUD_TELLER_SIZE = 128,
    CLOUD_PROBLEMS_MAX = 20, /* That are told; the others are counted. */
    CLOUD_HELD = 32768,
};

struct cloud_counts {
    uint64_t told;               /* Lines or tuples that were understood. */
    uint64_t no_data, skip_data; /* Of AWS: nothing happened; the cloud lost something. */
    uint64_t other;              /* Entries of other logs. */
    uint64_t malformed;
};

struct cloud_problem {
    size_t line, column; /* From 1. */
    char text[160];      /* What was found and expected; printable. */
};

struct cloud;
struct cloud *cloud_new(enum cloud_format format);
void cloud_free(struct cloud *c);
DEFINE_CLEANUP(struct cloud, cloud_free)

void cloud_feed(struct cloud *c, const char *data, size_t size);
void cloud_end(struct cloud *c); /* Nothing follows. */

/* The next sighting, and which teller it is of. */
bool cloud_next(struct cloud *c, struct sighting *ret_s, uint32_t *ret_teller);
const char *cloud_teller(const struct cloud *c, uint32_t teller);
size_t cloud_tellers(const struct cloud *c);

const struct cloud_counts *cloud_counts(const struct cloud *c);
size_t cloud_problems(const struct cloud *c, const struct cloud_problem **ret_problems);

/* "aws-vpc", "azure-nsg" or "azure-vnet" (a record says which it is), "gcp-vpc"; -EINVAL: none. */
int cloud_format_parse(const char *name, enum cloud_format *ret_format);
