/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of agents; see dist.h. */
#include "base/date.h"
#include "controller/dist/internal.h"

static json_t *enforcer_json(const struct dist *d, const char *name, struct session *s,
                             const char *edge)
{
    uint64_t wanted = desired_current(d->desired)->revision;
    char since[DATE_TEXT_SIZE] = "";
    json_t *j;

    if (s)
        (void)date_format_time((int64_t)s->since_s, since);
    j = json_pack("{s:s,s:s,s:I,s:I,s:b,s:s}", "name", name, "state",
                  enforcer_state_name(s ? s->watch.state : ENFORCER_INACTIVE), "wanted",
                  (json_int_t)wanted, "running", (json_int_t)(s ? s->running_revision : 0),
                  "refused", s && s->refused_revision == wanted, "last_result",
                  s ? s->last_result : "");
    if (j && edge)
        (void)json_object_set_new(j, "edge", json_any_text(edge));
    if (!j || !s)
        return j;
    (void)json_object_update_new(
        j,
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:O?,s:O?}", "address", channel_address(s->channel),
                  "since", since, "boot_id", s->boot_id, "kernel", s->kernel, "software",
                  s->software, "trust_sequence", (json_int_t)s->trust_sequence, "lost_flows",
                  (json_int_t)s->lost_flows, "features", s->features, "status", s->status));
    return j;
}

/* Its machine should run an agent, for itself. */
static bool has_agent(const struct endpoint *e)
{
    return (e->enforcers & (ENFORCER_HOST | ENFORCER_NFT)) != 0;
}

json_t *dist_enforcers(struct dist *d, const char *name)
{
    const struct inventory *inventory = desired_current(d->desired)->inventory;
    json_t *array = json_array();

    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];
        struct session *s = dist_live_session(d, e->name, false);
        bool wanted = !name || strcmp(name, e->name) == 0;

        if (name ? wanted : (s && !s->edge_only) || has_agent(e))
            (void)json_array_append_new(array, enforcer_json(d, e->name, s, NULL));
        if (wanted && e->edge && (e->enforcers & ENFORCER_EDGE))
            (void)json_array_append_new(array, enforcer_json(d, e->name,
                                                             dist_live_session(d, e->name, true),
                                                             e->edge->agent.name));
    }
    return array;
}

/* How many agents should stand guard over it. */
static unsigned n_expected(const struct endpoint *e)
{
    return has_agent(e) + ((e->enforcers & ENFORCER_EDGE) && e->edge);
}

void dist_summarise(struct dist *d, struct dist_summary *ret_s)
{
    const struct generation *g = desired_current(d->desired);
    struct dist_summary sum = d->counts;

    for (size_t i = 0; i < g->inventory->n_endpoints; i++)
        sum.n_expected += n_expected(&g->inventory->endpoints[i]);
    for (const struct session *s = d->sessions; s; s = s->next) {
        if (s->stage != LIVE || s->edge_only)
            continue;
        sum.n_connected++;
        sum.n_active += s->watch.state == ENFORCER_ACTIVE;
        sum.n_current += s->running_revision == g->revision;
        sum.n_refused += s->refused_revision == g->revision;
    }
    *ret_s = sum;
}
