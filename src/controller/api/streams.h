/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h - answers that go on: server-sent events to browsers
 *
 * Each stream pulls from its source (struct http_stream), so that nothing is queued for a browser
 * that does not read: while more than STREAM_BACKLOG bytes are on their way to it, its source is
 * not asked, and finds by itself later what it has missed.  A browser that takes nothing for
 * STREAM_WRITE_S is dropped.  Every STREAM_BEAT_MS without news something is sent, so that proxies
 * keep the connection and ends that are gone are noticed. */
#pragma once

#include "controller/api/http.h"
#include "sys/loop.h"

struct evhttp_request;
struct streams;

enum {
    STREAMS_MAX = 128,
    STREAMS_EACH = 16, /* Of one owner. */
    STREAM_BACKLOG = 256 << 10,
    STREAM_WRITE_S = 60,
    STREAM_WAKE_MS = 250, /* News are gathered this long. */
    STREAM_BEAT_MS = 15000,
};

struct streams *streams_new(struct loop *l);
void streams_free(struct streams *s);

bool streams_have_room(const struct streams *s, const char *owner);
size_t streams_size(const struct streams *s);

/* Begins the answer; its other headers are set.  Takes 'source'. */
void streams_add(struct streams *s, struct evhttp_request *r, struct http_stream *source);

/* There may be news. */
void streams_wake(struct streams *s);
