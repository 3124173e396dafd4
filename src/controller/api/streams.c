/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/streams.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <sys/time.h>

struct stream {
    struct streams *all;
    struct evhttp_request *request; /* NULL: its connection is gone. */
    struct http_stream *source;
    uint64_t sent_ms;
    struct stream *next;
};

struct streams {
    struct stream *first;
    size_t n;
    struct timer *wake, *beat;
};

static void connection_gone(struct evhttp_connection *connection, void *stream)
{
    struct stream *one = stream;

    (void)connection;
    one->request = NULL; /* Swept with the next round. */
    streams_wake(one->all);
}

static bool is_behind(const struct stream *one)
{
    struct evhttp_connection *c = evhttp_request_get_connection(one->request);

    return evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(c))) >
           STREAM_BACKLOG;
}

/* False: it has ended. */
static bool step(struct stream *one, uint64_t now_ms)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct evbuffer *chunk;
    int r;

    if (!one->request)
        return false;
    if (is_behind(one))
        return true;
    r = one->source->next(one->source, now_ms >= one->sent_ms + STREAM_BEAT_MS, &text);
    if (text.size) {
        chunk = evbuffer_new();
        if (!chunk || evbuffer_add(chunk, text.data, text.size) < 0)
            abort(); /* Out of memory. */
        evhttp_send_reply_chunk(one->request, chunk);
        evbuffer_free(chunk);
        one->sent_ms = now_ms;
    }
    if (r >= 0)
        return true;
    evhttp_connection_set_closecb(evhttp_request_get_connection(one->request), NULL, NULL);
    evhttp_send_reply_end(one->request);
    return false;
}

static void step_all(void *streams)
{
    struct streams *s = streams;
    struct stream **at = &s->first;
    uint64_t now_ms = loop_now_ms();

    while (*at) {
        struct stream *one = *at;

        if (step(one, now_ms)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        s->n--;
        one->source->free(one->source);
        free(one);
    }
}

static void beat(void *streams)
{
    struct streams *s = streams;

    step_all(s);
    timer_start(s->beat, STREAM_BEAT_MS / 3);
}

struct streams *streams_new(struct loop *l)
{
    struct streams *s = xcalloc(1, sizeof(*s));

    s->wake = timer_new(l, step_all, s);
    s->beat = timer_new(l, beat, s);
    timer_start(s->beat, STREAM_BEAT_MS / 3);
    return s;
}

void streams_free(struct streams *s)
{
    struct stream *one;

    if (!s)
        return;
    while ((one = s->first) != NULL) {
        s->first = one->next;
        if (one->request)
            evhttp_connection_set_closecb(evhttp_request_get_connection(one->request), NULL, NULL);
        one->source->free(one->source);
        free(one);
    }
    timer_free(s->wake);
    timer_free(s->beat);
    free(s);
}

bool streams_have_room(const struct streams *s, const char *owner)
{
    size_t n = 0;

    for (const struct stream *one = s->first; one; one = one->next)
        n += one->request && strcmp(one->source->owner, owner) == 0;
    return s->n < STREAMS_MAX && n < STREAMS_EACH;
}

size_t streams_size(const struct streams *s)
{
    return s->n;
}

void streams_add(struct streams *s, struct evhttp_request *r, struct http_stream *source)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r);
    struct timeval limit = {.tv_sec = STREAM_WRITE_S};
    struct stream *one = xcalloc(1, sizeof(*one));

    one->all = s;
    one->request = r;
    one->source = source;
    one->next = s->first;
    s->first = one;
    s->n++;
    evhttp_connection_set_closecb(connection, connection_gone, one);
    (void)evhttp_add_header(evhttp_request_get_output_headers(r), "Content-Type",
                            "text/event-stream");
    evhttp_send_reply_start(r, 200, http_status_text(200));
    (void)bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, &limit);
    streams_wake(s);
}

void streams_wake(struct streams *s)
{
    if (s->first && !timer_is_running(s->wake))
        timer_start(s->wake, STREAM_WAKE_MS);
}
