/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of NetFlow v9 and IPFIX: a small table, the one told longest ago gives way. */
#include <errno.h>

#include "collect/internal.h"

enum { ENTERPRISE_BIT = 0x8000, DATA_ID_MIN = 256, V9 = 9 };

static bool is_template(const struct template *t, const struct domain *d, uint16_t id)
{
    return t && t->version == d->version && t->domain == d->id && (!id || t->id == id);
}

static void template_drop(struct exports *e, size_t i)
{
    free(e->templates[i]);
    e->templates[i] = NULL;
    e->state.n_templates--;
}

struct template *template_find(struct exports *e, const struct domain *d, uint16_t id,
                               uint64_t now_ms)
{
    for (size_t i = 0; i < EXPORTS_MAX_TEMPLATES; i++) {
        if (!is_template(e->templates[i], d, id))
            continue;
        if (e->templates[i]->told_ms + EXPORTS_TEMPLATE_MS >= now_ms)
            return e->templates[i];
        template_drop(e, i);
        return NULL;
    }
    return NULL;
}

void template_forget(struct exports *e, const struct domain *d, uint16_t id)
{
    for (size_t i = 0; i < EXPORTS_MAX_TEMPLATES; i++)
        if (is_template(e->templates[i], d, id))
            template_drop(e, i);
}

void templates_free(struct exports *e)
{
    for (size_t i = 0; i < EXPORTS_MAX_TEMPLATES; i++)
        free(e->templates[i]);
}

static void template_keep(struct exports *e, struct template *t)
{
    size_t at = 0;

    for (size_t i = 0; i < EXPORTS_MAX_TEMPLATES; i++) {
        if (!e->templates[i]) {
            at = i;
            break;
        }
        if (e->templates[i]->told_ms < e->templates[at]->told_ms)
            at = i;
    }
    if (e->templates[at]) {
        template_drop(e, at);
        e->state.evicted++;
    }
    e->templates[at] = t;
    e->state.n_templates++;
}

static void read_fields(struct reader *set, struct template *t)
{
    for (uint16_t i = 0; i < t->n_fields && reader_ok(set); i++) {
        struct template_field *f = &t->fields[i];

        f->id = reader_be16(set);
        f->size = reader_be16(set);
        if (t->version != V9 && (f->id & ENTERPRISE_BIT)) {
            f->id = (uint16_t)(f->id & ~ENTERPRISE_BIT);
            f->enterprise = reader_be32(set);
        }
        t->min_size += t->version != V9 && f->size == TEMPLATE_VARIES ? 1 : f->size;
    }
}

/* v9 gives the lengths of an option's scopes and fields in bytes, IPFIX counts of fields. */
static bool read_counts(struct reader *set, const struct domain *d, bool is_options,
                        uint16_t *ret_n)
{
    uint16_t n = reader_be16(set), more = is_options ? reader_be16(set) : 0;

    if (is_options && d->version == V9) {
        if (n % 4 || more % 4)
            return false;
        n = (uint16_t)(n / 4 + more / 4);
    }
    *ret_n = n;
    return reader_ok(set);
}

bool template_read(struct exports *e, const struct domain *d, struct reader *set, bool is_options,
                   uint64_t now_ms)
{
    CLEANUP(free_voidp) struct template *t = NULL;
    uint16_t id = reader_be16(set), n;
    bool all = id == (is_options ? 3 : 2) && d->version != V9;

    if (d->version != V9 && set->left >= 2 && (id >= DATA_ID_MIN || all)) {
        struct reader ahead = *set;

        if (reader_be16(&ahead) == 0) { /* Withdrawn: RFC 7011, 8.1; a count and nothing more. */
            *set = ahead;
            template_forget(e, d, all ? 0 : id);
            return true;
        }
    }
    if (!read_counts(set, d, is_options, &n) || id < DATA_ID_MIN || !n || n > EXPORTS_MAX_FIELDS)
        return false;
    t = xcalloc(1, sizeof(*t) + n * sizeof(t->fields[0]));
    *t = (struct template){.domain = d->id,
                           .id = id,
                           .n_fields = n,
                           .version = d->version,
                           .is_options = is_options,
                           .told_ms = now_ms};
    read_fields(set, t);
    if (!reader_ok(set) || !t->min_size)
        return false; /* Records without a byte would never end. */
    template_forget(e, d, id);
    template_keep(e, TAKE_PTR(t));
    return true;
}
