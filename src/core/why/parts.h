/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - inside why.h: ends, conditions, what would fulfil them, a rule of its own */
#pragma once

#include "core/fields.h"
#include "core/why.h"

/* A text on the answer's arena. */
const char *why_text(struct why *y, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The ends of the question; true when the lifeline takes the connection. */
bool why_find_ends(struct why *y, const struct why_question *q);

bool why_has_label(const struct label *labels, size_t n, const struct label_match *m);

/* The groups and the mode that an endpoint of this name would have with these labels; of groups
 * with members 'also' besides (NULL: none). */
void why_suppose_groups(struct why *y, const char *name, const struct label *labels, size_t n,
                        const struct group *also, struct end *end);

/* "tcp/5432", "icmp/8", "protocol 47". */
const char *why_port_text(struct why *y);

struct case_of why_case(const struct why *y);

/* How many conditions keep this rule of a granting layer from matching: those that differ, of these
 * the ends and the service, and those that the question does not tell.  No memory is taken. */
struct why_lacks {
    size_t differing, main, untold;
};
struct why_lacks why_count_lacks(const struct case_of *c, const struct rule *r);

/* Looks at a rule condition by condition. */
struct why_rule why_look_at(struct why *y, const struct case_of *c, const struct rule *r);

/* What would fulfil the conditions that a near rule lacks, and what the verdict would be then;
 * 'rules' are all of the policy. */
void why_fulfil(struct why *y, struct why_rule *near, const struct rule *const rules[]);

void why_add_change(struct why *y, enum why_action action, const char *subject, const char *value,
                    const char *text);

/* Fills in 'allow_like', where a rule can say it. */
void why_write_allow(struct why *y);
