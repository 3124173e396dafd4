/* SPDX-License-Identifier: Apache-2.0 */
/* cloud_internal.h - what the files of clouds share; nobody else includes it */
#pragma once

#include "base/table.h"
#include "collect/cloud.h"
#include "collect/pairs.h"

enum { AWS_COLUMNS_MAX = 64 };

struct cloud_ready {
    struct sighting s;
    uint32_t teller;
};

struct cloud {
    enum cloud_format format;
    struct cloud_counts counts;
    struct cloud_problem problems[CLOUD_PROBLEMS_MAX];
    size_t n_problems;

    /* Cutting: lines, or objects of JSON. */
    struct buf piece;
    size_t line, piece_line; /* Of the next byte; where the piece began. */
    size_t column, piece_column;
    size_t depth;
    bool in_text, escaped, too_long, inside; /* inside: the list of an Azure file. */

    int columns[AWS_COLUMNS_MAX]; /* aws.c's: which field stands where. */
    size_t n_columns;

    struct pairs *pairs;
    struct cloud_ready *ready;
    size_t n_ready, first_ready, ready_room;
    char (*tellers)[CLOUD_TELLER_SIZE];
    size_t n_tellers, tellers_room;
    struct table teller_index;
};

/* Counts a malformed piece; 'at' is the offset in it.  'found' may be NULL. */
void cloud_wrong(struct cloud *c, size_t at, const char *what, const char *found, size_t len,
                 const char *expected);
uint32_t cloud_teller_of(struct cloud *c, const char *name, size_t len);
void cloud_hear(struct cloud *c, struct heard *h);

/* Protocol and ports as the cloud tells them, that is without ICMP's type. */
void cloud_ports(struct sighting *s, uint64_t protocol, uint64_t source_port, uint64_t port);

/* One piece; it counts what it is. */
void aws_line(struct cloud *c, const char *line, size_t len);
void azure_record(struct cloud *c, const char *text, size_t len);
void gcp_entry(struct cloud *c, const char *text, size_t len);
