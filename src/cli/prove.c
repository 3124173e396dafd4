/* SPDX-License-Identifier: Apache-2.0 */
/* prove.c - policy prove and policy radius: what somebody who owns a box can reach */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "core/reach.h"
#include "core/slices.h"
#include "text/proof_report.h"
#include "text/reach_report.h"

enum { PEAKS = 10, CHANGES_SHOWN = 10, MAX_HOPS = 1000 };

/* Loads a valid policy with its inventory; 'paths' are those of the command line. */
static int load_for(struct loaded *l, const struct invocation *in, const char *command)
{
    int r;

    if (!invocation_value(in, "inventory"))
        return complain(EXIT_USAGE, "%s needs --inventory FILE: it is about every endpoint",
                        command);
    r = load(l, in, false);
    if (r != EXIT_OK && l->d->n)
        print_findings(l);
    return r;
}

static int make_hops(const struct loaded *l, struct hops **ret_h)
{
    if (hops_new(l->world, NULL, ret_h) < 0)
        return complain(EXIT_INVALID, "the services of the policy overlap too often (%d)",
                        SLICES_MAX_SERVICES);
    return EXIT_OK;
}

/* ---- prove ---- */

static int prove_all(const struct invocation *in, const struct policy *p, const struct hops *h)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    size_t held = 0;

    if (wants_document(in)) {
        held = proof_report_all_json(&b, h, NULL);
        print_json_text(in, buf_str(&b));
        return held == p->n_proofs ? EXIT_OK : EXIT_DIFFERS;
    }
    for (size_t i = 0; i < p->n_proofs; i++) {
        struct proof_result r;

        proof_run(h, &p->proofs[i], &r);
        held += r.holds;
        proof_report_text(&b, p, &p->proofs[i], &r);
        proof_result_done(&r);
    }
    (void)printf("%s%zu of %zu proofs hold\n", buf_str(&b), held, p->n_proofs);
    return held == p->n_proofs ? EXIT_OK : EXIT_DIFFERS;
}

static int run_prove(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(hops_freep) struct hops *h = NULL;
    int r = load_for(&l, in, "policy prove");

    if (r != EXIT_OK)
        return r;
    assert(l.policy);
    if (!l.policy->n_proofs)
        return complain(EXIT_NOT_FOUND, "the policy has no proofs; write some, for example "
                                        "prove: [{no-path: {from: GROUP, to: GROUP}}]");
    r = make_hops(&l, &h);
    return r == EXIT_OK ? prove_all(in, l.policy, h) : r;
}

/* ---- radius ---- */

struct radius {
    struct loaded loaded;
    struct hops *hops;
};

static void radius_done(struct radius *r)
{
    hops_free(r->hops);
    loaded_done(&r->loaded);
}

static int radius_load(struct radius *r, const struct invocation *in)
{
    int code = load_for(&r->loaded, in, "policy radius");

    if (code == EXIT_OK)
        code = make_hops(&r->loaded, &r->hops);
    return code;
}

static int find_start(const struct world *w, const char *name, struct reach_start *ret)
{
    int r = reach_start_find(w, name, ret);

    if (r == -ENOTUNIQ)
        return complain(EXIT_USAGE,
                        "\"%s\" is a group and an endpoint; say --from group:%s or "
                        "--from endpoint:%s",
                        name, name, name);
    if (r < 0)
        return complain(EXIT_NOT_FOUND,
                        "\"%s\" for --from; expected a group of the policy or an endpoint of the "
                        "inventory",
                        name);
    return EXIT_OK;
}

static int show_one(const struct invocation *in, const struct radius *r, const char *from,
                    size_t max_hops)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct reach_start s;
    struct reach reach;
    int code = find_start(r->loaded.world, from, &s);

    if (code != EXIT_OK)
        return code;
    reach_of(r->hops, &s, invocation_value(in, "inside") != NULL, &reach);
    if (wants_document(in)) {
        reach_report_json(&b, r->loaded.inventory, &s, &reach, max_hops);
        print_json_text(in, buf_str(&b));
    } else {
        reach_report_text(&b, r->loaded.inventory, &s, &reach, max_hops);
        (void)fputs(buf_str(&b), stdout);
    }
    reach_done(&reach);
    return EXIT_OK;
}

static int show_furthest(const struct invocation *in, const struct radius *r)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct reach_peak peaks[PEAKS];
    size_t n = reach_furthest(r->hops, peaks, PEAKS);

    if (wants_document(in)) {
        reach_report_peaks_json(&b, r->loaded.inventory, peaks, n);
        print_json_text(in, buf_str(&b));
    } else {
        reach_report_peaks_text(&b, r->loaded.inventory, peaks, n);
        (void)fputs(buf_str(&b), stdout);
    }
    return EXIT_OK;
}

static int show_changes(const struct invocation *in, const struct radius *before,
                        const struct radius *after)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct reach_change *changes;
    size_t n = reach_changes(before->hops, after->hops, &changes);

    if (wants_document(in)) {
        reach_report_changes_json(&b, changes, n);
        print_json_text(in, buf_str(&b));
    } else {
        reach_report_changes_text(&b, "", changes, n, CHANGES_SHOWN);
        (void)fputs(buf_str(&b), stdout);
    }
    free(changes);
    return n ? EXIT_DIFFERS : EXIT_OK;
}

static int load_before(struct radius *before, const struct invocation *in, const char *path)
{
    struct invocation one = *in;

    one.args = &path;
    one.n_args = 1;
    if (invocation_value(in, "old-inventory"))
        one.values[0] = invocation_value(in, "old-inventory"); /* --inventory is the first. */
    return radius_load(before, &one);
}

static int run_radius(const struct invocation *in)
{
    CLEANUP(radius_done) struct radius before = {.hops = NULL}, after = {.hops = NULL};
    const char *from = invocation_value(in, "from"), *old = invocation_value(in, "before");
    const char *hops = invocation_value(in, "hops");
    uint64_t max_hops = 0;
    int r;

    if (hops && (number_parse(hops, strlen(hops), MAX_HOPS, &max_hops) < 0 || !max_hops))
        return complain(EXIT_USAGE, "\"%s\" for --hops; expected a number from 1 to %d", hops,
                        MAX_HOPS);
    if ((hops || invocation_value(in, "inside")) && !from)
        return complain(EXIT_USAGE, "--hops and --inside go with --from NAME");
    if (old && from)
        return complain(EXIT_USAGE, "--before compares all groups; leave --from out");
    r = radius_load(&after, in);
    if (r == EXIT_OK && old)
        r = load_before(&before, in, old);
    if (r != EXIT_OK)
        return r;
    if (old)
        return show_changes(in, &before, &after);
    return from ? show_one(in, &after, from, max_hops) : show_furthest(in, &after);
}

/* ---- the table ---- */

static const struct option_spec prove_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};
static const struct option_spec radius_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"from", 'f', "NAME", "the group or endpoint that fell (group:NAME, endpoint:NAME)"},
    {"hops", 0, "N", "no further than this"},
    {"inside", 0, NULL, "nobody comes back from outside"},
    {"before", 0, "PATH", "a former policy: which groups reach more or less now"},
    {"old-inventory", 0, "FILE", "with --before: what the inventory was, if it changed too"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct command commands[] = {
    {.name = "policy prove",
     .arguments = "PATH... --inventory FILE",
     .summary = "work out the policy's proofs",
     .help =
         "Works out each entry of prove: over all endpoints, all services, and any number of\n"
         "hops: whoever owns one box may go on from each that it reaches; its own agent no\n"
         "longer counts.  A proof that fails shows a shortest path with the rules of each hop.\n"
         "\nExit code 0: all hold; 1: one fails; 3: a file is not valid.",
     COMMAND_OPTIONS(prove_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_prove},
    {.name = "policy radius",
     .arguments = "PATH... --inventory FILE",
     .summary = "what the fall of an endpoint or group reaches, hop by hop",
     .help =
         "The blast radius.  With --from: what somebody who owns that endpoint, or any of that\n"
         "group, reaches in 1, 2, ... hops.  Alone: the ten endpoints whose fall reaches\n"
         "furthest.  With --before: the groups that reach more or less than by the former\n"
         "policy, and by how many hops (exit code 1 when there are any).",
     COMMAND_OPTIONS(radius_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_radius},
};

const struct command_table prove_commands = {commands, ARRAY_SIZE(commands)};
