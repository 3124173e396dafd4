/* SPDX-License-Identifier: Apache-2.0 */
/* role.h - who asks, what he may do, and to which endpoints
 *
 * A role is a set of rights, and not a rank: an operator isolates a machine at night without being
 * able to change policy, an editor writes policy that somebody else applies, an auditor sees who
 * did what and can do nothing.  Each route of the API needs one right.
 *
 *               READ  SELF  AUDIT  TRUST  TRY  DRAFT  APPLY  ADMIN  METRICS
 *     viewer     x     x                                               x
 *     auditor    x     x      x                                        x
 *     operator   x     x             x                                 x
 *     editor     x     x                    x     x                    x
 *     approver   x     x                    x            x             x
 *     admin      x     x      x      x      x     x      x      x      x
 *     scraper                                                          x
 *
 * A scope, {label: value}, narrows viewer and operator (and only them: policy, audit and accounts
 * are of the whole) to the endpoints that carry the label.  Routes say how they honour it; those
 * that cannot are refused, also when their author forgot to say. */
#pragma once

#include <stdbool.h>

enum role {
    ROLE_NONE,
    ROLE_VIEWER,
    ROLE_AUDITOR,
    ROLE_OPERATOR,
    ROLE_EDITOR,
    ROLE_APPROVER,
    ROLE_ADMIN,
    ROLE_SCRAPER, /* A token of a monitoring system: /metrics and nothing else. */
    ROLE_COUNT,
};

enum { /* What a route needs: one right, or-ed with how it honours a scope. */
       RIGHT_NONE = 0,
       RIGHT_READ = 1 << 0,    /* Policy, inventory, endpoints, flows, questions about them. */
       RIGHT_SELF = 1 << 1,    /* One's own session and password. */
       RIGHT_AUDIT = 1 << 2,   /* Who did what; lists of accounts, sessions and tokens. */
       RIGHT_TRUST = 1 << 3,   /* Quarantine and release; asking agents to report and verify. */
       RIGHT_TRY = 1 << 4,     /* What a change would mean. */
       RIGHT_DRAFT = 1 << 5,   /* Proposing a change. */
       RIGHT_APPLY = 1 << 6,   /* Applying, confirming, rolling back. */
       RIGHT_ADMIN = 1 << 7,   /* Accounts, tokens, enrolment. */
       RIGHT_METRICS = 1 << 8, /* Numbers without names. */
       RIGHT_MASK = 0xffff,

       SCOPE_REFUSED = 0,      /* Whoever has a scope does not get in. */
       SCOPE_FREE = 1 << 16,   /* Not about endpoints: the same for everybody. */
       SCOPE_WITHIN = 1 << 17, /* The handler shows and does only what is within. */
       SCOPE_PARAM = 1 << 18,  /* {name} in the path must be an endpoint within. */
       SCOPE_MASK = 0xff0000,

       SECRET_ANSWER = 1 << 24, /* It is shown once, and kept nowhere. */
       LONG_ANSWER = 1 << 25,   /* It can be asked for as an operation, */
       SLOW_ANSWER = 1 << 28,   /* or so: the history answers it.  "Prefer" is for these. */
       LARGE_BODY = 1 << 26,    /* It takes one that is packed; who waits, only the first time. */
       SECRET_BODY = 1 << 27,   /* Passwords are in it: not even a digest of it goes to the disk. */
};

enum {
    WHO_NAME_SIZE = 64,
    WHO_ACTOR_SIZE = 160,
    WHO_SESSION_SIZE = 65,
    WHO_TOKEN_SIZE = 17,
    WHO_ADDRESS_SIZE = 64
};

struct scope {
    char label[WHO_NAME_SIZE]; /* "": none. */
    char value[WHO_NAME_SIZE];
};

struct who {
    enum role role;
    char actor[WHO_ACTOR_SIZE];     /* For the audit: "account mika", "token ci". */
    char account[WHO_NAME_SIZE];    /* "": a token, or root. */
    char session[WHO_SESSION_SIZE]; /* Digest of the session's cookie; "": none. */
    char token[WHO_TOKEN_SIZE];     /* Public id of the token; "": none. */
    char address[WHO_ADDRESS_SIZE]; /* Where he asks from; "": the unix socket. */
    bool is_root;                   /* By the unix socket: the way in when all else fails. */
    struct scope scope;
};

unsigned role_rights(enum role role);
const char *role_name(enum role role);                 /* "viewer", ... "none" */
int role_parse(const char *name, enum role *ret_role); /* -EINVAL: no role that one can have. */

static inline bool who_may(const struct who *w, unsigned right)
{
    return (role_rights(w->role) & right) == right;
}

static inline bool scope_is_set(const struct scope *s)
{
    return s->label[0] != 0;
}

/* Whether a role can be narrowed: see above. */
bool role_takes_scope(enum role role);

/* "site=tokyo".  -EINVAL: not LABEL=VALUE, or too long. */
int scope_parse(const char *text, struct scope *ret_s);
