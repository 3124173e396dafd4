/* SPDX-License-Identifier: Apache-2.0 */
/* bulk.h - records straight into ClickHouse, past the keeper's file
 *
 * Through the interface each record is written twice: to the keeper's SQLite file, and from there
 * to ClickHouse.  For a size where that would take an hour of a processor, the rows go to the
 * server at once, in blocks of BULK_BLOCK, with the table and the format of the daemon, and the
 * keeper is told at the end what is there: questions find what the interface would have left. */
#pragma once

#include "store/history.h"

enum { BULK_BLOCK = 1 << 19 };

struct bulk;

struct bulk *bulk_new(struct history *h); /* Of the kind "clickhouse:", and new. */
void bulk_free(struct bulk *b);

/* Records in order of days. */
int bulk_put(struct bulk *b, const struct flow *flows, size_t n);

/* All of it is there, and asked. */
int bulk_end(struct bulk *b);
