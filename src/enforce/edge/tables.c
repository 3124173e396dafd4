/* SPDX-License-Identifier: Apache-2.0 */
/* The inner maps of ports.  Most ports of a machine have the same services and addresses, and those
 * of one identity the same entries: what has the same content is one map. */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <openssl/evp.h>

#include "edge.skel.h"
#include "enforce/edge/internal.h"

static struct bpf_map *outer_map(const struct edge *e, enum table table)
{
    struct bpf_map *const maps[EDGE_TABLES] = {
        [TABLE_ADDRESSES] = e->bpf->maps.addresses,
        [TABLE_PREFIXES] = e->bpf->maps.prefixes,
        [TABLE_SERVICES] = e->bpf->maps.services,
        [TABLE_ENTRIES] = e->bpf->maps.entries,
    };

    return maps[table];
}

/* libbpf forgets the prototypes of inner maps when it has made the outer ones. */
void edge_learn_types(struct edge *e)
{
    for (unsigned table = 0; table < EDGE_TABLES; table++) {
        const struct bpf_map *inner = bpf_map__inner_map(outer_map(e, (enum table)table));

        if (inner)
            e->inner_types[table] = (struct table_types){bpf_map__btf_key_type_id(inner),
                                                         bpf_map__btf_value_type_id(inner)};
    }
}

static int digest_of(const struct rows *rows, enum table table, unsigned char digest[POOL_DIGEST])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char kind = (unsigned char)table;
    bool fine = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(md, &kind, 1) == 1 &&
                EVP_DigestUpdate(md, rows->keys, rows->n * rows_key_size(table)) == 1 &&
                EVP_DigestUpdate(md, rows->values, rows->n * rows_value_size(table)) == 1 &&
                EVP_DigestFinal_ex(md, digest, NULL) == 1;

    EVP_MD_CTX_free(md);
    return fine ? 0 : -EIO;
}

/* The map with these rows, made when nobody has it yet. */
static int pool_get(struct edge *e, enum table table, const struct rows *rows,
                    struct pooled **ret_p)
{
    unsigned char digest[POOL_DIGEST];
    int r = digest_of(rows, table, digest), fd;
    struct pooled *p;

    if (r < 0)
        return r;
    for (p = e->pool; p; p = p->next)
        if (memcmp(p->digest, digest, sizeof(digest)) == 0) {
            p->n_users++;
            *ret_p = p;
            return 0;
        }
    r = table_make(table, rows, bpf_object__btf_fd(e->bpf->obj), &e->inner_types[table], &fd);
    if (r < 0)
        return r;
    p = xcalloc(1, sizeof *p);
    memcpy(p->digest, digest, sizeof(digest));
    p->table = table;
    p->fd = fd;
    p->id = table_map_id(fd);
    p->n_users = 1;
    p->next = e->pool;
    e->pool = p;
    *ret_p = p;
    return 0;
}

static void pool_put(struct edge *e, struct pooled *p)
{
    if (!p || --p->n_users)
        return;
    for (struct pooled **at = &e->pool; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    close(p->fd);
    free(p);
}

static int put(struct edge *e, uint32_t number, unsigned slot, enum table table,
               const struct rows *rows)
{
    struct port_slot *s = &e->ports[number].slots[slot];
    uint32_t index = number * ABI_SLOTS + slot;
    struct pooled *p;
    int r = pool_get(e, table, rows, &p);

    if (r < 0)
        return r;
    s->tables[table] = p;
    return bpf_map_update_elem(bpf_map__fd(outer_map(e, table)), &index, &p->fd, BPF_ANY) < 0
               ? -errno
               : 0;
}

static int put_all(struct edge *e, uint32_t number, unsigned slot, const struct program *view)
{
    CLEANUP(rows_done) struct rows exact = {.keys = NULL}, prefixes = {.keys = NULL};
    CLEANUP(rows_done) struct rows services = rows_services(view), entries = rows_entries(view);
    int r;

    rows_addresses(view, false, &exact, &prefixes);
    r = put(e, number, slot, TABLE_ADDRESSES, &exact);
    if (r == 0)
        r = put(e, number, slot, TABLE_PREFIXES, &prefixes);
    if (r == 0)
        r = put(e, number, slot, TABLE_SERVICES, &services);
    return r < 0 ? r : put(e, number, slot, TABLE_ENTRIES, &entries);
}

static void keep_own(struct port_slot *s, const struct program *view)
{
    for (size_t i = 0; i < view->n_addresses; i++)
        if (view->addresses[i].self)
            s->own[s->n_own++] = abi_address_of(&view->addresses[i].address);
}

int edge_fill(struct edge *e, uint32_t number, unsigned slot, const struct program *view,
              struct buf *why)
{
    struct port_slot *s = &e->ports[number].slots[slot];
    int r;

    edge_empty(e, s);
    memcpy(s->endpoint, view->endpoint, sizeof(s->endpoint));
    keep_own(s, view);
    r = put_all(e, number, slot, view);
    if (r < 0) {
        buf_printf(why, "the kernel refused the tables of %s (%zu entries, %zu addresses): %s",
                   view->endpoint, view->n_entries, view->n_addresses, strerror(-r));
        edge_empty(e, s);
        return r;
    }
    s->filled = true;
    return 0;
}

void edge_empty(struct edge *e, struct port_slot *s)
{
    for (unsigned table = 0; table < EDGE_TABLES; table++)
        pool_put(e, s->tables[table]);
    *s = (struct port_slot){.filled = false};
}

void edge_verify_tables(struct edge *e, uint32_t number)
{
    for (unsigned slot = 0; slot < ABI_SLOTS; slot++) {
        const struct port_slot *s = &e->ports[number].slots[slot];
        uint32_t index = number * ABI_SLOTS + slot;

        for (unsigned table = 0; s->filled && table < EDGE_TABLES; table++) {
            int outer = bpf_map__fd(outer_map(e, (enum table)table));
            uint32_t id = 0;

            if (bpf_map_lookup_elem(outer, &index, &id) == 0 && id == s->tables[table]->id)
                continue;
            if (bpf_map_update_elem(outer, &index, &s->tables[table]->fd, BPF_ANY) == 0)
                edge_notice(e, NOTICE_TAMPER, "table %s of %s was replaced; put back",
                            table_name((enum table)table), e->ports[number].binding.interface);
        }
    }
}
