/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - many events into few records
 *
 * Events that agree in everything but time, count and bytes become one record.  report_flush()
 * gives them away: denials and what was never seen before every time, the rest when it is a second
 * old. At most REPORT_MAX records wait; when they are that many, they are given away early.
 *
 * Who takes them may be busy: then they wait here.  When there is no more room the oldest goes that
 * is no denial, and is counted: a flood of what is allowed hides no denial, and nothing silently.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ipc.h"
#include "enforce/enforcer.h"

enum { REPORT_MAX = 8192 };
#define REPORT_ALL (UINT64_MAX / 2) /* A time when every record is old. */

struct report;

/* 'give' says whether the record was taken. */
struct report *report_new(bool (*give)(void *arg, const struct ipc_flow *flow), void *arg);
void report_free(struct report *r); /* What waits is dropped; flush before. */

/* 'now_ms': Unix time. */
void report_add(struct report *r, const struct enforcer_flow *f, uint64_t now_ms);
void report_flush(struct report *r, uint64_t now_ms);

/* Before it is forgotten what their rules are called: 'name' sees each that waits, with 'arg' of
 * report_new(), and may set rule_name. */
void report_name_rules(struct report *r, void (*name)(void *arg, struct ipc_flow *flow));

size_t report_waiting(const struct report *r); /* Records. */
uint64_t report_lost(const struct report *r);  /* Records, in all. */

void report_forget_names(struct report *r); /* Accounts changed. */
