/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - the agent's key and certificate
 *
 * The key is made here and never leaves; the controller signs a request.  Files in one folder that
 * belongs to the network half's user, mode 0600: key.pem, chain.pem, ca.pem.  A renewed certificate
 * is for the same key. */
#pragma once

#include <stdint.h>

#include "base/base.h"
#include "core/program.h"

struct identity {
    char *key_pem, *chain_pem, *ca_pem; /* Owned. */
    char name[PROGRAM_NAME_SIZE];       /* Common name: the endpoint. */
    int64_t not_before_s, not_after_s;  /* Unix time. */
};

void identity_done(struct identity *id);

/* -ENOENT: not enrolled.  -EINVAL: unreadable as what it should be; '*ret_what' names the file. */
int identity_load(const char *dir, struct identity *ret_id, const char **ret_what);

/* A new P-256 key, as PEM; owned by the caller. */
char *identity_new_key(void);

/* A certificate request for the key, as PEM; owned by the caller; NULL: no usable key.  Its subject
 * says nothing: who we are is what the token was made for. */
char *identity_request(const char *key_pem);

/* Stores what is not NULL, durably.  Errors as file_write(). */
int identity_store(const char *dir, const char *key_pem, const char *chain_pem, const char *ca_pem);

/* Reads name and validity from the chain's first certificate.  -EINVAL: it is none. */
int identity_read_chain(struct identity *id);
