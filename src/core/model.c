/* SPDX-License-Identifier: Apache-2.0 */
/* Binary searches over sorted tables; see model.h. */
#include "core/model.h"

#include <errno.h>

void policy_free(struct policy *p)
{
    if (p)
        arena_free(p->arena); /* The policy itself lives in it. */
}

void inventory_free(struct inventory *i)
{
    if (i)
        arena_free(i->arena);
}

static int group_by_name(const void *name, const void *g)
{
    return strcmp(name, ((const struct group *)g)->name);
}

static int service_by_name(const void *name, const void *s)
{
    return strcmp(name, ((const struct service *)s)->name);
}

static int endpoint_by_name(const void *name, const void *e)
{
    return strcmp(name, ((const struct endpoint *)e)->name);
}

static int user_by_name(const void *name, const void *u)
{
    return strcmp(name, ((const struct user *)u)->name);
}

static const void *find(const char *name, const void *table, size_t n, size_t size,
                        int (*compare)(const void *, const void *))
{
    return n ? bsearch(name, table, n, size, compare) : NULL;
}

const struct group *policy_group(const struct policy *p, const char *name)
{
    return find(name, p->groups, p->n_groups, sizeof *p->groups, group_by_name);
}

const struct service *policy_service(const struct policy *p, const char *name)
{
    return find(name, p->services, p->n_named_services, sizeof *p->services, service_by_name);
}

const struct rule *policy_rule(const struct policy *p, const char *id)
{
    for (size_t i = 0; i < p->n_rules; i++)
        if (strcmp(p->rules[i].id, id) == 0)
            return &p->rules[i];
    return NULL;
}

const struct endpoint *inventory_endpoint(const struct inventory *i, const char *name)
{
    return find(name, i->endpoints, i->n_endpoints, sizeof *i->endpoints, endpoint_by_name);
}

const struct user *inventory_user(const struct inventory *i, const char *name)
{
    return find(name, i->users, i->n_users, sizeof *i->users, user_by_name);
}

int inventory_set_trust(struct inventory *i, const char *name, enum trust trust)
{
    const struct endpoint *e = inventory_endpoint(i, name);

    if (!e)
        return -ENOENT;
    i->endpoints[e - i->endpoints].trust = trust;
    return 0;
}

bool rule_is_alive(const struct rule *r, int64_t now_s)
{
    return now_s < r->expires_s;
}
