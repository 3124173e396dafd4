/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and an object; see proof_report.h. */
#include "text/proof_report.h"

#include "text/json.h"

enum { BESIDES_SHOWN = 10 };

static void put_selector(struct buf *b, const struct policy *p, const struct selector *s)
{
    if (s->any)
        buf_puts(b, "any");
    for (size_t i = 0; !s->any && i < s->n_groups; i++)
        buf_printf(b, "%s%s", i ? " or " : "", p->groups[s->groups[i]].name);
}

void proof_write_name(struct buf *b, const struct policy *policy, const struct proof *p)
{
    static const char *const kinds[] = {"no path", "path", "only path"};

    buf_printf(b, "%s from ", kinds[p->kind]);
    put_selector(b, policy, &p->from);
    buf_puts(b, " to ");
    put_selector(b, policy, &p->to);
    for (size_t k = 0; k < p->n_services; k++)
        buf_printf(b, "%s%s", k ? " or " : " by ", policy->services[p->services[k]].name);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

void proof_report_text(struct buf *b, const struct policy *policy, const struct proof *p,
                       const struct proof_result *r)
{
    bool besides = p->kind == PROOF_ONLY_PATH;
    size_t shown = besides && r->n_hops > BESIDES_SHOWN ? BESIDES_SHOWN : r->n_hops;

    buf_puts(b, r->holds ? "holds  " : "FAILS  ");
    proof_write_name(b, policy, p);
    buf_printf(b, " (%s:%u:%u)\n", p->place.file, p->place.line, p->place.column);
    for (size_t i = 0; i < shown; i++) {
        if (besides)
            buf_puts(b, "       also  ");
        else
            buf_printf(b, "       %zu  ", i + 1);
        proof_write_hop(b, &r->hops[i]);
        buf_putc(b, '\n');
    }
    if (shown < r->n_hops)
        buf_printf(b, "       and %zu more\n", r->n_hops - shown);
    buf_printf(
        b,
        "       over %zu endpoint%s and %zu range%s outside, in %zu class%s, by %zu kind%s of "
        "service and %zu rule%s\n",
        r->n_endpoints, plural(r->n_endpoints), r->n_outside, plural(r->n_outside), r->n_classes,
        r->n_classes == 1 ? "" : "es", r->n_slices, plural(r->n_slices), r->n_rules,
        plural(r->n_rules));
}

/* ---- JSON ---- */

static void put_hop(struct buf *b, const struct proof_hop *h)
{
    buf_puts(b, "{\"from\": ");
    json_quote(b, h->from);
    buf_puts(b, ", ");
    json_text(b, "to", h->to);
    buf_puts(b, ", ");
    json_text(b, "service", h->service);
    buf_puts(b, ", ");
    json_text(b, "rule", h->rule ? h->rule->id : NULL);
    buf_puts(b, ", ");
    json_text(b, "process", h->process && h->process[0] ? h->process : NULL);
    buf_puts(b, ", ");
    json_text(b, "user", h->user && h->user[0] ? h->user : NULL);
    buf_printf(b, ", \"only_reported\": %s, \"unenforced\": %s}", h->reported ? "true" : "false",
               h->unenforced ? "true" : "false");
}

void proof_report_json(struct buf *b, const struct policy *policy, const struct proof *p,
                       const struct proof_result *r)
{
    static const char *const kinds[] = {"no-path", "path", "only-path"};
    CLEANUP(buf_done) struct buf name = BUF_INIT;

    proof_write_name(&name, policy, p);
    buf_printf(b, "{\"kind\": \"%s\"", kinds[p->kind]);
    buf_puts(b, ", ");
    json_text(b, "name", buf_str(&name));
    buf_puts(b, ", ");
    json_text(b, "file", p->place.file);
    buf_printf(b, ", \"line\": %u, \"holds\": %s, \"hops\": [", p->place.line,
               r->holds ? "true" : "false");
    for (size_t i = 0; i < r->n_hops; i++) {
        buf_puts(b, i ? ", " : "");
        put_hop(b, &r->hops[i]);
    }
    buf_printf(b,
               "], \"over\": {\"endpoints\": %zu, \"outside_ranges\": %zu, \"classes\": %zu, "
               "\"kinds_of_service\": %zu, \"rules\": %zu}}",
               r->n_endpoints, r->n_outside, r->n_classes, r->n_slices, r->n_rules);
}

size_t proof_report_all_json(struct buf *b, const struct hops *h, struct progress *progress)
{
    const struct policy *p = h->world->policy;
    size_t held = 0;

    buf_putc(b, '[');
    for (size_t i = 0; i < p->n_proofs; i++) {
        struct proof_result r;

        proof_run(h, &p->proofs[i], &r);
        held += r.holds;
        buf_puts(b, i ? ", " : "");
        proof_report_json(b, p, &p->proofs[i], &r);
        proof_result_done(&r);
        progress_step(progress, 1);
    }
    buf_putc(b, ']');
    return held;
}
