/* SPDX-License-Identifier: Apache-2.0 */
/* Which program each enforcer has from us; see internal.h. */
#include "controller/dist/internal.h"

static struct held *find(const struct dist *d, const char *stream)
{
    struct held *h;

    HASH_FIND(hh, d->held, stream, strlen(stream), h);
    return h;
}

void held_note(struct dist *d, const char *stream, uint64_t revision)
{
    struct held *h = find(d, stream);
    size_t len = strlen(stream);

    if (!h) {
        h = xcalloc(1, sizeof(*h) + len + 1);
        memcpy(h->name, stream, len);
        HASH_ADD_KEYPTR(hh, d->held, h->name, len, h);
    }
    h->revision = revision;
}

bool held_is(const struct dist *d, const char *stream, uint64_t revision)
{
    const struct held *h = find(d, stream);

    return h && revision && h->revision == revision;
}

void held_done(struct dist *d)
{
    struct held *h, *next;

    HASH_ITER (hh, d->held, h, next) {
        HASH_DEL(d->held, h);
        free(h);
    }
}
