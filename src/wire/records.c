/* SPDX-License-Identifier: Apache-2.0 */
/* One put_x() and one take_x() a table, side by side; see records.h. */
#include "wire/records.h"

#include <errno.h>

#include "base/reader.h"

static const char magic[6] = {'S', 'M', 'P', 'R', 'O', 'G'};

enum { ENTRY_SIZE = 19, ADDRESS_SIZE = 24, SERVICE_SIZE = 7, LIFELINE_SIZE = 19 };

static void put_entry(struct buf *b, const struct program_entry *e)
{
    buf_be32(b, e->remote);
    buf_be16(b, e->service);
    buf_be16(b, e->process);
    buf_be16(b, e->user);
    buf_u8(b, e->direction);
    buf_u8(b, e->suspect);
    buf_u8(b, e->word);
    buf_u8(b, e->layer);
    buf_u8(b, e->refine);
    buf_be32(b, e->rule);
}

static void take_entry(struct reader *r, struct program_entry *e)
{
    e->remote = reader_be32(r);
    e->service = reader_be16(r);
    e->process = reader_be16(r);
    e->user = reader_be16(r);
    e->direction = reader_u8(r);
    e->suspect = reader_u8(r);
    e->word = reader_u8(r);
    e->layer = reader_u8(r);
    e->refine = reader_u8(r);
    e->rule = reader_be32(r);
}

static void put_address(struct buf *b, const struct program_address *a)
{
    buf_add(b, a->address.bytes, sizeof(a->address.bytes));
    buf_u8(b, a->length);
    buf_u8(b, a->mode);
    buf_u8(b, a->trust);
    buf_u8(b, a->self ? 1 : 0);
    buf_be32(b, a->identity);
}

static void take_bytes(struct reader *r, void *to, size_t size)
{
    const void *from = reader_bytes(r, size);

    if (from)
        memcpy(to, from, size);
}

static void take_address(struct reader *r, struct program_address *a)
{
    take_bytes(r, a->address.bytes, sizeof(a->address.bytes));
    a->length = reader_u8(r);
    a->mode = reader_u8(r);
    a->trust = reader_u8(r);
    a->self = reader_u8(r) != 0;
    a->identity = reader_be32(r);
}

static void put_service(struct buf *b, const struct program_service *s)
{
    buf_u8(b, s->protocol);
    buf_be16(b, s->low);
    buf_be16(b, s->high);
    buf_be16(b, s->class);
}

static void take_service(struct reader *r, struct program_service *s)
{
    s->protocol = reader_u8(r);
    s->low = reader_be16(r);
    s->high = reader_be16(r);
    s->class = reader_be16(r);
}

static void put_process(struct buf *b, const struct program_process *p)
{
    buf_be16(b, p->class);
    buf_add(b, p->path, sizeof(p->path));
}

static void take_process(struct reader *r, struct program_process *p)
{
    p->class = reader_be16(r);
    take_bytes(r, p->path, sizeof(p->path));
}

static void put_user(struct buf *b, const struct program_user *u)
{
    buf_be16(b, u->class);
    buf_add(b, u->name, sizeof(u->name));
}

static void take_user(struct reader *r, struct program_user *u)
{
    u->class = reader_be16(r);
    take_bytes(r, u->name, sizeof(u->name));
}

static void put_rule(struct buf *b, const struct program_rule *rule)
{
    buf_add(b, rule->id, sizeof(rule->id));
}

static void take_rule(struct reader *r, struct program_rule *rule)
{
    take_bytes(r, rule->id, sizeof(rule->id));
}

static void put_lifeline(struct buf *b, const struct program_lifeline *l)
{
    buf_add(b, l->address.bytes, sizeof(l->address.bytes));
    buf_be16(b, l->port);
    buf_u8(b, l->protocol);
}

static void take_lifeline(struct reader *r, struct program_lifeline *l)
{
    take_bytes(r, l->address.bytes, sizeof(l->address.bytes));
    l->port = reader_be16(r);
    l->protocol = reader_u8(r);
}

#define PUT_TABLE(b, table, n, put)                                                                \
    do {                                                                                           \
        buf_be32((b), (uint32_t)(n));                                                              \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            put((b), &(table)[i_]);                                                                \
    } while (0)

void program_encode(const struct program *p, struct buf *b)
{
    buf_add(b, magic, sizeof(magic));
    buf_be16(b, RECORDS_VERSION);
    buf_be64(b, p->revision);
    buf_add(b, p->endpoint, sizeof(p->endpoint));
    buf_be32(b, p->identity);
    buf_u8(b, (uint8_t)p->mode);
    buf_u8(b, (uint8_t)p->trust);
    PUT_TABLE(b, p->entries, p->n_entries, put_entry);
    PUT_TABLE(b, p->addresses, p->n_addresses, put_address);
    PUT_TABLE(b, p->services, p->n_services, put_service);
    PUT_TABLE(b, p->processes, p->n_processes, put_process);
    PUT_TABLE(b, p->users, p->n_users, put_user);
    PUT_TABLE(b, p->rules, p->n_rules, put_rule);
    PUT_TABLE(b, p->lifeline, p->n_lifeline, put_lifeline);
}

/* Reads a count, and marks the reader as failed unless that many records are there and allowed. */
static size_t take_count(struct reader *r, size_t record_size, size_t max)
{
    size_t n = reader_be32(r);

    if (reader_ok(r) && n <= max && n <= r->left / record_size)
        return n;
    r->failed = true;
    return 0;
}

#define TAKE_TABLE(r, table, n, max, record_size, take)                                            \
    do {                                                                                           \
        (n) = take_count((r), (record_size), (max));                                               \
        (table) = xcalloc((n), sizeof *(table));                                                   \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            take((r), &(table)[i_]);                                                               \
    } while (0)

static void take_head(struct reader *r, struct program *p)
{
    uint8_t mode, trust;

    p->revision = reader_be64(r);
    take_bytes(r, p->endpoint, sizeof(p->endpoint));
    p->identity = reader_be32(r);
    mode = reader_u8(r);
    trust = reader_u8(r);
    if (mode > MODE_ENFORCE || trust > TRUST_BLACK)
        r->failed = true;
    p->mode = (enum mode)mode;
    p->trust = (enum trust)trust;
}

int program_decode(const void *data, size_t size, struct program **ret_p, const char **ret_what)
{
    CLEANUP(program_freep) struct program *p = program_new();
    struct reader r = reader_of(data, size);
    const void *start = reader_bytes(&r, sizeof(magic));
    int result;

    *ret_what = "not a program of this version, or cut off";
    if (!start || memcmp(start, magic, sizeof(magic)) != 0 || reader_be16(&r) != RECORDS_VERSION)
        return -EPROTO;
    take_head(&r, p);
    TAKE_TABLE(&r, p->entries, p->n_entries, PROGRAM_MAX_ENTRIES, ENTRY_SIZE, take_entry);
    TAKE_TABLE(&r, p->addresses, p->n_addresses, PROGRAM_MAX_ADDRESSES, ADDRESS_SIZE, take_address);
    TAKE_TABLE(&r, p->services, p->n_services, PROGRAM_MAX_SERVICES, SERVICE_SIZE, take_service);
    TAKE_TABLE(&r, p->processes, p->n_processes, PROGRAM_MAX_PROCESSES, sizeof *p->processes,
               take_process);
    TAKE_TABLE(&r, p->users, p->n_users, PROGRAM_MAX_USERS, sizeof *p->users, take_user);
    TAKE_TABLE(&r, p->rules, p->n_rules, PROGRAM_MAX_RULES, sizeof *p->rules, take_rule);
    p->n_lifeline = take_count(&r, LIFELINE_SIZE, PROGRAM_MAX_LIFELINE);
    for (size_t i = 0; i < p->n_lifeline; i++)
        take_lifeline(&r, &p->lifeline[i]);
    if (!reader_ok(&r) || r.left != 0)
        return -EPROTO;
    result = program_check(p, ret_what);
    if (result < 0)
        return result;
    *ret_p = TAKE_PTR(p);
    return 0;
}
