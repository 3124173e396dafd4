/* SPDX-License-Identifier: Apache-2.0 */
/* passwords.h - passwords as Argon2id hashes, and nothing else
 *
 * Argon2id, version 1.3, 64 MiB, 3 passes, 1 lane (RFC 9106's second recommended memory and passes;
 * one lane, since two logins at a time share two processors better than one with four threads), a
 * random salt of 16 bytes, a tag of 32: about 0.15 s on one core.  Parameters stand in the encoded
 * hash, so that they can be raised later without making old ones worthless.
 *
 * These calls are for a crew's thread (sys/crew.h): slow on purpose, and they touch nothing but
 * their arguments.  Whoever guesses names learns nothing from the time: a name that does not exist
 * costs one hash too. */
#pragma once

#include <stdbool.h>

#include "sys/crew.h"

enum {
    PASSWORD_MIN = 12, /* Bytes.  NIST SP 800-63B asks for 8 at least. */
    PASSWORD_MAX = 256,
    PASSWORD_HASH_SIZE = 128,
    PASSWORD_MEMORY_KIB = 65536,
    PASSWORD_PASSES = 3,
    PASSWORD_THREADS = 2, /* At a time, hence 128 MiB at most. */
    PASSWORD_MAX_WAITING = 16,
};

/* Why 'password' will not do for 'account', as a sentence; NULL: it does. */
const char *password_problem(const char *account, const char *password);

/* A job: checks 'password' against 'encoded' ("" : no such account), and if 'next' is not NULL and
 * it was right, hashes that; with 'encoded' NULL it only hashes 'next'. */
struct password_job {
    struct crew_job job;
    char *password, *next;            /* Owned, and wiped; NULL: none. */
    char encoded[PASSWORD_HASH_SIZE]; /* Of the account. */
    bool has_encoded;
    bool is_done, is_right;
    bool is_abandoned;             /* Nobody waits for it any more. */
    char hash[PASSWORD_HASH_SIZE]; /* Of 'next'; "": was not made. */
    void (*tell)(void *user);      /* On the loop, when it is done; not when abandoned. */
    void *user;
    char account[64], address[64]; /* The caller's. */
};

struct password_job *password_job_new(const char *encoded, const char *password, const char *next);

/* Frees it, or if it is in a thread, as soon as it comes back. */
void password_job_drop(void *job);

/* -EBUSY: too many are waiting; the caller still owns it. */
int password_job_start(struct password_job *j, struct crew *w);
