/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - the world that a question is about: that of now, or of an instant in the past
 *
 * Routes whose query takes "at" (a time, or an age) or "revision" (which a flow carries) answer
 * from a view, and mark an answer about the past with "as_of": {time, revision, since, policy,
 * inventory}. */
#pragma once

#include "controller/main/app.h"

#define VIEW_QUERY "at:as of this time or age (5m),revision:as of this revision; absent: as of now"

struct view {
    const struct world *world; /* Borrowed until the next question. */
    struct moment moment;
    bool is_past; /* "at" or "revision" was given. */
};

/* False, with a problem: no such time, or nothing is known of it. */
bool view_open(struct app *app, const struct http_request *q, struct http_response *a,
               struct view *ret_v);

/* Marks an answer that is an object; nothing for the present. */
void view_stamp(const struct view *v, struct http_response *a);

/* "2026-11-22T10:00", or an age like 5m, as Unix time.  -EINVAL: neither. */
int view_parse_time(const char *text, int64_t *ret_s);

/* A time or age that the query may have under 'name', else 'absent_s'.  False, with a problem: it
 * has something else. */
bool view_time(const struct http_request *q, const char *name, int64_t absent_s, int64_t *ret_s,
               struct http_response *a);
