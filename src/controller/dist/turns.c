/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/dist/turns.h"

static void leave_line(struct turns *t, struct turn *x)
{
    if (!x->at)
        return;
    *x->at = x->next;
    if (x->next)
        x->next->at = x->at;
    else
        t->end = x->at;
    x->next = NULL;
    x->at = NULL;
    t->n_waiting--;
}

bool turns_ask(struct turns *t, struct turn *x)
{
    if (x->at)
        return false;
    if (t->under_way < t->max)
        return true;
    if (!t->first)
        t->end = &t->first;
    x->at = t->end;
    x->next = NULL;
    *t->end = x;
    t->end = &x->next;
    t->n_waiting++;
    return false;
}

static void count_no_more(struct turns *t, struct turn *x)
{
    t->under_way -= x->size;
    x->size = 0;
}

void turns_sent(struct turns *t, struct turn *x, size_t size, uint64_t now_ms)
{
    count_no_more(t, x);
    leave_line(t, x);
    x->size = size;
    x->since_ms = now_ms;
    t->under_way += size;
}

void turns_done(struct turns *t, struct turn *x)
{
    count_no_more(t, x);
    leave_line(t, x);
}

void turns_lose_patience(struct turns *t, struct turn *x, uint64_t now_ms, uint64_t patience_ms)
{
    if (x->size && now_ms >= x->since_ms + patience_ms)
        count_no_more(t, x);
}

struct turn *turns_next(struct turns *t)
{
    struct turn *x = t->first;

    if (!x || t->under_way >= t->max)
        return NULL;
    leave_line(t, x);
    return x;
}
