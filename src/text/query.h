/* SPDX-License-Identifier: Apache-2.0 */
/* query.h - questions to the verdict and their answers, as JSON
 *
 *     {"from": "web1", "to": "db1", "protocol": "tcp", "port": 5432,
 *      "process": "/opt/shop/bin/orders", "served_by": null, "user": "ops-1", "modbus": 3}
 *     {"from": "10.0.0.1", "to": "db1", "protocol": "icmp", "type": "echo"}
 *
 * To whom the reasons matter (core/why.h) there is more: "service", a service of the policy, of
 * which the first port is asked, or a text like "tcp/5432", instead of protocol and port; and
 * "from_labels" and "to_labels", what an end that the inventory lacks would have:
 *
 *     {"from": "web9", "from_labels": {"app": "shop"}, "to": "db1", "service": "postgres"}
 *
 * null is the same as absent.  tcp and udp need "port", icmp needs "type" (a name or an ICMPv4
 * number); other protocols take neither.  Unknown and repeated fields are errors. */
#pragma once

#include "base/buf.h"
#include "core/why.h"

enum { QUERY_MAX = 65536, QUERY_MAX_LABELS = 64 }; /* Bytes of one query; labels of an end. */

struct query {
    struct verdict_query verdict; /* Its texts belong to 'json'. */
    struct label *from_labels, *to_labels;
    size_t n_from_labels, n_to_labels;
    void *json;
};
void query_done(struct query *q);

/* Reads one query.  -EBADMSG: '*ret_field' (static; "" when it is the whole) is wrong, and 'why'
 * gets a sentence. */
int query_read(const char *s, size_t len, struct query *ret_q, const char **ret_field,
               struct buf *why);

/* Reads one that may name a service of 'p', and labels.  Errors as query_read(). */
int query_read_why(const char *s, size_t len, const struct policy *p, struct query *ret_q,
                   const char **ret_field, struct buf *why);

/* What core/why.h is asked; borrows from 'q'. */
struct why_question query_question(const struct query *q);

/* {"verdict": ..., "layer": ..., "rule": ..., "enforced": ..., "why": [...]}, on one line. */
void answer_write(struct buf *b, const struct verdict_answer *a, const struct sentences *why);

/* {"error": why, "line": line, "field": field} */
void answer_write_error(struct buf *b, size_t line, const char *field, const char *why);
