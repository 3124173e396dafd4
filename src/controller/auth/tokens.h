/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - what newcomers and API clients show
 *
 *   smt1.<id>.<secret>.<fingerprint>   enrolment: for one endpoint, once, for a short time; carries
 *                                      the SHA-256 of our authority, so that an agent need trust
 *                                      nobody on first use
 *   sma1.<id>.<secret>                 API: a role, perhaps in a scope, until it expires or is
 *                                      revoked
 *
 * Secrets are 256 random bits, shown once and stored as SHA-256 only; comparing takes the same time
 * whatever the guess.  The id is public and names the token in lists and in the audit. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "controller/role.h"
#include "core/program.h"
#include "store/store.h"

enum {
    TOKEN_SIZE = 192,
    TOKEN_ID_SIZE = 17,
    TOKEN_ENROLL_MAX_S = 7 * 86400,
    TOKEN_API_MAX_S = 3650 * 86400,
    TOKEN_MAX_LIVE = 10000, /* Neither used nor expired. */
};

/* Each writes one document and one audit entry by 'actor'.  Errors as store_commit(); -E2BIG: too
 * many tokens.  The caller shows 'ret_token' once, and wipes it. */
int token_new_enroll(struct store *s, const char *actor, const char *endpoint, const char *ca_pin,
                     int64_t now_s, int64_t life_s, char ret_token[TOKEN_SIZE]);
int token_new_api(struct store *s, const char *actor, const char *name, enum role role,
                  const struct scope *scope, int64_t now_s, int64_t life_s,
                  char ret_token[TOKEN_SIZE]);

/* Uses an enrolment token up, which forgets it, in 't', which the caller commits with the
 * certificate's document: so that a token is gone if and only if somebody got a certificate for it.
 * -EACCES: unknown, used, expired or wrong; which of them is told to the audit only. */
int token_use(struct store *s, struct store_transaction *t, const char *token, int64_t now_s,
              char ret_endpoint[PROGRAM_NAME_SIZE], char ret_id[TOKEN_ID_SIZE],
              const char **ret_why);

/* Role, scope and actor of an API token.  -EACCES: no such token, or no longer. */
int token_check_api(struct store *s, const char *token, int64_t now_s, struct who *ret_who);

/* The same for a token that was checked before, by its id. */
int token_look(struct store *s, const char *id, int64_t now_s, struct who *ret_who);

/* -ENOENT: no such id. */
int token_revoke(struct store *s, const char *actor, const char *id);

/* Without secrets or hashes. */
int token_list(struct store *s, json_t **ret_array);
