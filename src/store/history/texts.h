/* SPDX-License-Identifier: Apache-2.0 */
/* texts.h - the dictionary: each text of a history has a number, which it keeps
 *
 * Number 0 is the empty text.  When the limits are met, new texts are "(other)", which is counted.
 * One thread adds; any may read (texts_of()) meanwhile. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/table.h"
#include "core/flow.h"
#include "store/history/pile.h"

enum { TEXTS_BYTES_MAX = 256 << 20 };

struct texts {
    struct pile pile; /* const char * by number. */
    struct table index;
    struct arena *arena;
    size_t bytes;
    _Atomic uint32_t n; /* What others may read. */
    uint64_t n_other;
};

void texts_init(struct texts *t);
void texts_done(struct texts *t);

/* The number of a text, a new one if need be. */
text_t texts_number(struct texts *t, const char *text, size_t len);

/* The number of a text that is there; 0: it is not (or empty). */
text_t texts_find(const struct texts *t, const char *text, size_t len);

/* Appends a text that was read back, whatever it is: it gets the next number. */
void texts_add(struct texts *t, const char *text, size_t len);

/* Numbers below 'n' are taken, though their texts were lost: they read "". */
void texts_pad(struct texts *t, uint32_t n);

/* "" for unknown numbers. */
const char *texts_of(const struct texts *t, text_t number);
