/* SPDX-License-Identifier: Apache-2.0 */
/* The answer as a chain of sentences, and the names of its parts; see why.h. */
#include "core/why.h"

#include "base/buf.h"

void sentences_done(struct sentences *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i]);
    free(s->items);
    *s = (struct sentences){.items = NULL};
}

static void say(struct sentences *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentences *s, const char *format, ...)
{
    struct buf b = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    GROW(s->items, s->n, s->room);
    s->items[s->n++] = buf_take(&b);
}

static void add_lacks(struct buf *b, const struct why_condition *list, size_t n)
{
    const char *between = "";

    for (size_t i = 0; i < n; i++)
        if (list[i].state != WHY_MET && list[i].state != WHY_ACCEPTED) {
            buf_printf(b, "%s%s", between, list[i].text);
            between = "; ";
        }
}

static void say_end(struct sentences *s, const struct why_end *e)
{
    if (e->is_known)
        return;
    say(s, "no endpoint of the inventory is named %s%s%s: it is judged as one that nobody enforces",
        e->asked, e->nearest ? ", the nearest is " : "", e->nearest ? e->nearest : "");
}

static void say_layer(const struct why *y, struct sentences *s, const struct why_layer *layer)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    say(s, "%s: %s", layer->layer == LAYER_GLASS ? "break-glass" : layer_name(layer->layer),
        layer->text);
    if (!layer->decides || !y->decider || !y->decider->n_excepts)
        return;
    add_lacks(&b, y->decider->excepts, y->decider->n_excepts);
    say(s, "its exception does not apply: %s", buf_str(&b));
}

void why_sentences(const struct why *y, struct sentences *s)
{
    say_end(s, &y->from);
    say_end(s, &y->to);
    for (size_t i = 0; i < y->n_layers; i++)
        say_layer(y, s, &y->layers[i]);
    for (size_t i = 0; i < y->n_nearest && y->answer.layer != LAYER_NEVER; i++) {
        const struct why_rule *near = &y->nearest[i];
        CLEANUP(buf_done) struct buf b = BUF_INIT;

        add_lacks(&b, near->conditions, near->n_conditions);
        say(s, "the %s %s \"%s\" does not apply: %s", i ? "next" : "nearest",
            near->rule->layer == LAYER_ALLOW ? "allow" : "quarantine rule", near->rule->id,
            buf_str(&b));
    }
}

const char *why_what_name(enum why_what what)
{
    static const char *const names[] = {
        [WHY_FROM] = "from",
        [WHY_TO] = "to",
        [WHY_SERVICE] = "service",
        [WHY_FUNCTION] = "function",
        [WHY_PROCESS] = "process",
        [WHY_USER] = "user",
        [WHY_SERVED_BY] = "served-by",
        [WHY_EXPIRY] = "expires",
        [WHY_NAMED_SERVICE] = "named-service",
    };

    return names[what];
}

const char *why_state_name(enum why_state state)
{
    static const char *const names[] = {
        [WHY_MET] = "met",      [WHY_UNMET] = "not-met",     [WHY_UNTOLD] = "not-told",
        [WHY_BLIND] = "unseen", [WHY_ACCEPTED] = "accepted",
    };

    return names[state];
}

const char *why_action_name(enum why_action action)
{
    static const char *const names[] = {
        [WHY_JOIN_GROUP] = "join-group",
        [WHY_ENROL] = "enrol",
        [WHY_WIDEN_OUTSIDE] = "widen-outside",
        [WHY_USE_SERVICE] = "use-service",
        [WHY_USE_FUNCTION] = "use-function",
        [WHY_START_BY] = "start-by",
        [WHY_SERVE_BY] = "serve-by",
        [WHY_BE_USER] = "be-user",
        [WHY_ADD_ENFORCER] = "add-enforcer",
        [WHY_RENEW] = "renew",
        [WHY_NAME_SERVICE] = "name-service",
        [WHY_RELEASE] = "release",
        [WHY_EXCEPT] = "except",
        [WHY_CHANGE_RULE] = "change-rule",
        [WHY_NOTHING] = "nothing",
    };

    return names[action];
}
