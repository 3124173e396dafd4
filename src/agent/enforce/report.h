/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - many events into few records
 *
 * Events that agree in everything but time, count and bytes become one record.  report_flush()
 * gives them away: denials and what was never seen before every time, the rest when it is a second
 * old. At most REPORT_MAX records wait; when they are that many, they are given away early. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/ipc.h"
#include "enforce/enforcer.h"

enum { REPORT_MAX = 8192 };

struct report;

struct report *report_new(void (*give)(void *arg, const struct ipc_flow *flow), void *arg);
void report_free(struct report *r); /* What waits is dropped; flush before. */

/* 'now_ms': Unix time. */
void report_add(struct report *r, const struct enforcer_flow *f, uint64_t now_ms);
void report_flush(struct report *r, uint64_t now_ms);

void report_forget_names(struct report *r); /* Accounts changed. */
