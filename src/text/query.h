/* SPDX-License-Identifier: Apache-2.0 */
/* query.h - questions to the verdict and their answers, as JSON
 *
 *     {"from": "web1", "to": "db1", "protocol": "tcp", "port": 5432,
 *      "process": "/opt/shop/bin/orders", "served_by": null, "user": "ops-1", "modbus": 3}
 *     {"from": "10.0.0.1", "to": "db1", "protocol": "icmp", "type": "echo"}
 *
 * null is the same as absent.  tcp and udp need "port", icmp needs "type" (a name or an ICMPv4
 * number); other protocols take neither.  Unknown and repeated fields are errors. */
#pragma once

#include "base/buf.h"
#include "core/verdict.h"

enum { QUERY_MAX = 65536 }; /* Bytes of one query. */

struct query {
    struct verdict_query verdict; /* Its texts belong to 'json'. */
    void *json;
};
void query_done(struct query *q);

/* Reads one query.  -EBADMSG: '*ret_field' (static; "" when it is the whole) is wrong, and 'why'
 * gets a sentence. */
int query_read(const char *s, size_t len, struct query *ret_q, const char **ret_field,
               struct buf *why);

/* {"verdict": ..., "layer": ..., "rule": ..., "enforced": ..., "why": [...]}, on one line. */
void answer_write(struct buf *b, const struct verdict_answer *a, const struct sentences *why);

/* {"error": why, "line": line, "field": field} */
void answer_write_error(struct buf *b, size_t line, const char *field, const char *why);
