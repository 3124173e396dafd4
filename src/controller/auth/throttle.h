/* SPDX-License-Identifier: Apache-2.0 */
/* throttle.h - how often somebody may guess
 *
 * Attempts are counted by key ("account mika", "192.0.2.1", both together) in windows of
 * THROTTLE_WINDOW_S.  An attempt is counted before its password is looked at, so that a hundred at
 * a time are not a hundred free guesses, and taken back when it was right.  The limit on the pair
 * is small; that on the account alone is larger, so that a stranger cannot lock its owner out at
 * the first go.  At most THROTTLE_MAX keys are remembered; the oldest window makes room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum { THROTTLE_WINDOW_S = 900, THROTTLE_MAX = 4096, THROTTLE_KEY_SIZE = 144 };

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *t);
DEFINE_CLEANUP(struct throttle, throttle_free)

/* Counts one more attempt.  0: go on; else seconds until the next may be made, and it is not
 * counted. */
uint32_t throttle_try(struct throttle *t, const char *key, uint32_t limit, int64_t now_s);

void throttle_take_back(struct throttle *t, const char *key); /* One attempt. */
void throttle_forget(struct throttle *t, const char *key);
size_t throttle_size(const struct throttle *t);
