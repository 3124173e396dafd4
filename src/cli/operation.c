/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operation.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/meter.h"

enum { FIRST_PAUSE_MS = 10, LAST_PAUSE_MS = 300, NS_A_MS = 1000000, HTTP_ACCEPTED = 202 };

static const char hint[] = "; Ctrl-C ends it";

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

int operation_about(const struct invocation *in, const char *method, const char *id,
                    const char *part, struct answer *ret_a)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    CLEANUP(json_decrefp) json_t *nothing = json_object();

    buf_puts(&path, "/api/v1/operations/");
    url_add(&path, id);
    buf_puts(&path, part);
    return client_ask(in, method, buf_str(&path), strcmp(method, "POST") == 0 ? nothing : NULL,
                      NULL, ret_a);
}

static void say(struct meter *m, const json_t *operation)
{
    json_int_t total = number_of(operation, "total");

    m->unit = total ? "" : " s";
    meter_say(m, text_of(operation, "state"),
              (uint64_t)number_of(operation, total ? "done" : "elapsed_s"), (uint64_t)total);
}

static bool has_ended(const json_t *operation)
{
    const char *state = text_of(operation, "state");

    return strcmp(state, "waiting") != 0 && strcmp(state, "running") != 0;
}

/* Until it has ended, or somebody pressed Ctrl-C, which ends it.  Its last state is in 'ret_a'. */
static int wait_for(const struct invocation *in, const char *id, struct answer *ret_a)
{
    struct meter meter = {.hint = hint};
    long pause_ms = FIRST_PAUSE_MS;

    for (;;) {
        struct timespec pause = {.tv_nsec = pause_ms * NS_A_MS};
        bool is_last = is_interrupted;
        int r = is_last ? operation_about(in, "POST", id, "/cancel", ret_a)
                        : operation_about(in, "GET", id, "", ret_a);

        if (r != EXIT_OK || is_last || has_ended(ret_a->json)) {
            meter_clear(&meter);
            return is_last ? complain(EXIT_UNREACHABLE, "ended by Ctrl-C") : r;
        }
        say(&meter, ret_a->json);
        answer_done(ret_a);
        *ret_a = (struct answer){.json = NULL};
        (void)nanosleep(&pause, NULL); /* Shorter when a signal comes. */
        pause_ms = 2 * pause_ms < LAST_PAUSE_MS ? 2 * pause_ms : LAST_PAUSE_MS;
    }
}

/* What the operation was answered, as if it had been asked. */
static int take_result(const json_t *operation, struct answer *ret_a)
{
    const json_t *result = json_object_get(operation, "result");
    struct answer a = {.status = (int)number_of(result, "status"),
                       .json = json_incref(json_object_get(result, "body"))};
    int r;

    if (!result)
        return complain(EXIT_UNREACHABLE, "%s: %s", text_of(operation, "state"),
                        text_of(operation, "why"));
    r = client_judge(&a);
    if (r != EXIT_OK)
        answer_done(&a);
    else
        *ret_a = a;
    return r;
}

static int begin(const struct invocation *in, const char *path, const json_t *body,
                 struct answer *ret_a)
{
    CLEANUP(json_decrefp) json_t *asked = body ? json_copy((json_t *)(uintptr_t)body) : NULL;

    if (!asked)
        asked = json_pack("{s:s}", "get", path);
    else
        (void)json_object_set_new(asked, "operation", json_true());
    return client_ask(in, "POST", body ? path : "/api/v1/operations", asked, NULL, ret_a);
}

/* Waits for what has begun, and takes its result. */
static int follow(const struct invocation *in, const json_t *begun, struct answer *ret_a)
{
    CLEANUP(answer_done) struct answer end = {.json = NULL};
    int r = wait_for(in, text_of(begun, "id"), &end);

    return r == EXIT_OK ? take_result(end.json, ret_a) : r;
}

int operation_ask(const struct invocation *in, const char *path, const json_t *body,
                  struct answer *ret_a)
{
    struct sigaction on = {.sa_handler = interrupt}, before;
    CLEANUP(answer_done) struct answer begun = {.json = NULL};
    int r;

    (void)sigaction(SIGINT, &on, &before);
    r = begin(in, path, body, &begun);
    if (r == EXIT_OK)
        r = follow(in, begun.json, ret_a);
    (void)sigaction(SIGINT, &before, NULL);
    return r;
}

int operation_get(const struct invocation *in, const char *path, struct answer *ret_a)
{
    struct sigaction on = {.sa_handler = interrupt}, before;
    struct meter meter = {.unit = " s", .hint = hint};
    CLEANUP(answer_done) struct answer a = {.meter = &meter};
    int r = client_ask(in, "GET", path, NULL, NULL, &a);

    a.meter = NULL;
    if (r == EXIT_OK && a.status == HTTP_ACCEPTED) {
        (void)sigaction(SIGINT, &on, &before);
        r = follow(in, a.json, ret_a);
        (void)sigaction(SIGINT, &before, NULL);
    } else if (r == EXIT_OK) {
        *ret_a = a;
        a.json = NULL; /* His now. */
    }
    return r;
}
