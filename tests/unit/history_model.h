/* SPDX-License-Identifier: Apache-2.0 */
/* history_model.h - a history as a plain list, and random records and questions to compare with
 *
 * The list keeps texts as texts, so that it can be compared over restarts and between kinds. */
#pragma once

#include "store/history.h"

struct model {
    struct flow *flows; /* Texts are places in 'words'. */
    size_t n, room;
    uint64_t random;
    uint64_t start_ms;
    bool forgot; /* Rules were used by records that are gone. */
};

enum { MODEL_WORDS = 64 };

void model_init(struct model *m, uint64_t seed, uint64_t start_ms);
void model_done(struct model *m);
uint64_t model_random(struct model *m, uint64_t below);
const char *model_word(text_t i); /* "" for 0. */

/* A record of a minute, about 'offset_ms' after the start. */
struct flow model_flow(struct model *m, uint64_t offset_ms);

/* The record with the history's numbers for its texts. */
struct flow model_translate(struct history *h, const struct flow *f);

/* Appends 'n' random records as one batch to the history, and to the list unless it is known. */
int model_append(struct model *m, struct history *h, const char *stream, uint64_t sequence,
                 size_t n, uint64_t offset_ms);

/* As history_retain(): those that began before. */
void model_forget(struct model *m, uint64_t before_ms);

/* Asks both the same random questions; fails the test when answers differ. */
void model_compare(struct model *m, struct history *h, unsigned n_questions);
