/* SPDX-License-Identifier: Apache-2.0 */
/* The API's handlers with made-up requests and no sockets: method, role, path and query from the
 * first line, If-Match and Prefer from the second, the rest is the body.  Whatever comes, there is
 * an answer with a status and JSON, and nobody without a right to change something does. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "controller/api/idempotency.h"
#include "controller/main/app.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 loses the buffer of some long quoted scalars (2 KiB a document, when an
 * administrator applies one). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml";
}

static struct app app;

static void start(void)
{
    char folder[] = "/tmp/sm-fuzz-XXXXXX", path[64];
    const char *what = "";

    if (!mkdtemp(folder))
        abort();
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    if (store_open(path, &app.store, &what) < 0 || ca_open(folder, &app.ca, &what) < 0 ||
        desired_open(app.store, NULL, 0, 1800000000, &app.desired, &what) < 0)
        abort();
    app.past = past_new(app.desired);
    app.notices = json_array();
    app.throttle = throttle_new();
    app.events = events_new();
    app.idempotency = idempotency_new(NULL, 0);
    for (size_t i = 0; i < 4; i++) { /* The files stay open, and leave no trace. */
        static const char *const names[] = {"db", "db-wal", "ca.key", "ca.crt"};

        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* The next line, cut off at a NUL too. */
static char *line_of(const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t len = end ? (size_t)(end - *data) : *size;
    char *line = xcalloc(len + 1, 1);

    if (len)
        memcpy(line, *data, len);
    *data += len + (end != NULL);
    *size -= len + (end != NULL);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct who who = {.actor = "fuzz"};
    struct http_job job = {.data = NULL};
    CLEANUP(http_request_done)
    struct http_request q = {.who = &who, .job = &job, .last_chance = true};
    CLEANUP(http_response_done) struct http_response a = {.status = 500};
    CLEANUP(buf_done) struct buf body = BUF_INIT;
    CLEANUP(free_voidp) char *target = NULL;
    CLEANUP(free_voidp) char *if_match = NULL;
    char *query;
    uint64_t before;

    if (!app.store)
        start();
    if (size < 3)
        return 0;
    q.idempotency = app.idempotency;
    q.idempotency_key = data[0] & 0x40 ? "key" : NULL;
    q.method = (enum http_method)(data[0] % 4);
    who.role = (enum role)(data[1] % ROLE_COUNT);
    if (data[1] & 0x80) {
        static const struct scope tokyo = {"site", "tokyo"};

        who.scope = tokyo;
    }
    data += 2;
    size -= 2;
    target = line_of(&data, &size);
    if_match = line_of(&data, &size);
    buf_add(&body, data, size);
    query = strchr(target, '?');
    if (query)
        *query++ = 0;
    q.path = target;
    q.query = query;
    q.if_match = if_match[0] ? if_match : NULL;
    q.prefer = q.if_match;
    q.body = buf_str(&body);
    q.body_size = body.size;
    before = store_revision(app.store);
    http_dispatch(app_routes, app_n_routes, app_within, &app, &q, &a);
    if (a.status < 200 || a.status > 599 ||
        (!a.json && !a.stream && !a.text.size && a.status != 304 && a.status != 308))
        abort();
    if (!(role_rights(who.role) & (RIGHT_TRUST | RIGHT_DRAFT | RIGHT_APPLY | RIGHT_ADMIN)) &&
        store_revision(app.store) != before)
        abort();
    return 0;
}
