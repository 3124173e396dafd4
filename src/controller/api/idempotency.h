/* SPDX-License-Identifier: Apache-2.0 */
/* idempotency.h - a POST that is sent twice is done once
 *
 * A client that got no answer does not know whether it was heard.  With an Idempotency-Key (1 to 64
 * printable characters, chosen anew for each thing to do) it may ask again: the first answer is
 * given again, with Idempotency-Replayed: true, and nothing is done a second time.  The same key
 * with another path or body is an error (422), and one whose first request is still under way, too
 * (409).  Keys are the asker's own.
 *
 * Answers are kept for IDEMPOTENCY_S, at most IDEMPOTENCY_MAX of them and of IDEMPOTENCY_MAX_BYTES
 * together.  An answer that shows a secret is not kept: asking for it again says that it was done
 * (409).
 *
 * kill -9 between the change and its answer must not make a second change of a repetition.  So the
 * key goes to the store in the very transaction of the change (store_ride()), and the answer behind
 * it, before it is sent:
 *
 *     idempotent/<digest of actor and key>   {name, digest, time, status, secret, answer}
 *
 * After a restart the first answer is given again; a key whose answer had not reached the disk
 * (status 0) says that it was done, and that one must look (409).  What has changed nothing in the
 * store (refusals, questions, operations) is kept in memory only: asked again after a restart, it
 * is simply done.  Bodies with passwords never leave memory either, since a plain digest would
 * betray them: adding the same account twice is refused anyway, setting a password twice the same.
 */
#pragma once

#include "controller/api/http.h"
#include "store/store.h"

enum {
    IDEMPOTENCY_S = 86400,
    IDEMPOTENCY_MAX = 1000,
    IDEMPOTENCY_MAX_BYTES = 16 << 20,
    IDEMPOTENCY_KEY_LEN = 64,
};

struct idempotency;

/* Takes over what the store remembers, which outlives this; NULL: only memory. */
struct idempotency *idempotency_new(struct store *s, int64_t now_s);
void idempotency_free(struct idempotency *i);
DEFINE_CLEANUP(struct idempotency, idempotency_free)

/* Before a POST is handled.  True: 'a' is the answer already, or a problem.  False: go on, and tell
 * what came of it. */
bool idempotency_before(struct idempotency *i, const struct http_request *q, int64_t now_s,
                        struct http_response *a);

/* Around each call of the handler, which may be called several times: what it commits takes the key
 * along.  Not for requests with SECRET_BODY. */
void idempotency_ride(struct idempotency *i, const struct http_request *q);
void idempotency_unride(struct idempotency *i, const struct http_request *q);

/* After it was answered; 'is_secret': the answer must not be kept.  Server errors (5xx), 429 and
 * 401 are forgotten, so that another attempt is one. */
void idempotency_after(struct idempotency *i, const struct http_request *q, bool is_secret,
                       const struct http_response *a);

size_t idempotency_size(const struct idempotency *i);
