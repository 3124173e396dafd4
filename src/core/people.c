/* SPDX-License-Identifier: Apache-2.0 */
/* Each user's list of the references that take him, sorted, is what tells him apart; see people.h.
 */
#include "core/people.h"

struct person {
    const char *name;
    const uint32_t *refs; /* Ascending. */
    size_t n_refs;
};

static int by_ref(const void *a_, const void *b_)
{
    const struct user_ref *a = a_, *b = b_;

    if (a->is_group != b->is_group)
        return a->is_group ? 1 : -1;
    return strcmp(a->name, b->name);
}

static size_t add_refs(struct user_ref *refs, size_t n, const struct match *m)
{
    for (size_t i = 0; m && i < m->n_users; i++, n++)
        if (refs)
            refs[n] = m->users[i];
    return n;
}

static struct user_ref *list_refs(struct arena *a, const struct policy *p, size_t *ret_n)
{
    struct user_ref *refs = NULL;
    size_t n = 0, kept = 0;

    for (int put = 0; put < 2; put++) {
        if (put)
            refs = arena_alloc(a, n, sizeof *refs);
        n = 0;
        for (size_t i = 0; i < p->n_rules; i++) {
            n = add_refs(refs, n, &p->rules[i].match);
            n = add_refs(refs, n, p->rules[i].except);
        }
    }
    qsort(refs, n, sizeof *refs, by_ref);
    for (size_t i = 0; i < n; i++)
        if (!kept || by_ref(&refs[kept - 1], &refs[i]) != 0)
            refs[kept++] = refs[i];
    *ret_n = kept;
    return refs;
}

static bool find_ref(const struct user_ref *refs, size_t n, const char *name, bool is_group,
                     uint32_t *ret_i)
{
    const struct user_ref key = {name, is_group};
    const struct user_ref *found = n ? bsearch(&key, refs, n, sizeof key, by_ref) : NULL;

    if (found)
        *ret_i = (uint32_t)(found - refs);
    return found != NULL;
}

static int by_number(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static struct person person_of(struct arena *a, const struct user_ref *refs, size_t n,
                               const char *name, const struct user *u)
{
    uint32_t *mine = arena_alloc(a, u ? u->n_groups + 1 : 1, sizeof *mine);
    struct person p = {name, mine, 0};

    p.n_refs += find_ref(refs, n, name, false, &mine[p.n_refs]);
    for (size_t i = 0; u && i < u->n_groups; i++)
        p.n_refs += find_ref(refs, n, u->groups[i], true, &mine[p.n_refs]);
    qsort(mine, p.n_refs, sizeof *mine, by_number);
    return p;
}

static int by_refs(const void *a_, const void *b_)
{
    const struct person *a = a_, *b = b_;

    if (a->n_refs != b->n_refs)
        return a->n_refs > b->n_refs ? 1 : -1;
    for (size_t i = 0; i < a->n_refs; i++)
        if (a->refs[i] != b->refs[i])
            return a->refs[i] > b->refs[i] ? 1 : -1;
    return 0;
}

const char **people_apart(struct arena *a, const struct world *w, size_t *ret_n)
{
    const struct inventory *inv = w->inventory;
    size_t n_refs, n = 0;
    struct user_ref *refs = list_refs(a, w->policy, &n_refs);
    struct person *all = arena_alloc(a, inv->n_users + n_refs, sizeof *all);
    const char **names = arena_alloc(a, inv->n_users + n_refs + 1, sizeof *names);

    for (size_t i = 0; i < inv->n_users; i++)
        all[n++] = person_of(a, refs, n_refs, inv->users[i].name, &inv->users[i]);
    for (size_t i = 0; i < n_refs && !refs[i].is_group; i++)
        if (!inventory_user(inv, refs[i].name))
            all[n++] = person_of(a, refs, n_refs, refs[i].name, NULL);
    qsort(all, n, sizeof *all, by_refs);
    names[0] = "";
    *ret_n = 1;
    for (size_t i = 0; i < n; i++)
        if (all[i].n_refs && (i == 0 || by_refs(&all[i - 1], &all[i]) != 0))
            names[(*ret_n)++] = all[i].name;
    return names;
}
