/* SPDX-License-Identifier: Apache-2.0 */
/* export.c - the policy in the words of enforcers that take no programs of ours */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "base/number.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "core/acl.h"
#include "core/compile.h"
#include "core/edge_view.h"
#include "core/nft_rules.h"
#include "sys/file.h"
#include "text/acl_text.h"
#include "text/json.h"

enum { N_LISTS = 4, RULES_SHOWN = 3 };

/* ---- the endpoints at a port ---- */

struct at_port {
    const struct endpoint *endpoints[ACL_MAX_ENDPOINTS];
    struct program *views[ACL_MAX_ENDPOINTS];
    size_t n;
    struct acl *lists[N_LISTS]; /* in 4, out 4, in 6, out 6. */
    size_t n_entries, n_udp_replies;
    bool unnamed_replies;
};

static void at_port_done(struct at_port *p)
{
    for (size_t i = 0; i < p->n; i++)
        program_free(p->views[i]);
    for (size_t i = 0; i < N_LISTS; i++)
        acl_free(p->lists[i]);
}

static bool hangs_at(const struct endpoint *e, const char *at)
{
    size_t len = e->switch_name ? strlen(e->switch_name) : 0;

    return len && strncmp(at, e->switch_name, len) == 0 && at[len] == ':' &&
           strcmp(at + len + 1, e->switch_port) == 0;
}

static int complain_port(const struct inventory *inventory, const char *at)
{
    CLEANUP(buf_done) struct buf best = BUF_INIT;
    struct nearest near = nearest_to(at);

    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];
        CLEANUP(buf_done) struct buf name = BUF_INIT;

        if (!e->switch_name)
            continue;
        buf_printf(&name, "%s:%s", e->switch_name, e->switch_port);
        near.best = NULL;
        nearest_offer(&near, buf_str(&name));
        if (near.best) {
            buf_reset(&best);
            buf_puts(&best, near.best);
        }
    }
    return complain(EXIT_NOT_FOUND,
                    "no endpoint of the inventory hangs at \"%s\"%s%s; expected SWITCH:PORT as in "
                    "an endpoint's switch: {name: SWITCH, port: PORT}",
                    at, best.size ? "; did you mean " : "", buf_str(&best));
}

static int find_endpoints(struct at_port *p, const struct inventory *inventory, const char *at)
{
    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];

        if (!hangs_at(e, at))
            continue;
        if (p->n == ACL_MAX_ENDPOINTS)
            return complain(EXIT_INVALID, "more than %d endpoints hang at %s", ACL_MAX_ENDPOINTS,
                            at);
        if (!(e->enforcers & ENFORCER_SWITCH))
            return complain(EXIT_INVALID,
                            "%s:%u: %s hangs at %s, but its enforcers do not name switch: verdicts "
                            "would say that nobody enforces; add switch to its enforcers",
                            e->place.file, e->place.line, e->name, at);
        p->endpoints[p->n++] = e;
    }
    return p->n ? EXIT_OK : complain_port(inventory, at);
}

/* ---- lists ---- */

static int make_views(struct at_port *p, const struct loaded *l,
                      const struct compile_options *options)
{
    CLEANUP(compiled_freep) struct compiled *c = NULL;
    const char *what = "";
    int r = compile(l->policy, l->inventory, options, &c, &what);

    for (size_t i = 0; r == 0 && i < p->n; i++) {
        CLEANUP(program_freep) struct program *whole = NULL;

        r = compiled_program(c, p->endpoints[i]->name, &whole, &what);
        if (r == 0)
            p->views[i] = edge_view(whole);
    }
    return r < 0 ? complain(EXIT_INVALID, "the policy does not fit a program: %s", what) : EXIT_OK;
}

static int make_lists(struct at_port *p, const char *at)
{
    for (unsigned i = 0; i < N_LISTS; i++) {
        enum acl_way way = i % 2 ? ACL_OUT : ACL_IN;
        int r = acl_new((const struct program *const *)p->views, p->n, way, i >= 2, &p->lists[i]);

        if (r < 0)
            return complain(EXIT_INVALID, "an access list of %s has more than %d entries", at,
                            ACL_MAX_ENTRIES);
        p->n_entries += p->lists[i]->n;
        p->n_udp_replies += p->lists[i]->n_udp_replies;
        p->unnamed_replies = p->unnamed_replies || p->lists[i]->unnamed_replies;
    }
    return EXIT_OK;
}

/* ---- does it fit ---- */

/* The rules with the most entries, in words. */
static void name_largest(const struct at_port *p, struct buf *b)
{
    size_t n_rules = p->views[0]->n_rules;
    CLEANUP(free_voidp) void *memory = xcalloc(n_rules + 1, sizeof(size_t));
    size_t *counts = memory;

    for (size_t k = 0; k < N_LISTS; k++)
        for (size_t i = 0; i < p->lists[k]->n; i++)
            for (unsigned r = 0; r < p->lists[k]->entries[i].n_rules; r++)
                counts[p->lists[k]->entries[i].rules[r]]++;
    for (unsigned shown = 0; shown < RULES_SHOWN; shown++) {
        size_t best = 0;

        for (size_t i = 1; i <= n_rules; i++)
            best = counts[i] > counts[best] ? i : best;
        if (!counts[best])
            return;
        buf_printf(b, "%s%s %zu", shown ? ", " : "; most by rule ", p->views[0]->rules[best - 1].id,
                   counts[best]);
        counts[best] = 0;
    }
}

static int check_size(const struct at_port *p, const char *at, uint64_t max)
{
    CLEANUP(buf_done) struct buf largest = BUF_INIT;

    if (p->n_entries <= max)
        return EXIT_OK;
    name_largest(p, &largest);
    return complain(EXIT_INVALID,
                    "%s needs %zu entries (IPv4: %zu in, %zu out; IPv6: %zu in, %zu out), where "
                    "%llu fit%s; nothing was written",
                    at, p->n_entries, p->lists[0]->n, p->lists[1]->n, p->lists[2]->n,
                    p->lists[3]->n, (unsigned long long)max, buf_str(&largest));
}

/* ---- printing ---- */

static void add_text(struct buf *b, const struct at_port *p, const struct acl_words *w,
                     const char *at)
{
    char names[N_LISTS][ACL_NAME_SIZE];

    buf_printf(b, "! %s: %zu entries\n", at, p->n_entries);
    for (size_t i = 0; i < p->n; i++)
        buf_printf(b, "! endpoint %s\n", p->endpoints[i]->name);
    if (p->unnamed_replies)
        buf_puts(b, "! where a rule names no service, replies of UDP and of protocols without\n"
                    "! ports do not pass: a switch cannot tell them from questions\n");
    for (size_t i = 0; i < N_LISTS; i++)
        acl_text(b, p->lists[i], w, names[i]);
    buf_printf(b, "interface %s\n", strchr(at, ':') + 1);
    for (size_t i = 0; i < N_LISTS; i++)
        acl_text_use(b, p->lists[i], w, names[i]);
    buf_puts(b, "!\n");
}

static void print_json(const struct invocation *in, const struct at_port *p, const char *at,
                       const char *text, uint64_t max)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_puts(&b, "{\"at\":");
    json_quote(&b, at);
    buf_puts(&b, ",\"endpoints\":[");
    for (size_t i = 0; i < p->n; i++)
        buf_printf(&b, "%s\"%s\"", i ? "," : "", p->endpoints[i]->name);
    buf_printf(&b,
               "],\"entries\":{\"total\":%zu,\"in4\":%zu,\"out4\":%zu,\"in6\":%zu,\"out6\":%zu},"
               "\"udp_replies\":%zu,\"unnamed_replies\":%s,\"max_entries\":",
               p->n_entries, p->lists[0]->n, p->lists[1]->n, p->lists[2]->n, p->lists[3]->n,
               p->n_udp_replies, p->unnamed_replies ? "true" : "false");
    if (max == UINT64_MAX)
        buf_puts(&b, "null");
    else
        buf_printf(&b, "%llu", (unsigned long long)max);
    buf_puts(&b, ",\"text\":");
    json_quote(&b, text);
    buf_puts(&b, "}");
    print_json_text(in, buf_str(&b));
}

static int print_acl(const struct invocation *in, const struct at_port *p, enum acl_format format,
                     const struct policy *policy, uint64_t max)
{
    const struct acl_words words = {format, policy, p->views[0]};
    const char *at = invocation_value(in, "at");
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    add_text(&text, p, &words, at);
    if (wants_document(in))
        print_json(in, p, at, buf_str(&text), max);
    else
        (void)fputs(buf_str(&text), stdout);
    if (fflush(stdout) != 0)
        return complain(EXIT_PARTIAL, "cannot write the access lists: %s", strerror(errno));
    (void)fprintf(stderr,
                  "%s: %zu entries (IPv4: %zu in, %zu out; IPv6: %zu in, %zu out); %zu of them let "
                  "UDP pass as replies, asked or not\n",
                  at, p->n_entries, p->lists[0]->n, p->lists[1]->n, p->lists[2]->n, p->lists[3]->n,
                  p->n_udp_replies);
    return EXIT_OK;
}

static int run_acl(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(at_port_done) struct at_port p = {.n = 0};
    const char *at = invocation_value(in, "at"), *text = invocation_value(in, "format");
    const char *max_text = invocation_value(in, "max-entries");
    struct program_lifeline lifeline;
    struct compile_options options = {.revision = 1, .lifeline = &lifeline};
    enum acl_format format = ACL_FORMAT_IOS;
    uint64_t max = UINT64_MAX;
    int r;

    if (!invocation_value(in, "inventory") || !at || !text)
        return complain(EXIT_USAGE, "export acl needs --inventory FILE, --format ios|eos and --at "
                                    "SWITCH:PORT");
    if (acl_format_parse(text, &format) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --format; expected ios or eos", text);
    if (max_text && number_parse(max_text, strlen(max_text), UINT32_MAX, &max) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --max-entries; expected a number", max_text);
    r = get_controller(in, &lifeline, &options.n_lifeline);
    if (r == EXIT_OK)
        r = load_valid(&l, in);
    if (r != EXIT_OK)
        return r;
    assert(l.policy && l.inventory);
    options.now_s = l.now_s;
    r = find_endpoints(&p, l.inventory, at);
    if (r == EXIT_OK)
        r = make_views(&p, &l, &options);
    if (r == EXIT_OK)
        r = make_lists(&p, at);
    if (r == EXIT_OK)
        r = check_size(&p, at, max);
    return r == EXIT_OK ? print_acl(in, &p, format, l.policy, max) : r;
}

/* ---- nft ---- */

static int compile_view(const struct loaded *l, const char *endpoint,
                        const struct compile_options *options, struct program **ret_view)
{
    CLEANUP(compiled_freep) struct compiled *c = NULL;
    CLEANUP(program_freep) struct program *whole = NULL;
    const struct endpoint *e = inventory_endpoint(l->inventory, endpoint);
    const char *what = "";
    int r;

    if (!e)
        return complain(EXIT_NOT_FOUND, "no endpoint of the inventory is named \"%s\"", endpoint);
    if (!(e->enforcers & ENFORCER_NFT))
        return complain(EXIT_INVALID,
                        "%s:%u: the enforcers of %s do not name nft: verdicts would say that it "
                        "does not enforce; add nft to its enforcers",
                        e->place.file, e->place.line, e->name);
    r = compile(l->policy, l->inventory, options, &c, &what);
    if (r == 0)
        r = compiled_program(c, endpoint, &whole, &what);
    if (r < 0)
        return complain(EXIT_INVALID, "the policy does not fit a program: %s", what);
    assert(whole);
    *ret_view = edge_view(whole);
    return EXIT_OK;
}

static int write_text(const char *path, const struct buf *b)
{
    int r = path ? file_write(path, b->data, b->size, 0600) : 0;

    if (r < 0)
        return complain(EXIT_NOT_ALLOWED, "%s: cannot write it: %s", path, strerror(-r));
    if (!path && (fputs(buf_str(b), stdout) == EOF || fflush(stdout) != 0))
        return complain(EXIT_PARTIAL, "cannot write the rules: %s", strerror(errno));
    return EXIT_OK;
}

static int run_nft(const struct invocation *in)
{
    CLEANUP(loaded_done) struct loaded l = {.d = NULL};
    CLEANUP(program_freep) struct program *view = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *endpoint = invocation_value(in, "endpoint");
    struct program_lifeline lifeline;
    struct compile_options options = {.revision = 1, .lifeline = &lifeline};
    int r;

    if (!invocation_value(in, "inventory") || !endpoint)
        return complain(EXIT_USAGE, "export nft needs --inventory FILE and --endpoint NAME");
    r = get_controller(in, &lifeline, &options.n_lifeline);
    if (r == EXIT_OK)
        r = load_valid(&l, in);
    if (r != EXIT_OK)
        return r;
    assert(l.policy && l.inventory);
    options.now_s = l.now_s;
    r = compile_view(&l, endpoint, &options, &view);
    if (r != EXIT_OK)
        return r;
    assert(view);
    if (nft_rules_document(&b, view) < 0)
        return complain(EXIT_INVALID, "the table of %s has more than %d elements", endpoint,
                        NFT_RULES_MAX_ELEMENTS);
    return write_text(
        in->output_text && strcmp(in->output_text, "json") != 0 ? in->output_text : NULL, &b);
}

/* ---- the table ---- */

static const struct option_spec acl_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"format", 0, "ios|eos", "the switch's language"},
    {"at", 0, "SWITCH:PORT", "the port, as the inventory's endpoints name it"},
    {"max-entries", 0, "N", "refuse what needs more entries than this"},
    {"controller", 0, "ADDR:PORT", "the controller, for the lifeline"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct option_spec nft_options[] = {
    {"inventory", 'i', "FILE", "endpoints and users; a file or a folder"},
    {"endpoint", 'e', "NAME", "whose table"},
    {"controller", 0, "ADDR:PORT", "the controller, for the lifeline"},
    {"now", 0, "TIME", "judge at this time (RFC 3339) instead of now"}};

static const struct command commands[] = {
    {.name = "export acl",
     .arguments = "PATH... --inventory FILE --format ios|eos --at SWITCH:PORT",
     .summary = "the access lists of a switch port",
     .help =
         "Prints what the endpoints at a switch port may send and receive as access lists of the\n"
         "switch, IPv4 and IPv6, both ways, and the lines that put them in force.  The number of\n"
         "entries goes to standard error; with --max-entries more are refused (exit code 3).\n"
         "What a list cannot do (remember connections) is told in its remarks and in docs/acl.md.",
     COMMAND_OPTIONS(acl_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .run = run_acl},
    {.name = "export nft",
     .arguments = "PATH... --inventory FILE --endpoint NAME [-o FILE]",
     .summary = "an endpoint's policy as a table of nftables",
     .help = "Prints the table inet suimitsu of a host where eBPF cannot go, for nft -j -f -: it "
             "takes\n"
             "the place of what there is under that name, in one transaction, and touches nothing\n"
             "else.  What nft cannot check (programs, users) is refused by the policy's check.",
     COMMAND_OPTIONS(nft_options),
     .min_args = 1,
     .max_args = SIZE_MAX,
     .output_is_file = true,
     .run = run_nft},
};

const struct command_table export_commands = {commands, ARRAY_SIZE(commands)};
