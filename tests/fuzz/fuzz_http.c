/* SPDX-License-Identifier: Apache-2.0 */
/* The API's handlers with made-up requests and no sockets: method, role, path and query from the
 * first line, If-Match from the second, the rest is the body.  Whatever comes, there is an answer
 * with a status and JSON, and nobody without the role changes anything. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
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
    app.flows = flows_new(app.desired);
    app.notices = json_array();
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
    CLEANUP(http_request_done) struct http_request q = {.actor = "fuzz", .last_chance = true};
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
    q.method = (enum http_method)(data[0] % 4);
    q.role = (enum role)(data[1] % 3);
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
    q.body = buf_str(&body);
    q.body_size = body.size;
    before = store_revision(app.store);
    http_dispatch(app_routes, app_n_routes, &app, &q, &a);
    if (a.status < 200 || a.status > 599 || !a.json)
        abort();
    if (q.role != ROLE_ADMIN && store_revision(app.store) != before)
        abort();
    return 0;
}
