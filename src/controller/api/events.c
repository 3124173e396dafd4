/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/events.h"

#include <errno.h>

struct slot {
    struct event event;
    char *endpoint, *owner, *data;
};

struct events {
    struct slot slots[EVENTS_MAX]; /* Number n is at n % EVENTS_MAX. */
    uint64_t first, last;          /* 'first' > 'last': empty. */
    size_t bytes;
    struct {
        void (*came)(const struct event *event, void *user);
        void *user;
    } listeners[EVENTS_MAX_LISTENERS];
    size_t n_listeners;
};

static const char *const names[EVENT_TOPICS] = {"flows", "alerts", "enforcers", "policy",
                                                "audit", "trust",  "operations"};

struct events *events_new(void)
{
    struct events *e = xcalloc(1, sizeof(*e));

    e->first = 1;
    return e;
}

static void drop_first(struct events *e)
{
    struct slot *s = &e->slots[e->first++ % EVENTS_MAX];

    e->bytes -= strlen(s->data);
    free(s->endpoint);
    free(s->owner);
    free(s->data);
    *s = (struct slot){.data = NULL};
}

void events_free(struct events *e)
{
    if (!e)
        return;
    while (e->first <= e->last)
        drop_first(e);
    free(e);
}

const char *event_topic_name(enum event_topic topic)
{
    return names[topic];
}

int event_topics_parse(const char *list, unsigned *ret_topics)
{
    unsigned topics = 0;

    while (*list) {
        size_t len = strcspn(list, ","), i = 0;

        while (i < EVENT_TOPICS && (strlen(names[i]) != len || strncmp(names[i], list, len) != 0))
            i++;
        topics |= i < EVENT_TOPICS ? 1u << i : 0;
        list += len;
        list += *list == ',';
    }
    if (!topics)
        return -EINVAL;
    *ret_topics = topics;
    return 0;
}

static uint64_t add(struct events *e, enum event_topic topic, const char *endpoint,
                    const char *owner, json_t *data)
{
    CLEANUP(free_voidp) char *text = json_dumps(data, JSON_COMPACT | JSON_PRESERVE_ORDER);
    struct slot *s;

    json_decref(data);
    if (!text)
        abort(); /* Out of memory. */
    e->bytes += strlen(text);
    while (e->first <= e->last &&
           (e->last - e->first + 1 >= EVENTS_MAX || e->bytes > EVENTS_MAX_BYTES))
        drop_first(e);
    s = &e->slots[++e->last % EVENTS_MAX];
    s->data = TAKE_PTR(text);
    s->endpoint = xstrdup(endpoint ? endpoint : "");
    s->owner = xstrdup(owner ? owner : "");
    s->event = (struct event){.number = e->last,
                              .topic = topic,
                              .endpoint = s->endpoint,
                              .owner = s->owner,
                              .data = s->data};
    for (size_t i = 0; i < e->n_listeners; i++)
        e->listeners[i].came(&s->event, e->listeners[i].user);
    return e->last;
}

uint64_t events_add(struct events *e, enum event_topic topic, const char *endpoint, json_t *data)
{
    return add(e, topic, endpoint, NULL, data);
}

uint64_t events_add_own(struct events *e, enum event_topic topic, const char *owner, json_t *data)
{
    return add(e, topic, NULL, owner, data);
}

const struct event *events_next(const struct events *e, uint64_t after, unsigned topics)
{
    for (uint64_t n = after + 1 > e->first ? after + 1 : e->first; n <= e->last; n++)
        if (topics & (1u << e->slots[n % EVENTS_MAX].event.topic))
            return &e->slots[n % EVENTS_MAX].event;
    return NULL;
}

uint64_t events_first(const struct events *e)
{
    return e->last ? e->first : 0;
}

uint64_t events_last(const struct events *e)
{
    return e->last;
}

void events_listen(struct events *e, void (*came)(const struct event *event, void *user),
                   void *user)
{
    if (e->n_listeners == EVENTS_MAX_LISTENERS)
        abort(); /* Our own bug. */
    e->listeners[e->n_listeners].came = came;
    e->listeners[e->n_listeners++].user = user;
}
