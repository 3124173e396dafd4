/* SPDX-License-Identifier: Apache-2.0 */
/* Tables to columns and back; see wire/agent_pb.h. */
#include <errno.h>

#include "base/utf8.h"
#include "wire/agent_pb.h"

void scratch_done(struct scratch *s)
{
    for (size_t i = 0; i < s->n_blocks; i++)
        free(s->blocks[i]);
    free(s->blocks);
    *s = (struct scratch){.blocks = NULL};
}

void *scratch_new(struct scratch *s, size_t n, size_t size)
{
    void *p = xcalloc(n, size);

    GROW(s->blocks, s->n_blocks, s->room);
    s->blocks[s->n_blocks++] = p;
    return p;
}

int text_from_pb(const char *from, char *to, size_t size)
{
    size_t len = strlen(from), at;

    if (len >= size || !utf8_valid(from, len, &at))
        return -EINVAL;
    memcpy(to, from, len + 1);
    return 0;
}

int address_from_pb(const ProtobufCBinaryData *from, struct address *to)
{
    if (from->len != sizeof(to->bytes))
        return -EINVAL;
    memcpy(to->bytes, from->data, sizeof(to->bytes));
    return 0;
}

ProtobufCBinaryData address_to_pb(const struct address *a)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } u = {.in = a->bytes};

    return (ProtobufCBinaryData){.len = sizeof(a->bytes), .data = u.out};
}

/* A column of 'pb' that holds field 'field' of n rows of 'rows'. */
#define COLUMN_TO(s, pb, column, rows, n, field)                                                   \
    do {                                                                                           \
        (pb)->n_##column = (n);                                                                    \
        (pb)->column = scratch_new((s), (n), sizeof(uint32_t));                                    \
        for (size_t i_ = 0; i_ < (n); i_++)                                                        \
            (pb)->column[i_] = (rows)[i_].field;                                                   \
    } while (0)

Suimitsu__Entries *entries_to_pb(struct scratch *s, const struct program_entry *e, size_t n)
{
    Suimitsu__Entries *pb = scratch_new(s, 1, sizeof(*pb));

    suimitsu__entries__init(pb);
    COLUMN_TO(s, pb, remote, e, n, remote);
    COLUMN_TO(s, pb, service, e, n, service);
    COLUMN_TO(s, pb, process, e, n, process);
    COLUMN_TO(s, pb, user, e, n, user);
    COLUMN_TO(s, pb, direction, e, n, direction);
    COLUMN_TO(s, pb, suspect, e, n, suspect);
    COLUMN_TO(s, pb, word, e, n, word);
    COLUMN_TO(s, pb, layer, e, n, layer);
    COLUMN_TO(s, pb, refine, e, n, refine);
    COLUMN_TO(s, pb, rule, e, n, rule);
    return pb;
}

Suimitsu__Addresses *addresses_to_pb(struct scratch *s, const struct program_address *a, size_t n)
{
    Suimitsu__Addresses *pb = scratch_new(s, 1, sizeof(*pb));

    suimitsu__addresses__init(pb);
    pb->address.len = n * sizeof(a->address.bytes);
    pb->address.data = scratch_new(s, n, sizeof(a->address.bytes));
    for (size_t i = 0; i < n; i++)
        memcpy(pb->address.data + i * sizeof(a->address.bytes), a[i].address.bytes,
               sizeof(a->address.bytes));
    COLUMN_TO(s, pb, length, a, n, length);
    COLUMN_TO(s, pb, mode, a, n, mode);
    COLUMN_TO(s, pb, trust, a, n, trust);
    COLUMN_TO(s, pb, self, a, n, self);
    COLUMN_TO(s, pb, identity, a, n, identity);
    return pb;
}

static void lifeline_to_pb(struct scratch *s, const struct program *p, Suimitsu__Program *pb)
{
    pb->n_lifeline = p->n_lifeline;
    pb->lifeline = scratch_new(s, p->n_lifeline, sizeof(*pb->lifeline));
    for (size_t i = 0; i < p->n_lifeline; i++) {
        Suimitsu__Lifeline *l = scratch_new(s, 1, sizeof(*l));

        suimitsu__lifeline__init(l);
        l->address = address_to_pb(&p->lifeline[i].address);
        l->port = p->lifeline[i].port;
        l->protocol = p->lifeline[i].protocol;
        pb->lifeline[i] = l;
    }
}

#define NAMES_TO(s, rows, n, text)                                                                 \
    ({                                                                                             \
        Suimitsu__Names *names_ = scratch_new((s), 1, sizeof(*names_));                            \
        suimitsu__names__init(names_);                                                             \
        names_->n_name = (n);                                                                      \
        names_->name = scratch_new((s), (n), sizeof(char *));                                      \
        for (size_t j_ = 0; j_ < (n); j_++)                                                        \
            names_->name[j_] = lend((rows)[j_].text);                                              \
        COLUMN_TO(s, names_, class_number, rows, n, class);                                        \
        names_;                                                                                    \
    })

Suimitsu__Program *program_to_pb(struct scratch *s, const struct program *p)
{
    Suimitsu__Program *pb = scratch_new(s, 1, sizeof(*pb));
    Suimitsu__Services *services = scratch_new(s, 1, sizeof(*services));

    suimitsu__program__init(pb);
    pb->revision = p->revision;
    pb->endpoint = lend(p->endpoint);
    pb->identity = p->identity;
    pb->mode = p->mode;
    pb->trust = p->trust;
    pb->entries = entries_to_pb(s, p->entries, p->n_entries);
    pb->addresses = addresses_to_pb(s, p->addresses, p->n_addresses);
    suimitsu__services__init(services);
    COLUMN_TO(s, services, protocol, p->services, p->n_services, protocol);
    COLUMN_TO(s, services, low, p->services, p->n_services, low);
    COLUMN_TO(s, services, high, p->services, p->n_services, high);
    COLUMN_TO(s, services, class_number, p->services, p->n_services, class);
    pb->services = services;
    pb->processes = NAMES_TO(s, p->processes, p->n_processes, path);
    pb->users = NAMES_TO(s, p->users, p->n_users, name);
    pb->n_rules = p->n_rules;
    pb->rules = scratch_new(s, p->n_rules, sizeof(char *));
    for (size_t i = 0; i < p->n_rules; i++)
        pb->rules[i] = lend(p->rules[i].id);
    lifeline_to_pb(s, p, pb);
    return pb;
}

/* Fills 'field' of n rows from a column, which has n values that fit the field; else false. */
#define COLUMN_FROM(pb, column, rows, n, field)                                                    \
    ({                                                                                             \
        bool good_ = (pb)->n_##column == (n);                                                      \
        for (size_t i_ = 0; good_ && i_ < (n); i_++) {                                             \
            (rows)[i_].field = (__typeof__((rows)[i_].field))(pb)->column[i_];                     \
            good_ = (rows)[i_].field == (pb)->column[i_];                                          \
        }                                                                                          \
        good_;                                                                                     \
    })

int entries_from_pb(const Suimitsu__Entries *pb, struct program_entry **ret_e, size_t *ret_n,
                    const char **ret_what)
{
    CLEANUP(free_voidp) struct program_entry *e = NULL;
    size_t n = pb ? pb->n_remote : 0;

    *ret_what = "the number of entries";
    if (n > PROGRAM_MAX_ENTRIES)
        return -E2BIG;
    *ret_what = "a column of entries";
    e = xcalloc(n, sizeof(*e));
    if (pb &&
        !(COLUMN_FROM(pb, remote, e, n, remote) && COLUMN_FROM(pb, service, e, n, service) &&
          COLUMN_FROM(pb, process, e, n, process) && COLUMN_FROM(pb, user, e, n, user) &&
          COLUMN_FROM(pb, direction, e, n, direction) && COLUMN_FROM(pb, suspect, e, n, suspect) &&
          COLUMN_FROM(pb, word, e, n, word) && COLUMN_FROM(pb, layer, e, n, layer) &&
          COLUMN_FROM(pb, refine, e, n, refine) && COLUMN_FROM(pb, rule, e, n, rule)))
        return -EINVAL;
    *ret_e = TAKE_PTR(e);
    *ret_n = n;
    return 0;
}

int addresses_from_pb(const Suimitsu__Addresses *pb, struct program_address **ret_a, size_t *ret_n,
                      const char **ret_what)
{
    CLEANUP(free_voidp) struct program_address *a = NULL;
    size_t n = pb ? pb->n_length : 0;

    *ret_what = "the number of addresses";
    if (n > PROGRAM_MAX_ADDRESSES)
        return -E2BIG;
    *ret_what = "a column of addresses";
    if (pb && pb->address.len != n * sizeof(a->address.bytes))
        return -EINVAL;
    a = xcalloc(n, sizeof(*a));
    for (size_t i = 0; i < n; i++)
        memcpy(a[i].address.bytes, pb->address.data + i * sizeof(a->address.bytes),
               sizeof(a->address.bytes));
    if (pb && !(COLUMN_FROM(pb, length, a, n, length) && COLUMN_FROM(pb, mode, a, n, mode) &&
                COLUMN_FROM(pb, trust, a, n, trust) && COLUMN_FROM(pb, self, a, n, self) &&
                COLUMN_FROM(pb, identity, a, n, identity)))
        return -EINVAL;
    *ret_a = TAKE_PTR(a);
    *ret_n = n;
    return 0;
}

static int services_from_pb(const Suimitsu__Services *pb, struct program *p, const char **ret_what)
{
    size_t n = pb ? pb->n_protocol : 0;

    *ret_what = "the number of services";
    if (n > PROGRAM_MAX_SERVICES)
        return -E2BIG;
    *ret_what = "a column of services";
    p->services = xcalloc(n, sizeof(*p->services));
    p->n_services = n;
    if (pb && !(COLUMN_FROM(pb, protocol, p->services, n, protocol) &&
                COLUMN_FROM(pb, low, p->services, n, low) &&
                COLUMN_FROM(pb, high, p->services, n, high) &&
                COLUMN_FROM(pb, class_number, p->services, n, class)))
        return -EINVAL;
    return 0;
}

#define NAMES_FROM(pb, rows, n, text)                                                              \
    ({                                                                                             \
        bool fine_ = COLUMN_FROM(pb, class_number, rows, n, class);                                \
        for (size_t j_ = 0; fine_ && j_ < (n); j_++)                                               \
            fine_ = text_from_pb((pb)->name[j_], (rows)[j_].text, sizeof((rows)[j_].text)) == 0;   \
        fine_;                                                                                     \
    })

static int names_from_pb(const Suimitsu__Program *pb, struct program *p, const char **ret_what)
{
    size_t n_processes = pb->processes ? pb->processes->n_name : 0;
    size_t n_users = pb->users ? pb->users->n_name : 0;

    *ret_what = "the number of processes, users or rules";
    if (n_processes > PROGRAM_MAX_PROCESSES || n_users > PROGRAM_MAX_USERS ||
        pb->n_rules > PROGRAM_MAX_RULES)
        return -E2BIG;
    *ret_what = "a process, user or rule";
    p->processes = xcalloc(n_processes, sizeof(*p->processes));
    p->n_processes = n_processes;
    if (pb->processes && !NAMES_FROM(pb->processes, p->processes, n_processes, path))
        return -EINVAL;
    p->users = xcalloc(n_users, sizeof(*p->users));
    p->n_users = n_users;
    if (pb->users && !NAMES_FROM(pb->users, p->users, n_users, name))
        return -EINVAL;
    p->rules = xcalloc(pb->n_rules, sizeof(*p->rules));
    p->n_rules = pb->n_rules;
    for (size_t i = 0; i < pb->n_rules; i++)
        if (text_from_pb(pb->rules[i], p->rules[i].id, sizeof(p->rules[i].id)) < 0)
            return -EINVAL;
    return 0;
}

static int lifeline_from_pb(const Suimitsu__Program *pb, struct program *p, const char **ret_what)
{
    *ret_what = "the lifeline";
    if (pb->n_lifeline > PROGRAM_MAX_LIFELINE)
        return -E2BIG;
    p->n_lifeline = pb->n_lifeline;
    for (size_t i = 0; i < pb->n_lifeline; i++) {
        const Suimitsu__Lifeline *l = pb->lifeline[i];

        if (address_from_pb(&l->address, &p->lifeline[i].address) < 0 || l->port > UINT16_MAX ||
            l->protocol > UINT8_MAX)
            return -EINVAL;
        p->lifeline[i].port = (uint16_t)l->port;
        p->lifeline[i].protocol = (uint8_t)l->protocol;
    }
    return 0;
}

int program_from_pb(const Suimitsu__Program *pb, struct program **ret_p, const char **ret_what)
{
    CLEANUP(program_freep) struct program *p = program_new();
    int r;

    *ret_what = "a message without program";
    if (!pb)
        return -EINVAL;
    *ret_what = "the head of a program";
    if (text_from_pb(pb->endpoint, p->endpoint, sizeof(p->endpoint)) < 0 ||
        pb->mode > MODE_ENFORCE || pb->trust > TRUST_BLACK)
        return -EINVAL;
    p->revision = pb->revision;
    p->identity = pb->identity;
    p->mode = (enum mode)pb->mode;
    p->trust = (enum trust)pb->trust;
    r = entries_from_pb(pb->entries, &p->entries, &p->n_entries, ret_what);
    if (r < 0)
        return r;
    r = addresses_from_pb(pb->addresses, &p->addresses, &p->n_addresses, ret_what);
    if (r < 0)
        return r;
    r = services_from_pb(pb->services, p, ret_what);
    if (r < 0)
        return r;
    r = names_from_pb(pb, p, ret_what);
    if (r < 0)
        return r;
    r = lifeline_from_pb(pb, p, ret_what);
    if (r < 0)
        return r;
    *ret_p = TAKE_PTR(p);
    return 0;
}
