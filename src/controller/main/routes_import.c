/* SPDX-License-Identifier: Apache-2.0 */
/* Flow logs of clouds, a batch at a time: whoever imports a file numbers its batches, so that none
 * counts twice however often it comes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "controller/json.h"
#include "controller/main/app.h"

enum { RECORDS_MAX = 4096, REPORTERS_MAX = 4096, REPORTER_LEN = 127, COLUMNS = 13, SUM_LEN = 16 };

struct import_batch {
    struct sighting *sightings;
    uint32_t *tellers;
    const char **reporters;
    size_t n, n_reporters;
    uint8_t origin;
};

static void import_batch_done(struct import_batch *b)
{
    free(b->sightings);
    free(b->tellers);
    free(b->reporters);
}

static bool number_at(const json_t *row, size_t i, uint64_t max, uint64_t *ret_v)
{
    const json_t *v = json_array_get(row, i);

    *ret_v = json_is_integer(v) && json_integer_value(v) >= 0 ? (uint64_t)json_integer_value(v)
                                                              : UINT64_MAX;
    return *ret_v <= max;
}

static bool address_at(const json_t *row, size_t i, struct address *ret_a)
{
    const char *text = json_string_value(json_array_get(row, i));

    return text && address_parse(text, ret_a) == 0;
}

/* NULL: taken; else what was expected. */
static const char *take_row(struct import_batch *b, const json_t *row, size_t i)
{
    struct sighting *s = &b->sightings[i];
    const char *verdict = json_string_value(json_array_get(row, 8));
    uint64_t teller, source_port, port, protocol, marks;

    if (json_array_size(row) != COLUMNS)
        return "13 values";
    if (!number_at(row, 0, b->n_reporters - 1, &teller))
        return "the number of a reporter first";
    if (!number_at(row, 1, INT64_MAX, &s->first_ms) || !number_at(row, 2, INT64_MAX, &s->last_ms))
        return "first and last in milliseconds since 1970";
    if (!address_at(row, 3, &s->source) || !address_at(row, 4, &s->destination))
        return "two IP addresses";
    if (!number_at(row, 5, UINT16_MAX, &source_port) || !number_at(row, 6, UINT16_MAX, &port) ||
        !number_at(row, 7, UINT8_MAX, &protocol))
        return "two ports and a protocol's number";
    if (!verdict || (strcmp(verdict, "allow") != 0 && strcmp(verdict, "deny") != 0))
        return "allow or deny";
    if (!number_at(row, 9, SIGHTING_MAX_AMOUNT, &s->count) ||
        !number_at(row, 10, SIGHTING_MAX_AMOUNT, &s->bytes_out) ||
        !number_at(row, 11, SIGHTING_MAX_AMOUNT, &s->bytes_in) ||
        !number_at(row, 12, FLOW_MARKS_ALL, &marks))
        return "connections, bytes out, bytes in, marks";
    b->tellers[i] = (uint32_t)teller;
    s->source_port = (uint16_t)source_port;
    s->port = (uint16_t)port;
    s->protocol = (uint8_t)protocol;
    s->verdict = strcmp(verdict, "allow") == 0 ? VERDICT_ALLOW : VERDICT_DENY;
    s->origin = b->origin;
    s->marks = (uint8_t)marks;
    return sighting_is_valid(s) ? NULL : "a record that lasts a day at most, with marks of others";
}

static bool take_reporters(struct import_batch *b, const json_t *list, struct http_response *a)
{
    const json_t *name;
    size_t i;

    b->n_reporters = json_array_size(list);
    if (!b->n_reporters || b->n_reporters > REPORTERS_MAX) {
        http_problem_field(a, 422, "reporters", "[\"eni-1235b8ca\"]", "expected 1 to 4096 names");
        return false;
    }
    b->reporters = xcalloc(b->n_reporters, sizeof(*b->reporters));
    json_array_foreach(list, i, name)
    {
        b->reporters[i] = json_string_value(name);
        if (!b->reporters[i] || !*b->reporters[i] || strlen(b->reporters[i]) > REPORTER_LEN) {
            http_problem_field(a, 422, "reporters", "a shorter name",
                               "reporter %zu: expected a name of 1 to %d bytes", i, REPORTER_LEN);
            return false;
        }
    }
    return true;
}

static bool take_rows(struct import_batch *b, const json_t *list, struct http_response *a)
{
    const json_t *row;
    size_t i;

    b->n = json_array_size(list);
    if (b->n > RECORDS_MAX) {
        http_problem_field(a, 422, "records", "more batches", "expected at most %d records",
                           RECORDS_MAX);
        return false;
    }
    b->sightings = xcalloc(b->n, sizeof(*b->sightings));
    b->tellers = xcalloc(b->n, sizeof(*b->tellers));
    json_array_foreach(list, i, row)
    {
        const char *expected = take_row(b, row, i);

        if (expected) {
            http_problem_field(a, 422, "records", expected, "record %zu: expected %s", i, expected);
            return false;
        }
    }
    return true;
}

static bool take_head(const json_t *body, struct import_batch *b, uint64_t *ret_sum,
                      struct http_response *a)
{
    static const struct {
        const char *name;
        enum flow_origin origin;
    } origins[] = {{"aws", FLOW_AWS}, {"azure", FLOW_AZURE}, {"gcp", FLOW_GCP}};
    const char *origin = json_text(body, "origin"), *file = json_text(body, "file");

    for (size_t i = 0; i < ARRAY_SIZE(origins); i++)
        if (strcmp(origin, origins[i].name) == 0)
            b->origin = (uint8_t)origins[i].origin;
    *ret_sum = strtoull(file, NULL, 16);
    if (!b->origin) {
        http_problem_field(a, 422, "origin", "aws, azure or gcp", "expected aws, azure or gcp");
        return false;
    }
    if (strlen(file) != SUM_LEN || strspn(file, "0123456789abcdef") != SUM_LEN || !*ret_sum) {
        http_problem_field(a, 422, "file", "16 digits of a checksum of the file's content",
                           "expected 16 hexadecimal digits, not all of them 0");
        return false;
    }
    if (json_uint(body, "batch") == 0) {
        http_problem_field(a, 422, "batch", "1", "expected a number from 1 on");
        return false;
    }
    return true;
}

static enum flows_place place_of(const struct app *app, const struct flows_seen *seen)
{
    return app->flows ? flows_place_of(app->flows, seen->stream, seen->epoch, seen->sequence)
                      : FLOWS_NOWHERE;
}

static void note_import(struct app *app, const struct http_request *q, const json_t *body,
                        const struct flows_seen *seen)
{
    if (json_uint(body, "missing"))
        flows_missing(app->flows, seen->stream, json_uint(body, "missing"));
    if (seen->sequence == 1)
        app_audit(app, q->who->actor, "flows.import", seen->stream, json_text(body, "origin"));
}

/* Batches are taken one behind the other without waiting for the disk; one without records is
 * answered when all of them are there. */
static void answer_import(struct app *app, const struct http_request *q, const json_t *body,
                          const struct flows_seen *seen, struct http_response *a)
{
    int r = -EBUSY;

    if (!seen->n && place_of(app, seen) != FLOWS_NOWHERE)
        r = 1; /* Asked again. */
    else if (app->flows)
        r = flows_observe(app->flows, seen);
    if (r == 0)
        note_import(app, q, body, seen);
    if (r >= 0 && !seen->n && place_of(app, seen) != FLOWS_ON_DISK)
        r = -EBUSY;
    if (r == -EBUSY && !q->last_chance) {
        a->status = 0; /* Later, when the disk has taken what waits. */
        return;
    }
    if (r < 0) {
        http_problem(a, 503, "the history takes no more now; the same import goes on where it was");
        return;
    }
    http_ok(a, json_pack("{s:I,s:I}", "taken", (json_int_t)(r ? 0 : seen->n), "known",
                         (json_int_t)(r ? seen->n : 0)));
}

void post_flows_import(void *user, const struct http_request *q, struct http_response *a)
{
    static const char *const fields[] = {"file",      "batch",   "origin",
                                         "reporters", "missing", "records"};
    CLEANUP(json_decrefp) json_t *body = app_body(q, a, fields, ARRAY_SIZE(fields));
    CLEANUP(import_batch_done) struct import_batch b = {.n = 0};
    char stream[HISTORY_STREAM_SIZE];
    struct flows_seen seen;
    uint64_t sum;

    if (!body || !take_head(body, &b, &sum, a) ||
        !take_reporters(&b, json_object_get(body, "reporters"), a) ||
        !take_rows(&b, json_object_get(body, "records"), a))
        return;
    (void)snprintf(stream, sizeof(stream), "import/%016" PRIx64, sum);
    seen = (struct flows_seen){.stream = stream,
                               .epoch = sum,
                               .sequence = json_uint(body, "batch"),
                               .reporters = b.reporters,
                               .n_reporters = b.n_reporters,
                               .sightings = b.sightings,
                               .tellers = b.tellers,
                               .n = b.n};
    answer_import(user, q, body, &seen, a);
}
