/* SPDX-License-Identifier: Apache-2.0 */
/* Questions from anybody, asked of one policy: what reads is answered with its reasons, in words
 * and as JSON; a verdict that is not the one of verdict() is an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/policy.h"
#include "text/query.h"
#include "text/why_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char policy_text[] =
    "suimitsu: 1\n"
    "groups: {web: {match: {tier: [web, front]}}, db: {match: {tier: db}}, pair: {members: "
    "[db1]},\n"
    "  plc: {match: {kind: plc}}, out: {outside: true}, net: {outside: 203.0.113.0/24}}\n"
    "services: {pg: [tcp/5432, tcp/6432], ping: icmp/echo,\n"
    "  modbus: {ports: tcp/502, modbus: [1, 2]}}\n"
    "quarantine: [{id: q, to: db, service: pg, why: w, owner: o}]\n"
    "never: [{id: n, service: tcp/22, except: {from: web, user: '@ops'}, why: w, owner: o}]\n"
    "allow:\n"
    "  - {id: a, from: web, process: /bin/a, user: u, to: [db, pair], service: pg, why: w, owner: "
    "o}\n"
    "  - {id: b, from: net, to: web, service: tcp/80, expires: 2026-01-01, why: w, owner: o}\n"
    "  - {id: c, to: plc, service: modbus, served-by: /p, accept-weaker: x, why: w, owner: o}\n"
    "mode: {web: test}\n";
static const char inventory_text[] =
    "suimitsu-inventory: 1\n"
    "endpoints:\n"
    "  web1: {labels: {tier: web}, addresses: 10.0.0.1, enforcers: host}\n"
    "  db1: {labels: {tier: db}, addresses: 10.0.0.2, enforcers: [host, edge]}\n"
    "  plc1: {labels: {kind: plc}, addresses: 10.0.0.3}\n"
    "  bad1: {addresses: 10.0.0.4, state: black}\n"
    "users: {u: {groups: [ops]}}\n";

static const struct world *the_world(void)
{
    static struct world *w;
    const struct source policy = {"p.yaml", policy_text, sizeof(policy_text) - 1};
    const struct source inventory = {"i.yaml", inventory_text, sizeof(inventory_text) - 1};
    static struct policy *p;
    static struct inventory *i;

    if (!w) {
        CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();

        if (policy_read(&policy, 1, d, &p) < 0 || inventory_read(&inventory, 1, d, &i) < 0)
            __builtin_trap();
        w = world_new(p, i, 1795305600);
    }
    return w;
}

static void answer(const struct query *q)
{
    const struct why_question question = query_question(q);
    CLEANUP(why_freep) struct why *y = why_new(the_world(), &question);
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct verdict_answer a;
    const char *what;

    if (verdict(the_world(), &q->verdict, &a, &what) == 0 &&
        (a.verdict != y->answer.verdict || a.layer != y->answer.layer || a.rule != y->answer.rule))
        __builtin_trap();
    why_report_text(&b, y);
    why_report_json(&b, y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(query_done) struct query q = {.json = NULL};
    CLEANUP(query_done) struct query plain = {.json = NULL};
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    const char *field;

    if (query_read_why((const char *)data, size, the_world()->policy, &q, &field, &why) == 0)
        answer(&q);
    (void)query_read((const char *)data, size, &plain, &field, &why); /* Whatever it says. */
    return 0;
}
