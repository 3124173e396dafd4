/* SPDX-License-Identifier: Apache-2.0 */
/* All endpoints of a port; see core/acl.h. */
#include <errno.h>

#include "core/acl/fixed.h"
#include "core/acl/list.h"

/* The fewest prefixes for the programs' own addresses of the family. */
static void own_prefixes(const struct program *const views[], const uint32_t *like, uint32_t which,
                         size_t n, bool v6, struct prefixes *to)
{
    struct prefixes own = {.items = NULL};
    uint8_t *status;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; like[i] == which && k < views[i]->n_addresses; k++) {
            const struct program_address *a = &views[i]->addresses[k];

            if (a->self && address_is_v4(&a->address) != v6)
                prefixes_add(&own, &a->address, a->length);
        }
    fixed_sort(&own, v6);
    status = xcalloc(own.n, 1);
    memset(status + 1, COVER_YES, own.n - 1); /* The first is everything. */
    cover(own.items, status, own.n, to);
    free(status);
    prefixes_done(&own);
}

static int add_list(struct acl *a, const struct making *m, const struct prefixes *own)
{
    for (size_t k = 0; k < own->n; k++)
        for (size_t i = 0; i < m->n; i++) {
            if (a->n == ACL_MAX_ENTRIES)
                return -E2BIG;
            GROW(a->entries, a->n, a->room);
            a->entries[a->n] = m->entries[i];
            a->entries[a->n++].local = own->items[k];
            a->n_udp_replies += m->entries[i].section == ACL_REPLY_UDP;
        }
    a->unnamed_replies = a->unnamed_replies || m->unnamed_replies;
    return 0;
}

static int add_lists(struct acl *a, const struct program *const views[], const struct making *lists,
                     const uint32_t *like, size_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct prefixes own = {.items = NULL};
        int r = 0;

        if (like[i] == i) {
            own_prefixes(views, like, i, n, a->v6, &own);
            fixed_lifeline(a, views[i], &own);
            r = add_list(a, &lists[i], &own);
        }
        prefixes_done(&own);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_all(struct acl *a, const struct program *const views[], struct remote_rows *rows,
                    struct making *lists, uint32_t *like, size_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int r;

        remote_rows_init(&rows[i], views[i], a->v6);
        r = making_init(&lists[i], &rows[i], a->way);
        if (r < 0)
            return r;
        like[i] = i;
        for (uint32_t k = 0; k < i && like[i] == i; k++)
            if (like[k] == k && making_same(&lists[k], &lists[i]) &&
                fixed_is_controller(views[k]) == fixed_is_controller(views[i]))
                like[i] = k;
    }
    fixed_begin(a);
    return add_lists(a, views, lists, like, n);
}

int acl_new(const struct program *const views[], size_t n, enum acl_way way, bool v6,
            struct acl **ret_acl)
{
    CLEANUP(acl_freep) struct acl *a = xcalloc(1, sizeof *a);
    struct remote_rows *rows;
    struct making *lists;
    uint32_t *like;
    int r;

    a->way = way;
    a->v6 = v6;
    rows = xcalloc(n, sizeof *rows);
    lists = xcalloc(n, sizeof *lists);
    like = xcalloc(n, sizeof *like);
    r = make_all(a, views, rows, lists, like, n);
    for (size_t i = 0; i < n; i++) {
        making_done(&lists[i]);
        remote_rows_done(&rows[i]);
    }
    free(rows);
    free(lists);
    free(like);
    if (r < 0)
        return r;
    fixed_end(a);
    *ret_acl = TAKE_PTR(a);
    return 0;
}

void acl_free(struct acl *a)
{
    if (!a)
        return;
    free(a->entries);
    free(a);
}
