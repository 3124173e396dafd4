/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h - records as bytes, for the journal: each as what differs from the one before
 *
 *     count: varint, then of each record: which fields differ: varint, then those fields, in the
 *     order of enum field in rows.c; times as differences, addresses in 4 or 16 bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/reader.h"
#include "core/flow.h"

void rows_put(struct buf *out, const struct flow *flows, size_t n);

/* Appends to the array; false: not such bytes, or more than 'max' records. */
bool rows_take(struct reader *r, size_t max, struct flow **ret_flows, size_t *ret_n);

/* What every backend takes: times in order and a day apart at most, before the year 10000. */
bool flow_valid(const struct flow *f);
