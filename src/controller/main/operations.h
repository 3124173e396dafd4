/* SPDX-License-Identifier: Apache-2.0 */
/* operations.h - questions that take long, beside the loop
 *
 * Findings, proofs, coverage, radius and what is unprotected can take seconds over a large policy;
 * on the loop they would stop every agent for so long.  An operation answers one of the routes with
 * LONG_ANSWER in a child process: fork() gives it policy, inventory and trust as they are at that
 * instant, which nothing can change any more, and a child can be ended at any moment without
 * leaving anything half done.  It has no descriptors but a pipe, takes no part in the store, runs
 * at low priority, and is given OPERATION_CPU_S.  Its answer comes back through the pipe; how far
 * it is, stands in memory that both share.
 *
 * Questions about the history (SLOW_ANSWER) have a thread already, and a job that tells how far it
 * is and can be ended.  As a request they are given HTTP_MAX_WAIT_S; as an operation that was
 * adopted, OPERATION_HISTORY_S, and it is asked again, as a waiting request is, until it answers.
 * One whose asker prefers that is adopted when his patience as a request is over.
 *
 *     WAITING --> RUNNING --> DONE
 *         \          \------> FAILED     crashed, over its time, or too large an answer
 *          '----------'-----> CANCELLED
 *
 * Whose an operation is: his who asked it, by the account or the very token, for as long as his
 * role and scope are what they were then.  Its answer was bounded by those; who has been narrowed
 * since must ask again.
 *
 * What becomes of each is told as it happens: when it is created, when it gets on (once in
 * OPERATION_TELL_MS at most), and its end.
 *
 * Limits: OPERATIONS_RUNNING at a time, OPERATIONS_MAX remembered (the oldest that has ended makes
 * room), for OPERATION_KEPT_S after the end.  One thread, on the loop. */
#pragma once

#include "controller/api/http.h"
#include "sys/loop.h"

enum {
    OPERATIONS_RUNNING = 2,
    OPERATIONS_MAX = 32,
    OPERATIONS_EACH = 4, /* Of one asker, that have not ended. */
    OPERATION_KEPT_S = 900,
    OPERATION_CPU_S = 600,
    OPERATION_HISTORY_S = 1800, /* By the clock, others before it included. */
    OPERATION_MAX_ANSWER = 64 << 20,
    OPERATION_TELL_MS = 1000,
    OPERATION_ID_SIZE = 17,
};

struct operations;

/* Fills a response for a request: in the child, or on the loop for what was adopted. */
typedef void operations_answer(void *user, bool is_child, struct http_request *q,
                               struct http_response *a);

/* Something became of one of owner's (operations_are_his()): 'event' is as an item of
 * operations_list(), and "what" is created, progress, done, failed or cancelled; it is the callee's
 * then. */
typedef void operations_tell(void *user, const char *owner, json_t *event);

struct operations *operations_new(struct loop *l, operations_answer *answer, operations_tell *tell,
                                  void *user);
void operations_free(struct operations *o); /* Ends those that run. */
DEFINE_CLEANUP(struct operations, operations_free)

/* Starts, or lets it wait.  'target' is path and query.  -EBUSY: too many have not ended. */
int operations_add(struct operations *o, const struct who *who, const char *target,
                   char ret_id[OPERATION_ID_SIZE]);

/* The same for a question that has begun on the loop; its job is the operation's then, but for
 * -EBUSY. */
int operations_adopt(struct operations *o, const struct who *who, enum http_method method,
                     const char *target, const struct http_job *job,
                     char ret_id[OPERATION_ID_SIZE]);

/* One that was adopted may have an answer: looks soon. */
void operations_wake(struct operations *o);

/* Whether he may know of those of 'owner': his own, an admin of all. */
bool operations_are_his(const struct who *who, const char *owner);

/* Those of 'who' (an admin's: all), or one with its result; NULL: there is none such. */
json_t *operations_list(struct operations *o, const struct who *who);
json_t *operations_get(struct operations *o, const struct who *who, const char *id);

/* -ENOENT: none such.  -EALREADY: it has ended. */
int operations_cancel(struct operations *o, const struct who *who, const char *id);
