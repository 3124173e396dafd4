/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, linking, linting; see load.h. */
#include "cli/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/date.h"
#include "base/number.h"
#include "core/proof.h"
#include "sys/clock.h"

void loaded_done(struct loaded *l)
{
    world_free(l->world);
    policy_free(l->policy);
    inventory_free(l->inventory);
    diagnostics_free(l->d);
    free(l->sources);
    tree_done(&l->tree);
}

int complain_file(const char *path, int error)
{
    switch (error) {
    case -ENOENT:
        return complain(EXIT_NOT_FOUND, "%s: there is no such file", path);
    case -EACCES:
    case -EPERM:
        return complain(EXIT_NOT_ALLOWED, "%s: not allowed to read it", path);
    case -EFBIG:
        return complain(EXIT_INVALID, "%s: larger than %d bytes", path, SOURCE_MAX);
    case -E2BIG:
        return complain(EXIT_INVALID, "%s: more than %d files", path, SOURCE_FILES);
    case -ENODATA:
        return complain(EXIT_NOT_FOUND, "%s: no .yaml, .yml or .json file in this folder", path);
    default:
        return complain(EXIT_INVALID, "%s: cannot read it: %s", path, strerror(-error));
    }
}

static int read_files(struct loaded *l, const struct invocation *in, const char *inventory)
{
    const char *bad = "";
    int r;

    for (size_t i = 0; i < in->n_args; i++) {
        r = tree_read(&l->tree, in->args[i], SOURCE_FILES, SOURCE_MAX, &bad);
        if (r < 0)
            return complain_file(bad, r);
    }
    l->n_policy = l->tree.n;
    if (inventory) {
        r = tree_read(&l->tree, inventory, (size_t)2 * SOURCE_FILES, SOURCE_MAX, &bad);
        if (r < 0)
            return complain_file(bad, r);
        l->has_inventory = true;
    }
    l->n_sources = l->tree.n;
    l->sources = xcalloc(l->n_sources, sizeof *l->sources);
    for (size_t i = 0; i < l->n_sources; i++)
        l->sources[i] = (struct source){.name = l->tree.files[i].path,
                                        .data = buf_str(&l->tree.files[i].data),
                                        .size = l->tree.files[i].data.size};
    return EXIT_OK;
}

int load(struct loaded *l, const struct invocation *in, bool tests)
{
    const char *now = invocation_value(in, "now");
    size_t errors;
    int r;

    *l = (struct loaded){.d = diagnostics_new(), .now_s = clock_unix_s()};
    if (now && date_parse_time(now, &l->now_s) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --now; expected a time like 2026-11-22T12:00:00Z",
                        now);
    r = read_files(l, in, invocation_value(in, "inventory"));
    if (r != EXIT_OK)
        return r;
    /* Both are read, so that one run shows the errors of both; each has said what is wrong. */
    (void)policy_read(l->sources, l->n_policy, l->d, &l->policy);
    (void)inventory_read(l->sources + l->n_policy, l->n_sources - l->n_policy, l->d, &l->inventory);
    if (l->policy && l->inventory) {
        l->world = world_new(l->policy, l->inventory, l->now_s);
        policy_lint(l->world, l->has_inventory, l->d);
    }
    errors = l->d->n_errors;
    if (!errors && tests && l->has_inventory) {
        l->n_tests_passed = policy_run_tests(l->world, l->d);
        l->n_proofs_held = policy_run_proofs(l->world, l->d);
        l->has_tests_run = true;
    }
    diagnostics_sort(l->d);
    return errors ? EXIT_INVALID : l->d->n_errors ? EXIT_DIFFERS : EXIT_OK;
}

void print_findings(const struct loaded *l)
{
    struct buf b = BUF_INIT;

    report_text(&b, l->d, l->sources, l->n_sources);
    (void)fputs(buf_str(&b), stderr);
    buf_done(&b);
}

int load_valid(struct loaded *l, const struct invocation *in)
{
    int r = load(l, in, false);

    if (r != EXIT_OK && l->d->n)
        print_findings(l);
    return r;
}

/* "10.0.0.9:7443", "[fd00::9]:7443", or an address alone. */
static int parse_controller(const char *s, struct program_lifeline *to)
{
    const char *end = s[0] == '[' ? strchr(s, ']') : strrchr(s, ':');
    bool bare_v6 = s[0] != '[' && end && strchr(s, ':') != end;
    char host[ADDRESS_TEXT_SIZE];
    uint64_t port = DEFAULT_CONTROLLER_PORT;
    const char *from = s[0] == '[' ? s + 1 : s;
    size_t len = end && !bare_v6 ? (size_t)(end - from) : strlen(from);

    if (len >= sizeof(host))
        return -EINVAL;
    memcpy(host, from, len);
    host[len] = 0;
    if (end && !bare_v6) {
        end += s[0] == '[';
        if (*end && (*end != ':' || number_parse(end + 1, strlen(end + 1), 65535, &port) < 0))
            return -EINVAL;
    }
    to->port = (uint16_t)port;
    to->protocol = IPPROTO_TCP;
    return port ? address_parse(host, &to->address) : -EINVAL;
}

int get_controller(const struct invocation *in, struct program_lifeline *to, size_t *ret_n)
{
    const char *s = invocation_value(in, "controller");

    *ret_n = 0;
    if (!s)
        return EXIT_OK;
    if (parse_controller(s, to) < 0)
        return complain(EXIT_USAGE, "\"%s\" for --controller; expected ADDRESS:PORT", s);
    *ret_n = 1;
    return EXIT_OK;
}
