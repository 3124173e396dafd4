/* SPDX-License-Identifier: Apache-2.0 */
/* diagnostics.h - what is wrong with a text, for the person who has to mend it
 *
 * Readers and lints add findings here as data; text/report.h prints them with the line and a caret.
 * A finding says where (file, line, column), which code, what was found, what was expected, the
 * nearest known name when it looks like a slip, and what to do.  One run reports many: somebody
 * with twelve slips in a policy should not need twelve runs.  Foreign text in messages is escaped
 * by the printer, not here. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum severity { SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_ERROR };

enum code {
    CODE_SYNTAX,       /* E-SYNTAX: not YAML or JSON. */
    CODE_STRICT,       /* E-STRICT: YAML that we refuse: anchors, aliases, tags, merges. */
    CODE_TEXT,         /* E-TEXT: NUL, control or hidden characters, not UTF-8. */
    CODE_LIMIT,        /* E-LIMIT: too large, too deep, too many. */
    CODE_DUPKEY,       /* E-DUPKEY: the same key, name or address twice. */
    CODE_UNKNOWN,      /* E-UNKNOWN: a key, group, service, endpoint... that nobody defined. */
    CODE_TYPE,         /* E-TYPE: a list where a mapping belongs, and so on. */
    CODE_VALUE,        /* E-VALUE: the right type with a wrong content. */
    CODE_NAME,         /* E-NAME: not in the grammar of names. */
    CODE_MISSING,      /* E-MISSING: a required field. */
    CODE_ADDR,         /* E-ADDR: an address where only names are allowed. */
    CODE_RANGE,        /* E-RANGE: a port or number out of range or reversed. */
    CODE_WIDEN,        /* E-WIDEN: a check that no enforcer can make. */
    CODE_TEST,         /* E-TEST: a test of the policy fails. */
    CODE_PROOF,        /* E-PROOF: a proof of the policy fails. */
    CODE_EMPTY,        /* W-EMPTY: a group without endpoints. */
    CODE_EXPIRED,      /* W-EXPIRED: a rule that no longer matches. */
    CODE_CROSS,        /* W-CROSS: conditions of several rules mix at the two ends. */
    CODE_DEAD,         /* W-DEAD: a rule that others cover. */
    CODE_NEVER_HIDES,  /* W-NEVER-HIDES: an allow that nevers make void. */
    CODE_MODE_HOLE,    /* W-MODE-HOLE: a group in learn or test mode is a bridge. */
    CODE_PLAIN_SWITCH, /* W-PLAIN-SWITCH: neighbours whom nobody keeps apart. */
    CODE_WIDE,         /* W-WIDE: a rule wider than any endpoint uses. */
    CODE_UNUSED,       /* W-UNUSED: an allow rule without a hit in all of the history asked. */
    CODE_UNTESTED,     /* W-UNTESTED: a loss that no test or proof notices. */
    CODE_NO_ALLOW,     /* N-NO-ALLOW: an empty allow list. */
    CODE_UNFINISHED,   /* N-UNFINISHED: not all of it could be looked at. */
    N_CODES,
};

struct place { /* Where something stands; line 0: nowhere. */
    const char *file;
    uint32_t line, column; /* From 1, in characters. */
    uint32_t width;        /* Characters to underline, at least 1. */
};

struct diagnostic {
    enum code code;
    struct place place; /* 'file' is owned by the list. */
    char *message;      /* What was found. */
    char *expected;     /* These three may be NULL. */
    char *nearest;
    char *fix;
};

enum { DIAGNOSTICS_MAX = 200 }; /* More are counted, not kept. */

struct diagnostics {
    struct diagnostic *items; /* In the order found; diagnostics_sort() orders them by place. */
    size_t n, room;
    size_t n_dropped;
    size_t n_errors, n_warnings; /* All of them, also those dropped. */
    size_t n_of[N_CODES];        /* Likewise. */
};

struct diagnostics *diagnostics_new(void);
void diagnostics_free(struct diagnostics *d);
DEFINE_CLEANUP(struct diagnostics, diagnostics_free)

/* Adds a finding and returns it for diagnostic_*() below; a scratch one when the list is full.
 * 'place' may be NULL.  Its file name is copied. */
struct diagnostic *diagnostics_add(struct diagnostics *d, enum code code, const struct place *place,
                                   const char *format, ...) __attribute__((format(printf, 4, 5)));
void diagnostic_expected(struct diagnostic *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void diagnostic_nearest(struct diagnostic *x, const char *name); /* NULL: nothing looks like it. */
void diagnostic_fix(struct diagnostic *x, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* By file, line and column; findings without a place come last. */
void diagnostics_sort(struct diagnostics *d);

const char *code_name(enum code code); /* "E-UNKNOWN" */
enum severity code_severity(enum code code);
const char *severity_name(enum severity severity); /* "error", "warning", "notice" */

/* Offers candidates one by one to find the name that 'wanted' was perhaps meant to be. */
struct nearest {
    const char *wanted;
    const char *best; /* NULL: nothing near enough. */
    size_t distance;
};
struct nearest nearest_to(const char *wanted);
void nearest_offer(struct nearest *n, const char *candidate);
