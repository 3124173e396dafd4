/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of policies; see language.h.  Fields stand in the order in which `policy fmt` writes
 * them.  docs/reference.md and the JSON Schema are made from here. */
#include "text/language.h"

#include "core/model.h"
#include "text/fields.h"

static const char *const modes[] = {"learn", "test", "enforce", NULL};
static const char *const verdicts[] = {"allow", "deny", "would-deny", NULL};
static const char *const reserved[] = {"any",   "default", "lifeline", "quarantine",
                                       "glass", "never",   "allow",    NULL};

#define EXPECT_GROUPS "a group, a list of groups, or any"
#define EXPECT_SERVICES "a service, proto/port, proto/low-high, or a list of them"
#define EXPECT_USERS "a user, \"@group\", or a list of them"
#define EXPECT_PORTS "proto/port, proto/low-high, or a list of them"
#define EXPECT_PROGRAM "the path of a program, or {exe: PATH}"
#define EXPECT_DAY "a day, YYYY-MM-DD"
#define EXPECT_END "an endpoint's name, or an address"

/* ---- groups and services ---- */

static const struct field label_match_values = {
    WORDS("match", raw_label_match, values, GRAMMAR_VALUE),
    .expected = "the label's value, or a list of values",
    .about = "The label's value; of a list, any value.",
};
static const struct schema label_match_schema = {
    .title = "a label", .size = sizeof(struct raw_label_match), .brief = &label_match_values};

static const struct field group_fields[] = {
    {MAP("match", raw_group, match, GRAMMAR_NAME, &label_match_schema),
     .expected = "labels, {key: value}",
     .about = "Endpoints that have all of these labels, each with any of its values."},
    {WORDS("members", raw_group, members, GRAMMAR_REF), .may_be_empty = true,
     .expected = "an endpoint's name, or a list of them", .about = "Endpoints by name."},
    {WORDS("outside", raw_group, outside, GRAMMAR_PREFIX), .keyword = "true",
     .expected = "true, or a list of prefixes",
     .about = "Addresses that are no endpoint's: `true` for all of them, or networks."},
};
static const char *const group_kinds[] = {"match", "members", "outside", NULL};
static const struct schema group_schema = {
    .title = "a group",
    SCHEMA(raw_group, group_fields),
    .one_of = group_kinds,
    .one_of_fix = "say which: match: {label: value}, members: [NAME], or outside: true",
    .about = "Endpoints, or addresses outside, under one name. An endpoint may be in many groups."};

static const struct field service_fields[] = {
    {WORDS("ports", raw_service, ports, GRAMMAR_PORT), .required = true, .expected = EXPECT_PORTS,
     .about = "Ports or ICMP types, such as `tcp/443`, `udp/5000-5010`, `icmp/echo`. One entry "
              "means IPv4 and IPv6."},
    {NUMBERS("modbus", raw_service, modbus, 1, MODEL_MAX_MODBUS),
     .about = "Modbus function codes; only these are meant. For tcp and udp."},
};
static const struct schema service_schema = {
    .title = "a service",
    SCHEMA(raw_service, service_fields),
    .brief = &service_fields[0],
    .about = "Ports under one name, perhaps with protocol functions."};

/* ---- rules ---- */

static const struct field program_fields[] = {
    {WORDS("exe", raw_program, exe, GRAMMAR_PATH), .required = true,
     .expected = "a program's path, or a list of paths",
     .about = "The whole path of the program, or several."},
};
static const struct schema program_schema = {.title = "a program",
                                             .size = sizeof(struct raw_program),
                                             FIELDS(program_fields),
                                             .brief = &program_fields[0],
                                             .about = "A program on an endpoint."};

static const struct field learned_fields[] = {
    {WORD("from", raw_learned, from, GRAMMAR_DAY), .required = true, .expected = EXPECT_DAY,
     .about = "First day of the learning window."},
    {WORD("to", raw_learned, to, GRAMMAR_DAY), .required = true, .expected = EXPECT_DAY,
     .about = "Its last day."},
    {NUMBER("flows", raw_learned, flows, 0, INT64_MAX), .about = "How many flows were seen."},
    {WORD("signed", raw_learned, signed_by, GRAMMAR_TEXT), .required = true,
     .expected = "who signed it", .about = "The person who judged and signed the rule."},
};
static const struct schema learned_schema = {
    .title = "learned",
    .size = sizeof(struct raw_learned),
    FIELDS(learned_fields),
    .about = "The evidence of a rule that was learned and then signed by a person."};

#define RULE_ID                                                                                    \
    {                                                                                              \
        WORD("id", raw_rule, id, GRAMMAR_NAME), .required = true, .reserved = reserved,            \
                                                .expected = "the rule's name",                     \
                                                .about = "Unique in the whole policy; verdicts "   \
                                                         "name it."                                \
    }
#define RULE_FROM                                                                                  \
    {                                                                                              \
        WORDS("from", raw_rule, from, GRAMMAR_REF), .expected = EXPECT_GROUPS,                     \
                                                    .about = "Who connects; absent: any."          \
    }
#define RULE_PROCESS                                                                               \
    {                                                                                              \
        OBJECT("process", raw_rule, process, &program_schema),                                     \
            .expected = EXPECT_PROGRAM, .about = "The client's program; of several, any."          \
    }
#define RULE_USER                                                                                  \
    {                                                                                              \
        WORDS("user", raw_rule, user, GRAMMAR_USER_REF),                                           \
            .expected = EXPECT_USERS,                                                              \
            .about = "Who is logged in at the client: a user, or `\"@group\"`."                    \
    }
#define RULE_TO                                                                                    \
    {                                                                                              \
        WORDS("to", raw_rule, to, GRAMMAR_REF), .expected = EXPECT_GROUPS,                         \
                                                .about = "Who is connected to; absent: any."       \
    }
#define RULE_SERVED_BY                                                                             \
    {                                                                                              \
        OBJECT("served-by", raw_rule, served_by, &program_schema),                                 \
            .expected = EXPECT_PROGRAM, .about = "The server's program; of several, any."          \
    }
#define RULE_SERVICE                                                                               \
    {                                                                                              \
        WORDS("service", raw_rule, service, GRAMMAR_SERVICE),                                      \
            .expected = EXPECT_SERVICES,                                                           \
            .about = "By which services or ports; absent: every protocol."                         \
    }
#define RULE_REASONS                                                                               \
    {WORD("why", raw_rule, why, GRAMMAR_TEXT), .required = true,                                   \
     .expected = "the reason, for whoever asks in a year",                                         \
     .about = "The reason, for whoever asks in a year."},                                          \
        {WORD("owner", raw_rule, owner, GRAMMAR_TEXT), .required = true,                           \
         .expected = "who answers for the rule", .about = "Who answers for the rule."},            \
        {WORD("expires", raw_rule, expires, GRAMMAR_DAY), .expected = EXPECT_DAY,                  \
         .about = "The last day (UTC) on which the rule matches."},                                \
    {                                                                                              \
        WORD("accept-weaker", raw_rule, accept_weaker, GRAMMAR_TEXT),                              \
            .expected = "the reason why a check may be missing",                                   \
            .about = "The reason why a condition may count as met where nobody can check it."      \
    }
#define RULE_LEARNED                                                                               \
    {                                                                                              \
        OBJECT("learned", raw_rule, learned, &learned_schema),                                     \
            .expected = "{from: DAY, to: DAY, flows: N, signed: WHO}",                             \
            .about = "Where a learned rule comes from."                                            \
    }

static const struct field except_fields[] = {RULE_FROM, RULE_PROCESS, RULE_USER, RULE_TO,
                                             RULE_SERVICE};
static const struct schema except_schema = {
    .title = "an exception",
    SCHEMA(raw_rule, except_fields),
    .at_least_one = true,
    .about = "Who is not forbidden: applies where all of its fields match. It allows nothing by "
             "itself."};
#define RULE_EXCEPT                                                                                \
    {                                                                                              \
        OBJECT("except", raw_rule, except, &except_schema),                                        \
            .expected = "any of from, process, user, to, service",                                 \
            .about = "The only way round the rule; an allow is still needed."                      \
    }

static const struct field quarantine_fields[] = {RULE_ID,      RULE_FROM,   RULE_PROCESS,
                                                 RULE_USER,    RULE_TO,     RULE_SERVED_BY,
                                                 RULE_SERVICE, RULE_REASONS};
static const char *const quarantine_kinds[] = {"from", "to", NULL};
static const struct schema quarantine_schema = {
    .title = "a quarantine rule",
    SCHEMA(raw_rule, quarantine_fields),
    .block = true,
    .one_of = quarantine_kinds,
    .one_of_fix = "to: what suspects may reach, from: who may reach them; for both write two rules",
    .about =
        "What suspects may still do: `to` says what they may reach, `from` who may reach them."};

static const struct field never_fields[] = {RULE_ID, RULE_FROM,    RULE_PROCESS, RULE_USER,
                                            RULE_TO, RULE_SERVICE, RULE_EXCEPT,  RULE_REASONS};
static const struct schema never_schema = {.title = "a never rule",
                                           SCHEMA(raw_rule, never_fields),
                                           .block = true,
                                           .about = "What nobody may, whatever is allowed below."};

static const struct field allow_fields[] = {RULE_ID,      RULE_FROM,    RULE_PROCESS,
                                            RULE_USER,    RULE_TO,      RULE_SERVED_BY,
                                            RULE_SERVICE, RULE_REASONS, RULE_LEARNED};
static const struct schema allow_schema = {.title = "an allow rule",
                                           SCHEMA(raw_rule, allow_fields),
                                           .block = true,
                                           .about = "What is allowed."};

/* ---- modes, tests, proofs ---- */

static const struct field mode_value = {
    CHOICE("mode", raw_mode, mode, modes),
    .about = "`learn` and `test` only report a default deny; `enforce` denies."};
static const struct schema mode_schema = {
    .title = "a mode", .size = sizeof(struct raw_mode), .brief = &mode_value};

static const struct field test_fields[] = {
    {WORD("from", raw_test, from, GRAMMAR_END), .required = true, .expected = EXPECT_END,
     .about = "Who connects: an endpoint of the inventory, or an address."},
    {OBJECT("process", raw_test, process, &program_schema), .expected = EXPECT_PROGRAM,
     .about = "The client's program; one."},
    {WORD("user", raw_test, user, GRAMMAR_USER), .expected = "a user",
     .about = "Who is logged in at the client."},
    {WORD("to", raw_test, to, GRAMMAR_END), .required = true, .expected = EXPECT_END,
     .about = "Who is connected to: an endpoint, or an address."},
    {OBJECT("served-by", raw_test, served_by, &program_schema), .expected = EXPECT_PROGRAM,
     .about = "The server's program; one."},
    {WORD("service", raw_test, service, GRAMMAR_SERVICE), .required = true,
     .expected = "a service, proto/port, or proto/low-high",
     .about = "A service or ports; the test holds for all of them."},
    {NUMBER("modbus", raw_test, modbus, 1, MODEL_MAX_MODBUS), .about = "The Modbus function code."},
    {CHOICE("expect", raw_test, expect, verdicts), .required = true,
     .about = "The verdict that must come out."},
    {WORD("by", raw_test, by, GRAMMAR_NAME), .expected = "a rule's id, or a layer",
     .about = "Which rule or layer must decide; absent: whichever."},
    {BOOL("enforced", raw_test, enforced),
     .about = "Whether the deny must be enforced; with `no`, would-deny counts as deny."},
};
static const struct schema test_schema = {
    .title = "a test",
    SCHEMA(raw_test, test_fields),
    .about = "A connection and the verdict that it must get; `policy check --inventory` asks."};

static const struct field path_fields[] = {
    {WORDS("from", raw_path, from, GRAMMAR_REF), .required = true, .expected = EXPECT_GROUPS,
     .about = "Where the way begins."},
    {WORDS("to", raw_path, to, GRAMMAR_REF), .required = true, .expected = EXPECT_GROUPS,
     .about = "Where it ends."},
    {WORDS("service", raw_path, service, GRAMMAR_SERVICE), .expected = EXPECT_SERVICES,
     .about = "By which services; absent: every protocol."},
};
static const struct schema path_schema = {.title = "a path", SCHEMA(raw_path, path_fields)};
static const struct field proof_fields[] = {
    {OBJECT("no-path", raw_proof, no_path, &path_schema),
     .expected = "{from: GROUPS, to: GROUPS, service: SERVICES}",
     .about = "Nobody in `from` can reach `to`, over any number of hops."},
    {OBJECT("path", raw_proof, path, &path_schema),
     .expected = "{from: GROUPS, to: GROUPS, service: SERVICES}",
     .about = "Somebody in `from` can reach somebody in `to`."},
    {OBJECT("only-path", raw_proof, only_path, &path_schema),
     .expected = "{from: GROUPS, to: GROUPS, service: SERVICES}",
     .about = "Nobody outside of `from` can reach `to`."},
};
static const char *const proof_kinds[] = {"no-path", "path", "only-path", NULL};
static const struct schema proof_schema = {
    .title = "a proof",
    SCHEMA(raw_proof, proof_fields),
    .one_of = proof_kinds,
    .one_of_fix = "write an item of its own for each proof",
    .about = "What must hold for all endpoints of its groups and all packets."};

static const struct field policy_fields[] = {
    {NUMBER("suimitsu", raw_policy, version, 1, 1), .required = true,
     .expected = "1, the version of the language", .about = "The version of the language: 1."},
    {MAP("groups", raw_policy, groups, GRAMMAR_REF, &group_schema), .may_be_empty = true,
     .reserved = reserved, .about = "Names for endpoints and for addresses outside."},
    {MAP("services", raw_policy, services, GRAMMAR_NAME, &service_schema), .may_be_empty = true,
     .about = "Names for ports."},
    {OBJECTS("quarantine", raw_policy, quarantine, &quarantine_schema),
     .about = "What counts, and nothing else, when one end is a suspect."},
    {OBJECTS("never", raw_policy, never, &never_schema), .about = "What nobody may."},
    {OBJECTS("allow", raw_policy, allow, &allow_schema),
     .about = "What is allowed; an empty list means nothing is."},
    {MAP("mode", raw_policy, mode, GRAMMAR_REF, &mode_schema), .may_be_empty = true,
     .about = "How far the roll-out is, by group; `default` is for endpoints without an entry."},
    {OBJECTS("tests", raw_policy, tests, &test_schema), .about = "Connections and their verdicts."},
    {OBJECTS("prove", raw_policy, prove, &proof_schema), .about = "What must hold always."},
};
const struct schema policy_schema = {.title = "a policy",
                                     .size = sizeof(struct raw_policy),
                                     FIELDS(policy_fields),
                                     .block = true,
                                     .about = "Who may talk to whom, in names."};
