/* SPDX-License-Identifier: Apache-2.0 */
/* cover.h - does everything that one rule takes fall to others, too?
 *
 * What
 * ====
 * A rule is covered by others of one layer when each connection that it takes is taken by one of
 * them: not always the same one.  It is asked over all endpoints and outside ranges, ports,
 * programs, users and functions at once.  Trust states count as if any endpoint could become a
 * suspect and none were one: a rule is not superfluous because of today's quarantine.
 *
 * How
 * ===
 * First some samples: nearly always one of them is taken by nobody else, and that was all.  Else
 * classes that the candidates cannot tell apart are one sort, and each pair of sorts is asked, for
 * each slice, and for each program, user and function that could make a difference.  What a rule
 * means is asked of verdict_judge().
 *
 * Which values make a difference: where the rule lists some, those.  Where it does not, "not told"
 * is the hardest for candidates that grant (none with a condition takes it).  For nevers it is the
 * easiest, so a value that nobody names is asked too, and what their exceptions name.
 *
 * Without an inventory
 * ====================
 * Then "covered" has to hold for every inventory.  One endpoint of each kind in each group alone,
 * and of each in none, stand for all: who is in more groups is taken by more.  Exceptions are where
 * this would be wrong, so nevers with one cover nothing then.
 *
 * Size: a rule that is not covered costs about the rules of its ends' groups; each that is costs
 * sorts times sorts times candidates.  After COVER_MAX_STEPS the answer is COVER_UNKNOWN.
 *
 * Rules of use: borrows the world. */
#pragma once

#include "core/classes.h"
#include "core/list.h"
#include "core/slices.h"

enum { COVER_MAX_STEPS = 1 << 24 };

enum covered {
    COVER_NO,
    COVER_YES,
    COVER_NOTHING, /* The rule takes no connection at all. */
    COVER_UNKNOWN, /* Too much work. */
};

struct cover {
    struct arena *arena;
    const struct world *world; /* The caller's, or that of the endpoints that stand for all. */
    bool has_inventory;
    struct end_classes *classes;
    struct slices *slices;
    struct lists of_service; /* Rules; the last list: those without service. */
    const char **users;      /* people.h */
    size_t n_users;
    struct list kinds; /* Classes: two of each kind. */
    uint64_t n_steps;

    uint32_t *seen; /* By rule, equal to 'stamp'. */
    uint32_t *seen_class;
    uint32_t stamp;
    struct list froms, tos, at_slices; /* Of the rule asked about. */
    struct list near;
};

/* 'extra' groups are told apart, too.  -E2BIG: slices_new(). */
int cover_new(const struct world *w, bool has_inventory, const uint32_t extra[], uint32_t n_extra,
              struct cover **ret_c);
void cover_free(struct cover *c);
DEFINE_CLEANUP(struct cover, cover_free)

/* Is some sample of 'r' taken by no rule of 'layer' but 'r' and those 'excluded' (by index)?  Then
 * it is not covered.  Also true after too many steps: see cover_is_unfinished(). */
bool cover_is_refuted(struct cover *c, const struct rule *r, enum layer layer,
                      const bool *excluded);

/* The rules of 'layer' that meet it somewhere, but 'r' and those excluded. */
void cover_candidates(struct cover *c, const struct rule *r, enum layer layer, const bool *excluded,
                      struct list *ret);

/* Do the rules of 'by' (indices, of one layer) together take all that 'r' takes? */
enum covered cover_by(struct cover *c, const struct rule *r, struct list_view by);

/* The rules whose ends take both classes (any layer, alive or not): each once. */
struct list_view cover_rules_between(struct cover *c, uint32_t from, uint32_t to);

/* Are there two different ends in these classes? */
bool cover_is_pair(const struct cover *c, uint32_t from, uint32_t to);

/* True when some answer is missing because there was too much to do. */
static inline bool cover_is_unfinished(const struct cover *c)
{
    return c->n_steps > COVER_MAX_STEPS;
}
