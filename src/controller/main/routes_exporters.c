/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters of network gear: their list, and their sightings on the way into the history. */
#include <stdio.h>

#include "controller/main/app.h"

void get_exporters(void *user, const struct http_request *q, struct http_response *a)
{
    struct app *app = user;

    (void)q;
    http_ok(a, exporters_json(app->exporters));
}

/* Of whom nobody can tell whose they were: all of them. */
static const char *stream_of(const char *name, char stream[HISTORY_STREAM_SIZE])
{
    (void)snprintf(stream, HISTORY_STREAM_SIZE, "exporter%s%s", name[0] ? "/" : "s", name);
    return stream;
}

static bool exporter_saw(void *user, const char *name, const struct sighting *s, size_t n)
{
    struct app *app = user;
    char stream[HISTORY_STREAM_SIZE];
    struct flows_seen seen = {.stream = stream_of(name, stream),
                              .reporters = &name,
                              .n_reporters = 1,
                              .sightings = s,
                              .n = n};

    return app->flows && flows_observe(app->flows, &seen) == 0;
}

static void exporter_lost(void *user, const char *name, uint64_t n)
{
    struct app *app = user;
    char stream[HISTORY_STREAM_SIZE];

    if (app->flows)
        flows_missing(app->flows, stream_of(name, stream), n);
}

struct exporters_handlers app_exporters_handlers(struct app *app)
{
    return (struct exporters_handlers){.seen = exporter_saw, .lost = exporter_lost, .user = app};
}
