/* SPDX-License-Identifier: Apache-2.0 */
/* The tables; see language.h.  docs/policy.md is their manual. */
#include "text/language.h"

#include "core/model.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define FIELDS(table) .fields = (table), .n_fields = ARRAY_SIZE(table)

static const char *const modes[] = {"learn", "test", "enforce", NULL};
static const char *const verdicts[] = {"allow", "deny", "would-deny", NULL};
static const char *const states[] = {"white", "grey", "black", NULL};

#define EXPECT_GROUPS "a group, a list of groups, or any"
#define EXPECT_SERVICES "a service, proto/port, proto/low-high, or a list of them"
#define EXPECT_USERS "a user, \"@group\", or a list of them"

/* ---- groups and services ---- */

static const struct field label_match_values = {.name = "match",
                                                .kind = FIELD_WORDS,
                                                AT(raw_label_match, values),
                                                .grammar = GRAMMAR_VALUE,
                                                .expected =
                                                    "the label's value, or a list of values"};
static const struct schema label_match_schema = {
    .title = "a label", .size = sizeof(struct raw_label_match), .brief = &label_match_values};

static const struct field group_fields[] = {
    {.name = "match",
     .kind = FIELD_MAP,
     AT(raw_group, match),
     .grammar = GRAMMAR_NAME,
     .sub = &label_match_schema,
     .expected = "labels, {key: value}"},
    {.name = "members",
     .kind = FIELD_WORDS,
     AT(raw_group, members),
     .grammar = GRAMMAR_REF,
     .may_be_empty = true,
     .expected = "an endpoint's name, or a list of them"},
    {.name = "outside",
     .kind = FIELD_WORDS,
     AT(raw_group, outside),
     .grammar = GRAMMAR_ANY,
     .expected = "true, or a list of prefixes"},
};
static const struct schema group_schema = {.title = "a group",
                                           .size = sizeof(struct raw_group),
                                           .place_offset = offsetof(struct raw_group, place),
                                           FIELDS(group_fields)};

static const struct field service_fields[] = {
    {.name = "ports",
     .kind = FIELD_WORDS,
     AT(raw_service, ports),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "proto/port, proto/low-high, or a list of them"},
    {.name = "modbus",
     .kind = FIELD_NUMBERS,
     AT(raw_service, modbus),
     .low = 1,
     .high = MODEL_MAX_MODBUS},
};
static const struct schema service_schema = {.title = "a service",
                                             .size = sizeof(struct raw_service),
                                             .place_offset = offsetof(struct raw_service, place),
                                             FIELDS(service_fields),
                                             .brief = &service_fields[0]};

/* ---- rules ---- */

static const struct field program_fields[] = {
    {.name = "exe",
     .kind = FIELD_WORDS,
     AT(raw_program, exe),
     .grammar = GRAMMAR_PATH,
     .required = true,
     .expected = "a program's path, or a list of paths"},
};
static const struct schema program_schema = {.title = "a program",
                                             .size = sizeof(struct raw_program),
                                             FIELDS(program_fields),
                                             .brief = &program_fields[0]};

static const struct field learned_fields[] = {
    {.name = "from",
     .kind = FIELD_WORD,
     AT(raw_learned, from),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "a day, YYYY-MM-DD"},
    {.name = "to",
     .kind = FIELD_WORD,
     AT(raw_learned, to),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "a day, YYYY-MM-DD"},
    {.name = "flows", .kind = FIELD_NUMBER, AT(raw_learned, flows), .low = 0, .high = INT64_MAX},
    {.name = "signed",
     .kind = FIELD_WORD,
     AT(raw_learned, signed_by),
     .grammar = GRAMMAR_TEXT,
     .required = true,
     .expected = "who signed it"},
};
static const struct schema learned_schema = {
    .title = "learned", .size = sizeof(struct raw_learned), FIELDS(learned_fields)};

#define RULE_FROM                                                                                  \
    {                                                                                              \
        .name = "from", .kind = FIELD_WORDS, AT(raw_rule, from), .grammar = GRAMMAR_REF,           \
        .expected = EXPECT_GROUPS                                                                  \
    }
#define RULE_TO                                                                                    \
    {                                                                                              \
        .name = "to", .kind = FIELD_WORDS, AT(raw_rule, to), .grammar = GRAMMAR_REF,               \
        .expected = EXPECT_GROUPS                                                                  \
    }
#define RULE_SERVICE                                                                               \
    {                                                                                              \
        .name = "service", .kind = FIELD_WORDS, AT(raw_rule, service), .grammar = GRAMMAR_ANY,     \
        .expected = EXPECT_SERVICES                                                                \
    }
#define RULE_PROCESS                                                                               \
    {                                                                                              \
        .name = "process", .kind = FIELD_OBJECT, AT(raw_rule, process), .sub = &program_schema     \
    }
#define RULE_SERVED_BY                                                                             \
    {                                                                                              \
        .name = "served-by", .kind = FIELD_OBJECT, AT(raw_rule, served_by), .sub = &program_schema \
    }
#define RULE_USER                                                                                  \
    {                                                                                              \
        .name = "user", .kind = FIELD_WORDS, AT(raw_rule, user), .grammar = GRAMMAR_USER_REF,      \
        .expected = EXPECT_USERS                                                                   \
    }
#define RULE_HEAD                                                                                  \
    {.name = "id",                                                                                 \
     .kind = FIELD_WORD,                                                                           \
     AT(raw_rule, id),                                                                             \
     .grammar = GRAMMAR_NAME,                                                                      \
     .required = true},                                                                            \
        {.name = "why",                                                                            \
         .kind = FIELD_WORD,                                                                       \
         AT(raw_rule, why),                                                                        \
         .grammar = GRAMMAR_TEXT,                                                                  \
         .required = true,                                                                         \
         .expected = "the reason, for whoever asks in a year"},                                    \
        {.name = "owner",                                                                          \
         .kind = FIELD_WORD,                                                                       \
         AT(raw_rule, owner),                                                                      \
         .grammar = GRAMMAR_TEXT,                                                                  \
         .required = true,                                                                         \
         .expected = "who answers for the rule"},                                                  \
        {.name = "expires",                                                                        \
         .kind = FIELD_WORD,                                                                       \
         AT(raw_rule, expires),                                                                    \
         .grammar = GRAMMAR_ANY,                                                                   \
         .expected = "a day, YYYY-MM-DD"},                                                         \
    {                                                                                              \
        .name = "accept-weaker", .kind = FIELD_WORD, AT(raw_rule, accept_weaker),                  \
        .grammar = GRAMMAR_TEXT, .expected = "the reason why a check may be missing"               \
    }
#define RULE_LEARNED                                                                               \
    {                                                                                              \
        .name = "learned", .kind = FIELD_OBJECT, AT(raw_rule, learned), .sub = &learned_schema     \
    }

static const struct field except_fields[] = {RULE_FROM, RULE_TO, RULE_SERVICE, RULE_PROCESS,
                                             RULE_USER};
static const struct schema except_schema = {.title = "an exception",
                                            .size = sizeof(struct raw_rule),
                                            .place_offset = offsetof(struct raw_rule, place),
                                            FIELDS(except_fields)};
#define RULE_EXCEPT                                                                                \
    {                                                                                              \
        .name = "except", .kind = FIELD_OBJECT, AT(raw_rule, except), .sub = &except_schema        \
    }

static const struct field quarantine_fields[] = {
    RULE_HEAD, RULE_FROM, RULE_TO, RULE_SERVICE, RULE_PROCESS, RULE_SERVED_BY, RULE_USER};
static const struct schema quarantine_schema = {.title = "a quarantine rule",
                                                .size = sizeof(struct raw_rule),
                                                .place_offset = offsetof(struct raw_rule, place),
                                                FIELDS(quarantine_fields)};

static const struct field never_fields[] = {RULE_HEAD,    RULE_FROM, RULE_TO,    RULE_SERVICE,
                                            RULE_PROCESS, RULE_USER, RULE_EXCEPT};
static const struct schema never_schema = {.title = "a never rule",
                                           .size = sizeof(struct raw_rule),
                                           .place_offset = offsetof(struct raw_rule, place),
                                           FIELDS(never_fields)};

static const struct field allow_fields[] = {RULE_HEAD,    RULE_FROM,      RULE_TO,   RULE_SERVICE,
                                            RULE_PROCESS, RULE_SERVED_BY, RULE_USER, RULE_LEARNED};
static const struct schema allow_schema = {.title = "an allow rule",
                                           .size = sizeof(struct raw_rule),
                                           .place_offset = offsetof(struct raw_rule, place),
                                           FIELDS(allow_fields)};

/* ---- modes, tests, proofs ---- */

static const struct field mode_value = {
    .name = "mode", .kind = FIELD_CHOICE, AT(raw_mode, mode), .choices = modes};
static const struct schema mode_schema = {
    .title = "a mode", .size = sizeof(struct raw_mode), .brief = &mode_value};

static const struct field test_fields[] = {
    {.name = "from",
     .kind = FIELD_WORD,
     AT(raw_test, from),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "an endpoint's name, or an address"},
    {.name = "to",
     .kind = FIELD_WORD,
     AT(raw_test, to),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "an endpoint's name, or an address"},
    {.name = "service",
     .kind = FIELD_WORD,
     AT(raw_test, service),
     .grammar = GRAMMAR_ANY,
     .required = true,
     .expected = "a service, proto/port, or proto/low-high"},
    {.name = "process", .kind = FIELD_OBJECT, AT(raw_test, process), .sub = &program_schema},
    {.name = "served-by", .kind = FIELD_OBJECT, AT(raw_test, served_by), .sub = &program_schema},
    {.name = "user",
     .kind = FIELD_WORD,
     AT(raw_test, user),
     .grammar = GRAMMAR_USER,
     .expected = "a user"},
    {.name = "modbus",
     .kind = FIELD_NUMBER,
     AT(raw_test, modbus),
     .low = 1,
     .high = MODEL_MAX_MODBUS},
    {.name = "expect",
     .kind = FIELD_CHOICE,
     AT(raw_test, expect),
     .choices = verdicts,
     .required = true},
    {.name = "by",
     .kind = FIELD_WORD,
     AT(raw_test, by),
     .grammar = GRAMMAR_NAME,
     .expected = "a rule's id, or a layer"},
    {.name = "enforced", .kind = FIELD_BOOL, AT(raw_test, enforced)},
};
static const struct schema test_schema = {.title = "a test",
                                          .size = sizeof(struct raw_test),
                                          .place_offset = offsetof(struct raw_test, place),
                                          FIELDS(test_fields)};

static const struct field path_fields[] = {
    {.name = "from",
     .kind = FIELD_WORDS,
     AT(raw_path, from),
     .grammar = GRAMMAR_REF,
     .required = true,
     .expected = EXPECT_GROUPS},
    {.name = "to",
     .kind = FIELD_WORDS,
     AT(raw_path, to),
     .grammar = GRAMMAR_REF,
     .required = true,
     .expected = EXPECT_GROUPS},
    {.name = "service",
     .kind = FIELD_WORDS,
     AT(raw_path, service),
     .grammar = GRAMMAR_ANY,
     .expected = EXPECT_SERVICES},
};
static const struct schema path_schema = {.title = "a path",
                                          .size = sizeof(struct raw_path),
                                          .place_offset = offsetof(struct raw_path, place),
                                          FIELDS(path_fields)};
static const struct field proof_fields[] = {
    {.name = "no-path", .kind = FIELD_OBJECT, AT(raw_proof, no_path), .sub = &path_schema},
    {.name = "path", .kind = FIELD_OBJECT, AT(raw_proof, path), .sub = &path_schema},
    {.name = "only-path", .kind = FIELD_OBJECT, AT(raw_proof, only_path), .sub = &path_schema},
};
static const struct schema proof_schema = {.title = "a proof",
                                           .size = sizeof(struct raw_proof),
                                           .place_offset = offsetof(struct raw_proof, place),
                                           FIELDS(proof_fields),
                                           .exactly_one = true};

static const struct field policy_fields[] = {
    {.name = "suimitsu",
     .kind = FIELD_NUMBER,
     AT(raw_policy, version),
     .required = true,
     .low = 1,
     .high = 1,
     .expected = "1, the version of the language"},
    {.name = "groups",
     .kind = FIELD_MAP,
     AT(raw_policy, groups),
     .grammar = GRAMMAR_REF,
     .sub = &group_schema},
    {.name = "services",
     .kind = FIELD_MAP,
     AT(raw_policy, services),
     .grammar = GRAMMAR_NAME,
     .sub = &service_schema},
    {.name = "quarantine",
     .kind = FIELD_OBJECTS,
     AT(raw_policy, quarantine),
     .sub = &quarantine_schema},
    {.name = "never", .kind = FIELD_OBJECTS, AT(raw_policy, never), .sub = &never_schema},
    {.name = "allow", .kind = FIELD_OBJECTS, AT(raw_policy, allow), .sub = &allow_schema},
    {.name = "mode",
     .kind = FIELD_MAP,
     AT(raw_policy, mode),
     .grammar = GRAMMAR_REF,
     .sub = &mode_schema},
    {.name = "tests", .kind = FIELD_OBJECTS, AT(raw_policy, tests), .sub = &test_schema},
    {.name = "prove", .kind = FIELD_OBJECTS, AT(raw_policy, prove), .sub = &proof_schema},
};
const struct schema policy_schema = {
    .title = "a policy", .size = sizeof(struct raw_policy), FIELDS(policy_fields)};

/* ---- inventory ---- */

static const struct field label_value = {.name = "labels",
                                         .kind = FIELD_WORD,
                                         AT(raw_label, value),
                                         .grammar = GRAMMAR_VALUE,
                                         .expected = "the label's value"};
static const struct schema label_schema = {
    .title = "a label", .size = sizeof(struct raw_label), .brief = &label_value};

static const struct field endpoint_fields[] = {
    {.name = "labels",
     .kind = FIELD_MAP,
     AT(raw_endpoint, labels),
     .grammar = GRAMMAR_NAME,
     .sub = &label_schema,
     .expected = "labels, {key: value}"},
    {.name = "addresses",
     .kind = FIELD_WORDS,
     AT(raw_endpoint, addresses),
     .grammar = GRAMMAR_ANY,
     .may_be_empty = true,
     .expected = "an address, or a list of addresses"},
    {.name = "enforcers",
     .kind = FIELD_WORDS,
     AT(raw_endpoint, enforcers),
     .grammar = GRAMMAR_ANY,
     .may_be_empty = true,
     .expected = "host, edge, nft, switch, a list of them, or none"},
    {.name = "state", .kind = FIELD_CHOICE, AT(raw_endpoint, state), .choices = states},
};
static const struct schema endpoint_schema = {.title = "an endpoint",
                                              .size = sizeof(struct raw_endpoint),
                                              .place_offset = offsetof(struct raw_endpoint, place),
                                              FIELDS(endpoint_fields)};

static const struct field user_fields[] = {
    {.name = "groups",
     .kind = FIELD_WORDS,
     AT(raw_user, groups),
     .grammar = GRAMMAR_NAME,
     .may_be_empty = true,
     .expected = "a user group, or a list of them"},
};
static const struct schema user_schema = {.title = "a user",
                                          .size = sizeof(struct raw_user),
                                          .place_offset = offsetof(struct raw_user, place),
                                          FIELDS(user_fields)};

static const struct field inventory_fields[] = {
    {.name = "suimitsu-inventory",
     .kind = FIELD_NUMBER,
     AT(raw_inventory, version),
     .required = true,
     .low = 1,
     .high = 1,
     .expected = "1, the version of the language"},
    {.name = "endpoints",
     .kind = FIELD_MAP,
     AT(raw_inventory, endpoints),
     .grammar = GRAMMAR_REF,
     .sub = &endpoint_schema},
    {.name = "users",
     .kind = FIELD_MAP,
     AT(raw_inventory, users),
     .grammar = GRAMMAR_USER,
     .sub = &user_schema},
};
const struct schema inventory_schema = {
    .title = "an inventory", .size = sizeof(struct raw_inventory), FIELDS(inventory_fields)};
