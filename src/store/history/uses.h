/* SPDX-License-Identifier: Apache-2.0 */
/* uses.h - first and last use and hits of every rule, as far as records told of it
 *
 * Outlives the records themselves: retention forgets who talked, not that the rule was used. Who
 * holds a reference to the table sees it unchanged: it is copied before the next change. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/reader.h"
#include "base/table.h"
#include "core/flow.h"
#include "store/history.h"

struct uses {
    _Atomic unsigned refs;
    struct uses_rule {
        text_t rule;
        bool dirty; /* Counted since uses_take_dirty(). */
        struct history_use use;
    } * rules;
    size_t n, room;
    struct table index;
};

struct uses *uses_new(void);
struct uses *uses_get(struct uses *u); /* One more reference. */
void uses_put(struct uses *u);

/* Counts records; '*u' may become another table. */
void uses_count(struct uses **u, const struct flow *flows, size_t n);

/* NULL: never. */
const struct history_use *uses_of(const struct uses *u, text_t rule);

/* Those that were counted since the last time; returns how many.  The caller frees them. */
size_t uses_take_dirty(struct uses *u, struct uses_rule **ret_rules);

/* Sets what was read back. */
void uses_set(struct uses *u, text_t rule, const struct history_use *use);

void uses_write(const struct uses *u, struct buf *out);
bool uses_load(struct uses *u, struct reader *r);
