/* SPDX-License-Identifier: Apache-2.0 */
/* Both tables are sorted, so making and applying are merges; see delta.h. */
#include "core/delta.h"

#include <errno.h>

struct delta *delta_new(void)
{
    struct delta *d = xcalloc(1, sizeof(*d));

    d->put = program_new();
    return d;
}

void delta_free(struct delta *d)
{
    if (!d)
        return;
    program_free(d->put);
    free(d->gone_entries);
    free(d->gone_addresses);
    free(d);
}

static void *copy(const void *table, size_t n, size_t size)
{
    void *to;

    if (!n)
        return NULL;
    to = xcalloc(n, size);
    memcpy(to, table, n * size);
    return to;
}

static void copy_head(struct program *to, const struct program *from)
{
    to->revision = from->revision;
    memcpy(to->endpoint, from->endpoint, sizeof(to->endpoint));
    to->identity = from->identity;
    to->mode = from->mode;
    to->trust = from->trust;
    memcpy(to->lifeline, from->lifeline, sizeof(to->lifeline));
    to->n_lifeline = from->n_lifeline;
}

#define COPY_TABLE(to, from, table)                                                                \
    do {                                                                                           \
        (to)->table = copy((from)->table, (from)->n_##table, sizeof *(from)->table);               \
        (to)->n_##table = (from)->n_##table;                                                       \
    } while (0)

struct program *program_copy(const struct program *p)
{
    struct program *to = program_new();

    copy_head(to, p);
    COPY_TABLE(to, p, entries);
    COPY_TABLE(to, p, addresses);
    COPY_TABLE(to, p, services);
    COPY_TABLE(to, p, processes);
    COPY_TABLE(to, p, users);
    COPY_TABLE(to, p, rules);
    return to;
}

static int address_key_compare(const struct program_address *a, const struct program_address *b)
{
    int c = address_compare(&a->address, &b->address);

    return c ? c : (a->length > b->length) - (a->length < b->length);
}

static bool entry_equal(const struct program_entry *a, const struct program_entry *b)
{
    return a->word == b->word && a->layer == b->layer && a->refine == b->refine &&
           a->rule == b->rule;
}

static bool address_equal(const struct program_address *a, const struct program_address *b)
{
    return a->mode == b->mode && a->trust == b->trust && a->self == b->self &&
           a->identity == b->identity;
}

static void diff_entries(struct delta *d, const struct program *from, const struct program *to)
{
    size_t i = 0, j = 0, room_put = 0, room_gone = 0;

    while (i < from->n_entries || j < to->n_entries) {
        int c = i == from->n_entries ? 1
                : j == to->n_entries ? -1
                                     : program_entry_compare(&from->entries[i], &to->entries[j]);

        if (c < 0) {
            GROW(d->gone_entries, d->n_gone_entries, room_gone);
            d->gone_entries[d->n_gone_entries++] = from->entries[i];
        } else if (c > 0 || !entry_equal(&from->entries[i], &to->entries[j])) {
            GROW(d->put->entries, d->put->n_entries, room_put);
            d->put->entries[d->put->n_entries++] = to->entries[j];
        }
        i += c <= 0;
        j += c >= 0;
    }
}

static void diff_addresses(struct delta *d, const struct program *from, const struct program *to)
{
    size_t i = 0, j = 0, room_put = 0, room_gone = 0;

    while (i < from->n_addresses || j < to->n_addresses) {
        int c = i == from->n_addresses ? 1
                : j == to->n_addresses
                    ? -1
                    : address_key_compare(&from->addresses[i], &to->addresses[j]);

        if (c < 0) {
            GROW(d->gone_addresses, d->n_gone_addresses, room_gone);
            d->gone_addresses[d->n_gone_addresses++] = from->addresses[i];
        } else if (c > 0 || !address_equal(&from->addresses[i], &to->addresses[j])) {
            GROW(d->put->addresses, d->put->n_addresses, room_put);
            d->put->addresses[d->put->n_addresses++] = to->addresses[j];
        }
        i += c <= 0;
        j += c >= 0;
    }
}

static bool services_equal(const struct program *a, const struct program *b)
{
    bool equal = a->n_services == b->n_services;

    for (size_t i = 0; equal && i < a->n_services; i++)
        equal = a->services[i].protocol == b->services[i].protocol &&
                a->services[i].low == b->services[i].low &&
                a->services[i].high == b->services[i].high &&
                a->services[i].class == b->services[i].class;
    return equal;
}

static bool processes_equal(const struct program *a, const struct program *b)
{
    bool equal = a->n_processes == b->n_processes;

    for (size_t i = 0; equal && i < a->n_processes; i++)
        equal = a->processes[i].class == b->processes[i].class &&
                strcmp(a->processes[i].path, b->processes[i].path) == 0;
    return equal;
}

static bool users_equal(const struct program *a, const struct program *b)
{
    bool equal = a->n_users == b->n_users;

    for (size_t i = 0; equal && i < a->n_users; i++)
        equal = a->users[i].class == b->users[i].class &&
                strcmp(a->users[i].name, b->users[i].name) == 0;
    return equal;
}

static bool rules_equal(const struct program *a, const struct program *b)
{
    bool equal = a->n_rules == b->n_rules;

    for (size_t i = 0; equal && i < a->n_rules; i++)
        equal = strcmp(a->rules[i].id, b->rules[i].id) == 0;
    return equal;
}

struct delta *delta_make(const struct program *from, const struct program *to)
{
    struct delta *d = delta_new();

    d->base = from->revision;
    copy_head(d->put, to);
    diff_entries(d, from, to);
    diff_addresses(d, from, to);
    d->services_replaced = !services_equal(from, to);
    if (d->services_replaced)
        COPY_TABLE(d->put, to, services);
    d->processes_replaced = !processes_equal(from, to);
    if (d->processes_replaced)
        COPY_TABLE(d->put, to, processes);
    d->users_replaced = !users_equal(from, to);
    if (d->users_replaced)
        COPY_TABLE(d->put, to, users);
    d->rules_replaced = !rules_equal(from, to);
    if (d->rules_replaced)
        COPY_TABLE(d->put, to, rules);
    return d;
}

static int by_entry(const void *a, const void *b)
{
    return program_entry_compare(a, b);
}

static int by_address(const void *a, const void *b)
{
    return address_key_compare(a, b);
}

/* Merges the sorted table 'old' with the sorted 'put' and without 'gone'.  All keys of 'gone' must
 * be in 'old' and not in 'put'. */
static int merge(const char *old, size_t n_old, const char *put, size_t n_put, const char *gone,
                 size_t n_gone, size_t size, int (*compare)(const void *, const void *),
                 void **ret_table, size_t *ret_n)
{
    CLEANUP(free_voidp) char *table = xcalloc(n_old + n_put, size);
    size_t i = 0, j = 0, g = 0, n = 0;

    while (i < n_old || j < n_put) {
        int c = i == n_old ? 1 : j == n_put ? -1 : compare(old + i * size, put + j * size);

        if (c < 0 && g < n_gone && compare(old + i * size, gone + g * size) == 0) {
            g++;
            i++;
            continue;
        }
        memcpy(table + n++ * size, c < 0 ? old + i * size : put + j * size, size);
        i += c <= 0;
        j += c >= 0;
    }
    if (g != n_gone)
        return -ENOENT;
    *ret_table = TAKE_PTR(table);
    *ret_n = n;
    return 0;
}

static void sort(void *table, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    if (n > 1)
        qsort(table, n, size, compare);
}

/* Sorted copies, since a delta may come from the wire in any order. */
static int apply_tables(struct program *to, const struct program *from, const struct delta *d)
{
    CLEANUP(free_voidp)
    void *put_e = copy(d->put->entries, d->put->n_entries, sizeof *d->put->entries);
    CLEANUP(free_voidp)
    void *gone_e = copy(d->gone_entries, d->n_gone_entries, sizeof *d->gone_entries);
    CLEANUP(free_voidp)
    void *put_a = copy(d->put->addresses, d->put->n_addresses, sizeof *d->put->addresses);
    CLEANUP(free_voidp)
    void *gone_a = copy(d->gone_addresses, d->n_gone_addresses, sizeof *d->gone_addresses);
    void *table;
    int r;

    sort(put_e, d->put->n_entries, sizeof *d->put->entries, by_entry);
    sort(gone_e, d->n_gone_entries, sizeof *d->gone_entries, by_entry);
    sort(put_a, d->put->n_addresses, sizeof *d->put->addresses, by_address);
    sort(gone_a, d->n_gone_addresses, sizeof *d->gone_addresses, by_address);
    r = merge((const char *)from->entries, from->n_entries, put_e, d->put->n_entries, gone_e,
              d->n_gone_entries, sizeof *from->entries, by_entry, &table, &to->n_entries);
    if (r < 0)
        return r;
    to->entries = table;
    r = merge((const char *)from->addresses, from->n_addresses, put_a, d->put->n_addresses, gone_a,
              d->n_gone_addresses, sizeof *from->addresses, by_address, &table, &to->n_addresses);
    if (r < 0)
        return r;
    to->addresses = table;
    return 0;
}

int delta_apply(const struct program *from, const struct delta *d, struct program **ret_to,
                const char **ret_what)
{
    CLEANUP(program_freep) struct program *to = program_new();
    int r;

    *ret_what = "a delta for another revision";
    if (from->revision != d->base)
        return -ESTALE;
    copy_head(to, d->put);
    *ret_what = "a removal of what is not there";
    r = apply_tables(to, from, d);
    if (r < 0)
        return r;
    COPY_TABLE(to, d->services_replaced ? d->put : from, services);
    COPY_TABLE(to, d->processes_replaced ? d->put : from, processes);
    COPY_TABLE(to, d->users_replaced ? d->put : from, users);
    COPY_TABLE(to, d->rules_replaced ? d->put : from, rules);
    r = program_check(to, ret_what);
    if (r < 0)
        return r;
    *ret_to = TAKE_PTR(to);
    return 0;
}

size_t delta_weight(const struct delta *d)
{
    return d->put->n_entries + d->n_gone_entries + d->put->n_addresses + d->n_gone_addresses +
           d->put->n_services + d->put->n_processes + d->put->n_users + d->put->n_rules;
}
