/* SPDX-License-Identifier: Apache-2.0 */
/* webhook.h - tells a service of the operator's what happens, by HTTP
 *
 * POST to one URL, that the operator has named, with {"id": ..., "events": [...]} as its body, at
 * most WEBHOOK_BATCH events, in their order, one delivery after the other.  Headers:
 *
 *     X-Suimitsu-Delivery: ID          the same for each attempt
 *     X-Suimitsu-Timestamp: SECONDS
 *     X-Suimitsu-Signature: sha256=HEX of HMAC-SHA256(secret, TIMESTAMP "." BODY)
 *
 * Redirects are not followed, and the answer is not looked at but for its status: a service that is
 * taken over must not make the controller ask something else in its network.  2xx is success.  408,
 * 429, 5xx and no answer are tried again after 1, 4, 16 and 64 s; anything else is not.  What fails
 * five times is dropped and counted, as are events beyond WEBHOOK_MAX_WAITING.
 *
 * libcurl runs in a thread of its own (sys/crew.h), one delivery at a time. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "sys/loop.h"

enum {
    WEBHOOK_BATCH = 50,
    WEBHOOK_MAX_WAITING = 1000,
    WEBHOOK_ATTEMPTS = 5,
    WEBHOOK_GATHER_MS = 500,
    WEBHOOK_TIMEOUT_S = 10,
};

struct webhook;

/* 'ca_file' NULL: the machine's authorities.  'retry_ms' is the first pause. */
struct webhook *webhook_new(struct loop *l, const char *url, const char *secret,
                            const char *ca_file, uint64_t retry_ms);
void webhook_free(struct webhook *w); /* What waits is dropped. */
DEFINE_CLEANUP(struct webhook, webhook_free)

void webhook_send(struct webhook *w, json_t *event); /* Takes it. */

struct webhook_counts {
    uint64_t delivered, retried, dropped; /* Events; attempts beyond the first; events. */
};
struct webhook_counts webhook_counts(const struct webhook *w);

/* "sha256=..." of a body; for receivers' tests, too. */
void webhook_sign(const char *secret, const char *timestamp, const char *body, size_t size,
                  char ret_signature[80]);
