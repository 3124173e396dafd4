/* SPDX-License-Identifier: Apache-2.0 */
/* What text/policy.h promises: strictness, places, and a whole model. */
#include "text/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/date.h"
#include "text/report.h"
#include "unit/test.h"

#define RULE_REST ", why: w, owner: o}"

static int read_named(const char *name, const char *text, size_t size, struct diagnostics *d,
                      struct policy **ret)
{
    struct source s = {.name = name, .data = text, .size = size};

    return policy_read(&s, 1, d, ret);
}

/* Reads a policy that must be refused, and returns its first finding's code. */
static const char *code_of(const char *text)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(policy_freep) struct policy *p = NULL;

    if (read_named("p.yaml", text, strlen(text), d, &p) == 0)
        return "accepted";
    assert_null(p);
    assert_true(d->n_errors > 0 && d->n > 0);
    for (size_t i = 0; i < d->n; i++)
        if (code_severity(d->items[i].code) == SEVERITY_ERROR)
            return code_name(d->items[i].code);
    return "no error";
}

static struct policy *good(const char *text)
{
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    struct policy *p = NULL;

    if (read_named("p.yaml", text, strlen(text), d, &p) < 0) {
        struct buf b = BUF_INIT;

        report_text(&b, d, &(struct source){"p.yaml", text, strlen(text)}, 1);
        print_error("%s", buf_str(&b));
        buf_done(&b);
        fail();
    }
    return p;
}

static void a_whole_policy_becomes_numbers(void **state)
{
    (void)state;
    CLEANUP(policy_freep)
    struct policy *p =
        good("suimitsu: 1\n"
             "groups:\n"
             "  web: {match: {app: shop, tier: [web, front]}}\n"
             "  db: {members: [db1, db2]}\n"
             "  net: {outside: [203.0.113.0/24, \"2001:db8::/32\"]}\n"
             "services: {pg: tcp/5432, high: [tcp/49152-65535, udp/53], ping: icmp/echo}\n"
             "mode: {default: test, web: enforce}\n"
             "allow:\n"
             "  - id: shop-db\n"
             "    from: [web]\n"
             "    to: db\n"
             "    process: {exe: /opt/orders}\n"
             "    service: [pg, tcp/22]\n"
             "    user: [\"@ops\", alice]\n"
             "    why: >\n"
             "      orders\n"
             "    owner: shop\n"
             "    expires: 2027-06-30\n");
    const struct rule *r = policy_rule(p, "shop-db");
    const struct group *web = policy_group(p, "web"), *net = policy_group(p, "net");
    int64_t day;

    assert_non_null(r);
    assert_int_equal(web->n_matches, 2);
    assert_int_equal(net->n_prefixes, 2);
    assert_int_equal(net->prefixes[0].length, 120);
    assert_int_equal(r->match.from.n_groups, 1);
    assert_ptr_equal(&p->groups[r->match.from.groups[0]], web);
    assert_int_equal(r->match.n_services, 2);
    assert_int_equal(p->services[r->match.services[0]].ports[0].low, 5432);
    assert_true(p->services[r->match.services[1]].is_inline);
    assert_string_equal(r->match.users[0].name, "ops");
    assert_true(r->match.users[0].is_group);
    assert_false(r->match.users[1].is_group);
    assert_string_equal(r->why, "orders");
    assert_int_equal(date_parse("2027-07-01", &day), 0);
    assert_int_equal(r->expires_s, day);
    assert_true(rule_is_alive(r, day - 1));
    assert_false(rule_is_alive(r, day));
    assert_int_equal(r->place.line, 9);
    assert_int_equal(r->place.column, 9);
    assert_int_equal(p->default_mode, MODE_TEST);
    assert_int_equal(policy_service(p, "ping")->ports[0].protocol, IPPROTO_ICMP);
    assert_int_equal(policy_service(p, "ping")->ports[0].low, 8);
}

static void null_in_json_is_nothing(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(policy_freep) struct policy *p = NULL;
    static const char bad[] =
        "{\"suimitsu\": 1, \"allow\": [{\"id\": \"a\", \"why\": \"w\", \"owner\": null}]}";
    static const char good_text[] =
        "{\"suimitsu\": 1, \"groups\": null, \"allow\": [{\"id\": \"a\", \"why\": \"null\", "
        "\"owner\": \"o\"}]}";

    assert_int_equal(read_named("p.json", bad, strlen(bad), d, &p), -EBADMSG);
    assert_string_equal(d->items[0].message, "nothing for \"owner\"");
    assert_int_equal(read_named("p.json", good_text, strlen(good_text), d, &p), 0);
    assert_string_equal(p->rules[0].why, "null");
}

static void a_proof_is_one_of_three_kinds(void **state)
{
    (void)state;
    CLEANUP(policy_freep)
    struct policy *p = good("suimitsu: 1\n"
                            "groups: {a: {match: {t: a}}, b: {match: {t: b}}}\n"
                            "prove:\n"
                            "  - {no-path: {from: a, to: b}}\n"
                            "  - {path: {from: [a, b], to: any, service: [tcp/22, mdns]}}\n"
                            "  - {only-path: {from: a, to: b, service: udp/53}}\n");

    assert_int_equal(p->n_proofs, 3);
    assert_int_equal(p->proofs[0].kind, PROOF_NO_PATH);
    assert_int_equal(p->proofs[1].kind, PROOF_PATH);
    assert_int_equal(p->proofs[2].kind, PROOF_ONLY_PATH);
    assert_int_equal(p->proofs[0].n_services, 0);
    assert_int_equal(p->proofs[1].n_services, 2);
    assert_int_equal(p->proofs[1].from.n_groups, 2);
    assert_true(p->proofs[1].to.any);
    assert_int_equal(p->services[p->proofs[2].services[0]].ports[0].low, 53);
    assert_int_equal(p->proofs[2].place.line, 6);
}

static void a_proof_of_no_kind_of_two_or_without_both_ends_is_refused(void **state)
{
    (void)state;
    assert_string_equal(code_of("suimitsu: 1\nprove: [{}]\n"), "E-MISSING");
    assert_string_equal(code_of("suimitsu: 1\nprove: [{no-path: {from: any, to: any}, "
                                "path: {from: any, to: any}}]\n"),
                        "E-VALUE");
    assert_string_equal(code_of("suimitsu: 1\nprove: [{nopath: {from: any, to: any}}]\n"),
                        "E-UNKNOWN");
    assert_string_equal(code_of("suimitsu: 1\nprove: [{only-path: {to: any}}]\n"), "E-MISSING");
    assert_string_equal(code_of("suimitsu: 1\nprove: [{path: {from: any}}]\n"), "E-MISSING");
    assert_string_equal(code_of("suimitsu: 1\nprove: [{path: {from: any, to: wbe}}]\n"),
                        "E-UNKNOWN");
}

static void scalars_take_their_type_from_the_schema(void **state)
{
    (void)state;
    CLEANUP(policy_freep)
    struct policy *p =
        good("suimitsu: 1\n"
             "groups: {no: {match: {a: 22:22}}, yes: {match: {b: 010}}, \"1\": {match: {c: ~}}}\n"
             "allow: [{id: 010, from: no, to: yes, why: no, owner: null}]\n");

    assert_string_equal(policy_group(p, "no")->matches[0].values[0], "22:22");
    assert_string_equal(policy_group(p, "yes")->matches[0].values[0], "010");
    assert_string_equal(p->rules[0].id, "010");
    assert_string_equal(p->rules[0].why, "no");
    assert_string_equal(code_of("suimitsu: 01\n"), "E-TYPE");
    assert_string_equal(code_of("suimitsu: \"1\"\n"), "E-TYPE");
    assert_string_equal(code_of("suimitsu: 2\n"), "E-RANGE");
    assert_string_equal(code_of("suimitsu: 1\nservices: {s: tcp/022}\n"), "E-VALUE");
}

static void yaml_that_surprises_is_refused(void **state)
{
    (void)state;
    assert_string_equal(code_of("suimitsu: &a 1\n"), "E-STRICT");
    assert_string_equal(code_of("suimitsu: 1\ngroups: *a\n"), "E-STRICT");
    assert_string_equal(code_of("suimitsu: !!int 1\n"), "E-STRICT");
    assert_string_equal(code_of("suimitsu: 1\ngroups: {<<: {}}\n"), "E-STRICT");
    assert_string_equal(code_of("suimitsu: 1\ngroups: {a: {match: {a: 'x''''''''y'}}}\n"),
                        "E-STRICT");
    assert_string_equal(code_of("suimitsu: 1\n---\nsuimitsu: 1\n"), "E-STRICT");
    assert_string_equal(code_of("suimitsu: 1\nsuimitsu: 1\n"), "E-DUPKEY");
    assert_string_equal(code_of("suimitsu: 1\n\"suimitsu\": 1\n"), "E-DUPKEY");
    assert_string_equal(code_of("suimitsu: 1\ngroup: {}\n"), "E-UNKNOWN");
    assert_string_equal(code_of("suimitsu: 1\ngroups: [\n"), "E-SYNTAX");
    assert_string_equal(code_of(""), "E-MISSING");
    assert_string_equal(code_of("groups: {}\n"), "E-MISSING");
    assert_string_equal(code_of("- a\n"), "E-TYPE");
}

static void names_that_could_lie_or_break_out_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"a'b\"",   "'a\"b'",        "'a;b'",      "'a}b'", "'a b'",
                                      "\"a\\nb\"", "\"a\\u202eb\"", "-a",         "'@a'",  "a/b",
                                      "\"\"",      "'a$b'",         "\"a\\x1bb\""};
    char text[200];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        (void)snprintf(text, sizeof(text), "suimitsu: 1\ngroups: {%s: {match: {a: b}}}\n", bad[i]);
        assert_string_equal(code_of(text), "E-NAME");
    }
    assert_string_equal(code_of("suimitsu: 1\ngroups: {\"a\\0b\": {match: {a: b}}}\n"), "E-TEXT");
    assert_string_equal(code_of("suimitsu: 1 # \xe2\x80\xae hidden\n"), "E-TEXT");
    assert_string_equal(code_of("suimitsu: 1 # \xff\n"), "E-TEXT");
    assert_string_equal(code_of("suimitsu: 1 # \x1b[2J\n"), "E-TEXT");
    assert_string_equal(code_of("suimitsu: 1\ngroups: {any: {match: {a: b}}}\n"), "E-NAME");
}

static void a_nul_byte_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    static const char text[] = "suimitsu: 1\n#\0\n";
    struct policy *p = NULL;

    assert_int_equal(read_named("p.yaml", text, sizeof(text) - 1, d, &p), -EBADMSG);
    assert_int_equal(d->items[0].code, CODE_TEXT);
    assert_int_equal(d->items[0].place.line, 2);
    assert_int_equal(d->items[0].place.column, 2);
}

static void rules_need_what_the_language_says(void **state)
{
    (void)state;
#define HEAD "suimitsu: 1\ngroups: {web: {match: {a: b}}}\n"
    assert_string_equal(code_of(HEAD "allow: [{id: a, why: w}]\n"), "E-MISSING");
    assert_string_equal(code_of(HEAD "allow: [{id: a, owner: w}]\n"), "E-MISSING");
    assert_string_equal(code_of(HEAD "allow: [{id: a, from: wbe" RULE_REST "]\n"), "E-UNKNOWN");
    assert_string_equal(code_of(HEAD "allow: [{id: a, service: htps" RULE_REST "]\n"), "E-UNKNOWN");
    assert_string_equal(code_of(HEAD "allow: [{id: a, from: 10.0.0.1" RULE_REST "]\n"), "E-ADDR");
    assert_string_equal(code_of(HEAD "allow: [{id: a, to: \"fd00::/8\"" RULE_REST "]\n"), "E-ADDR");
    assert_string_equal(code_of(HEAD "allow: [{id: a, to: 10.0.0.1/8" RULE_REST "]\n"), "E-ADDR");
    assert_string_equal(code_of(HEAD "allow: [{id: a, service: tcp/70000" RULE_REST "]\n"),
                        "E-RANGE");
    assert_string_equal(code_of(HEAD "allow: [{id: a, service: tcp/0" RULE_REST "]\n"), "E-RANGE");
    assert_string_equal(code_of(HEAD "allow: [{id: a, service: tcp/9-8" RULE_REST "]\n"),
                        "E-RANGE");
    assert_string_equal(code_of(HEAD "allow: [{id: a, expires: 2027-02-30" RULE_REST "]\n"),
                        "E-VALUE");
    assert_string_equal(code_of(HEAD "allow: [{id: a, from: []" RULE_REST "]\n"), "E-VALUE");
    assert_string_equal(code_of(HEAD "allow: [{id: a, process: orders" RULE_REST "]\n"), "E-VALUE");
    assert_string_equal(code_of(HEAD "allow: [{id: a" RULE_REST ", {id: a" RULE_REST "]\n"),
                        "E-DUPKEY");
    assert_string_equal(code_of(HEAD "allow: [{id: default" RULE_REST "]\n"), "E-NAME");
    assert_string_equal(code_of(HEAD "quarantine: [{id: a, from: web, to: web" RULE_REST "]\n"),
                        "E-VALUE");
    assert_string_equal(code_of(HEAD "quarantine: [{id: a" RULE_REST "]\n"), "E-MISSING");
    assert_string_equal(code_of(HEAD "never: [{id: a, except: {}" RULE_REST "]\n"), "E-MISSING");
    assert_string_equal(code_of(HEAD "never: [{id: a, served-by: /x" RULE_REST "]\n"), "E-UNKNOWN");
    assert_string_equal(code_of("suimitsu: 1\ngroups: {n: {outside: [10.0.0.1/8]}}\n"), "E-VALUE");
    assert_string_equal(code_of("suimitsu: 1\ngroups: {n: {outside: true}}\nmode: {n: test}\n"),
                        "E-VALUE");
    assert_string_equal(code_of("suimitsu: 1\nservices: {s: {ports: tcp/1, modbus: 128}}\n"),
                        "E-RANGE");
    assert_string_equal(code_of("suimitsu: 1\nallow:\n"), "accepted");
}

static void limits_are_errors_with_a_name(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(free_voidp) char *big = xcalloc(SOURCE_MAX + 1, 1);
    struct buf deep = BUF_INIT;
    struct policy *p = NULL;

    memset(big, '#', SOURCE_MAX + 1);
    assert_int_equal(read_named("p.yaml", big, SOURCE_MAX + 1, d, &p), -EBADMSG);
    assert_int_equal(d->items[0].code, CODE_LIMIT);
    buf_puts(&deep, "suimitsu: 1\ngroups: ");
    for (int i = 0; i < SOURCE_DEPTH; i++)
        buf_putc(&deep, '[');
    for (int i = 0; i < SOURCE_DEPTH; i++)
        buf_putc(&deep, ']');
    assert_string_equal(code_of(buf_str(&deep)), "E-LIMIT");
    buf_done(&deep);
}

static void one_run_reports_many_errors_and_the_nearest_names(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    static const char text[] = HEAD "allow:\n"
                                    "  - {id: a, form: web, to: wbe, why: w, owner: o}\n"
                                    "  - {id: b, from: web, to: web, service: mdsn, why: w}\n";
    struct policy *p = NULL;

    assert_int_equal(read_named("p.yaml", text, strlen(text), d, &p), -EBADMSG);
    diagnostics_sort(d);
    assert_int_equal(d->n, 4);
    assert_string_equal(d->items[0].nearest, "from");
    assert_int_equal(d->items[0].place.line, 4);
    assert_int_equal(d->items[0].place.column, 13);
    assert_string_equal(d->items[1].nearest, "web");
    assert_int_equal(d->items[2].code, CODE_MISSING);
    assert_string_equal(d->items[3].nearest, "mdns");
}

static void several_files_make_one_policy(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(policy_freep) struct policy *p = NULL;
    static const char a[] = "suimitsu: 1\ngroups: {web: {match: {a: b}}}\n";
    static const char b[] =
        "{\n\t\"suimitsu\": 1,\n\t\"allow\": [{\"id\": \"x\", \"from\": \"web\","
        " \"why\": \"\\u00e4 \\/\", \"owner\": \"o\"}]\n}\n";
    struct source sources[] = {{"a.yaml", a, sizeof(a) - 1}, {"b.json", b, sizeof(b) - 1}};
    struct policy *again = NULL;

    assert_int_equal(policy_read(sources, 2, d, &p), 0);
    assert_int_equal(p->n_rules, 1);
    assert_string_equal(p->rules[0].why, "\xc3\xa4 /");
    sources[1] = sources[0];
    sources[1].name = "c.yaml";
    assert_int_equal(policy_read(sources, 2, d, &again), -EBADMSG);
    assert_int_equal(d->items[0].code, CODE_DUPKEY);
}

static void json_is_as_strict_as_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum code code;
    } bad[] = {{"{\"suimitsu\": 1, \"suimitsu\": 1}", CODE_DUPKEY},
               {"{\"suimitsu\": 1, \"grops\": {}}", CODE_UNKNOWN},
               {"{\"suimitsu\": \"1\"}", CODE_TYPE},
               {"{suimitsu: 1}", CODE_SYNTAX},
               {"{\"suimitsu\": 1} x", CODE_SYNTAX},
               {"{\"suimitsu\": 1,}", CODE_SYNTAX}};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
        struct policy *p = NULL;

        assert_int_equal(read_named("p.json", bad[i].text, strlen(bad[i].text), d, &p), -EBADMSG);
        assert_int_equal(d->items[0].code, bad[i].code);
    }
}

static void an_inventory_is_a_ledger_without_contradictions(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    CLEANUP(inventory_freep) struct inventory *i = NULL;
    static const char text[] =
        "suimitsu-inventory: 1\n"
        "endpoints:\n"
        "  b: {addresses: [10.0.0.2, \"fd00::2\"], enforcers: [host, edge], state: black}\n"
        "  a: {labels: {app: shop}, addresses: 10.0.0.1, enforcers: none}\n"
        "users: {bob: {groups: [ops, dev]}}\n";
    static const char bad[] = "suimitsu-inventory: 1\n"
                              "endpoints:\n"
                              "  a: {addresses: 10.0.0.1}\n"
                              "  b: {addresses: \"::ffff:10.0.0.1\"}\n"
                              "  c: {addresses: [10.0.0.0/24, 127.0.0.1, \"ff02::1\"]}\n"
                              "  d: {enforcers: [hots]}\n";
    struct source s = {"i.yaml", text, sizeof(text) - 1};
    struct inventory *refused = NULL;

    assert_int_equal(inventory_read(&s, 1, d, &i), 0);
    assert_string_equal(i->endpoints[0].name, "a");
    assert_int_equal(i->endpoints[0].enforcers, 0);
    assert_int_equal(inventory_endpoint(i, "b")->trust, TRUST_BLACK);
    assert_int_equal(inventory_endpoint(i, "b")->n_addresses, 2);
    assert_string_equal(inventory_user(i, "bob")->groups[0], "dev");
    assert_int_equal(inventory_set_trust(i, "a", TRUST_GREY), 0);
    assert_int_equal(i->endpoints[0].trust, TRUST_GREY);
    assert_int_equal(inventory_set_trust(i, "x", TRUST_GREY), -ENOENT);
    s = (struct source){"i.yaml", bad, sizeof(bad) - 1};
    assert_int_equal(inventory_read(&s, 1, d, &refused), -EBADMSG);
    assert_int_equal(d->n_errors, 5);
}

static void a_report_points_at_the_character(void **state)
{
    (void)state;
    CLEANUP(diagnostics_freep) struct diagnostics *d = diagnostics_new();
    static const char text[] = HEAD "allow: [{id: a, from: wbe" RULE_REST "]\n";
    struct source s = {"p.yaml", text, sizeof(text) - 1};
    struct policy *p = NULL;
    struct buf b = BUF_INIT;

    assert_int_equal(policy_read(&s, 1, d, &p), -EBADMSG);
    report_text(&b, d, &s, 1);
    assert_string_equal(buf_str(&b), "p.yaml:3:23: error E-UNKNOWN: no group is named \"wbe\"\n"
                                     "       3 | allow: [{id: a, from: wbe, why: w, owner: o}]\n"
                                     "         |                       ^~~\n"
                                     "         expected: a group of this policy, or any\n"
                                     "         nearest: web\n");
    buf_reset(&b);
    report_json(&b, d);
    assert_non_null(strstr(buf_str(&b), "\"code\":\"E-UNKNOWN\",\"severity\":\"error\","
                                        "\"file\":\"p.yaml\",\"line\":3,\"column\":23"));
    buf_done(&b);
}

static void days_and_instants_are_read_exactly(void **state)
{
    (void)state;
    char text[DATE_TEXT_SIZE];
    int64_t s;

    assert_int_equal(date_parse("1970-01-01", &s), 0);
    assert_int_equal(s, 0);
    assert_int_equal(date_parse_time("2026-11-22T00:52:35Z", &s), 0);
    assert_int_equal(s, 1795308755);
    assert_string_equal(date_format_time(s, text), "2026-11-22T00:52:35Z");
    assert_int_equal(date_parse_time("2026-11-22T09:52:35.5+09:00", &s), 0);
    assert_int_equal(s, 1795308755);
    assert_int_equal(date_parse("2024-02-29", &s), 0);
    assert_string_equal(date_format(s, text), "2024-02-29");
    assert_int_equal(date_parse("2100-02-29", &s), -EINVAL);
    assert_int_equal(date_parse("2026-1-1", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T24:00:00Z", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T00:52", &s), 0); /* As people type it: UTC. */
    assert_int_equal(s, 1795308755 - 35);
    assert_int_equal(date_parse_time("2026-11-22 00:52:35", &s), 0);
    assert_int_equal(s, 1795308755);
    assert_int_equal(date_parse_time("2026-11-22T09:52+09:00", &s), 0);
    assert_int_equal(s, 1795308755 - 35);
    assert_int_equal(date_parse_time("2026-11-22T00:52:", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T00:52:3", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T00:52:35.", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T0052", &s), -EINVAL);
    assert_int_equal(date_parse_time("2026-11-22T00:52Zulu", &s), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_policy_becomes_numbers),
        cmocka_unit_test(null_in_json_is_nothing),
        cmocka_unit_test(a_proof_is_one_of_three_kinds),
        cmocka_unit_test(a_proof_of_no_kind_of_two_or_without_both_ends_is_refused),
        cmocka_unit_test(scalars_take_their_type_from_the_schema),
        cmocka_unit_test(yaml_that_surprises_is_refused),
        cmocka_unit_test(names_that_could_lie_or_break_out_are_refused),
        cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
        cmocka_unit_test(rules_need_what_the_language_says),
        cmocka_unit_test(limits_are_errors_with_a_name),
        cmocka_unit_test(one_run_reports_many_errors_and_the_nearest_names),
        cmocka_unit_test(several_files_make_one_policy),
        cmocka_unit_test(json_is_as_strict_as_yaml),
        cmocka_unit_test(an_inventory_is_a_ledger_without_contradictions),
        cmocka_unit_test(a_report_points_at_the_character),
        cmocka_unit_test(days_and_instants_are_read_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
