/* SPDX-License-Identifier: Apache-2.0 */
/* births.h - since when each rule of the policy in force stands as it does now
 *
 * The stored versions of the policy are read from the newest back, until each rule was found to be
 * missing or written otherwise, or BIRTHS_VERSIONS or BIRTHS_BYTES are read: a rule that is still
 * the same then stands since that version at the latest.  A rule is the same while its layer and
 * its fields name the same things; owner, reason and expiry do not count, nor do the definitions of
 * the groups and services that it names.
 *
 * What was found is kept until another policy is in force, and makes the next search short. */
#pragma once

#include <stdint.h>

#include "base/base.h"
#include "controller/desired.h"

enum { BIRTHS_VERSIONS = 64, BIRTHS_BYTES = 16 << 20 };

struct births;

struct births *births_new(struct desired *d);
void births_free(struct births *b);
DEFINE_CLEANUP(struct births, births_free)

/* Looks them up for the policy in force.  Errors as store_get(); then, and before the first call,
 * nothing is known. */
int births_ready(struct births *b);

/* Unix time; 0: not known.  Of the policy that births_ready() was last called for. */
int64_t births_of(const struct births *b, const char *rule);
