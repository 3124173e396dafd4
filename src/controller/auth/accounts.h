/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h - people who log in: name, role, scope, and the hash of a password
 *
 *     account/<name>     {name, role, scope: {label: value}, hash, created, changed, disabled}
 *     session/<digest>   {account, address, created, seen}
 *
 * A session's cookie holds 256 random bits; the store knows their SHA-256 only, so that who reads
 * the file cannot ride on it.  A session ends when its owner logs out, after SESSION_IDLE_S without
 * a request, after SESSION_LIFE_S in any case, when the account is removed or disabled, and when
 * its password changes: all of them, at once, in the same commit.  Role and scope are the account's
 * at each request, not those of the login.
 *
 * Changes are written with their audit entry.  Errors of the store come through as they are. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "controller/auth/passwords.h"
#include "controller/role.h"
#include "store/store.h"

#define ACCOUNT_VIEWS_PREFIX "console-views/" /* What the console keeps for it; goes with it. */

enum {
    ACCOUNT_MAX = 1000,
    SESSION_MAX = 1000, /* Of all accounts; the oldest makes room. */
    SESSION_COOKIE_SIZE = 80,
    SESSION_IDLE_S = 3600,
    SESSION_LIFE_S = 12 * 3600,
    SESSION_SEEN_S = 300, /* How exactly the last request is remembered. */
};

struct account {
    char name[WHO_NAME_SIZE];
    enum role role;
    struct scope scope;
    char hash[PASSWORD_HASH_SIZE];
    bool disabled; /* Cannot log in; name and password are kept. */
};

/* 1 to 63 letters, digits, '-', '_', '.'. */
bool account_name_is_good(const char *name);

int account_get(struct store *s, const char *name, struct account *ret_a); /* -ENOENT */

/* -EEXIST: there is one.  -E2BIG: too many. */
int account_add(struct store *s, const char *actor, const struct account *a, int64_t now_s);
int account_remove(struct store *s, const char *actor, const char *name); /* -ENOENT */

/* Takes role, scope and disabled of 'a'; disabling ends all its sessions.  -ENOENT: it is gone. */
int account_change(struct store *s, const char *actor, const struct account *a, int64_t now_s);

/* Ends all sessions of the account.  -ENOENT: it is gone. */
int account_set_password(struct store *s, const char *actor, const char *name, const char *hash,
                         int64_t now_s);

/* Without hashes.  The caller owns it. */
int account_list(struct store *s, json_t **ret_array);

/* Writes the login to the audit; the cookie is shown once. */
int session_new(struct store *s, const struct account *a, const char *address, int64_t now_s,
                char ret_cookie[SESSION_COOKIE_SIZE]);

/* Fills account, role, scope, actor and session of 'ret_who'.
 * -EACCES: no such session, or no longer. */
int session_check(struct store *s, const char *cookie, int64_t now_s, struct who *ret_who);

/* The same for a session that was checked before, by who.session; it is not a request of its
 * owner's and does not keep the session from ending when idle. */
int session_look(struct store *s, const char *digest, int64_t now_s, struct who *ret_who);

/* 'digest' is who.session.  -ENOENT: it has ended before. */
int session_end(struct store *s, const char *actor, const char *digest);

/* Those of an account (NULL: of all), without digests but for their first 12 signs. */
int session_list(struct store *s, const char *account, json_t **ret_array);
