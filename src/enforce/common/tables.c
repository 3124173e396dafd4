/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/common/tables.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include <bpf/bpf.h>

struct shape {
    const char *name;
    enum bpf_map_type type;
    uint32_t key_size, value_size, flags;
};

static const struct shape shapes[TABLES] = {
    [TABLE_ADDRESSES] = {"sm_addresses", BPF_MAP_TYPE_HASH, sizeof(struct abi_address),
                         sizeof(struct abi_remote), 0},
    [TABLE_PREFIXES] = {"sm_prefixes", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct abi_prefix),
                        sizeof(struct abi_remote), BPF_F_NO_PREALLOC},
    [TABLE_SERVICES] = {"sm_services", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                        sizeof(uint16_t) * ABI_PORTS, 0},
    [TABLE_ENTRIES] = {"sm_entries", BPF_MAP_TYPE_HASH, sizeof(struct abi_entry_key),
                       sizeof(struct abi_entry), 0},
    [TABLE_PROCESSES] = {"sm_processes", BPF_MAP_TYPE_HASH, sizeof(struct abi_file),
                         sizeof(uint16_t), 0},
    [TABLE_USERS] = {"sm_users", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(uint16_t), 0},
};

const char *table_name(enum table table)
{
    return shapes[table].name;
}

size_t rows_key_size(enum table table)
{
    return shapes[table].key_size;
}

size_t rows_value_size(enum table table)
{
    return shapes[table].value_size;
}

void rows_done(struct rows *r)
{
    free(r->keys);
    free(r->values);
    *r = (struct rows){.keys = NULL};
}

struct rows rows_of(enum table table, size_t room)
{
    return (struct rows){.keys = xcalloc(room, shapes[table].key_size),
                         .values = xcalloc(room, shapes[table].value_size)};
}

void rows_add(struct rows *r, enum table table, const void *key, const void *value)
{
    memcpy(r->keys + r->n * shapes[table].key_size, key, shapes[table].key_size);
    memcpy(r->values + r->n * shapes[table].value_size, value, shapes[table].value_size);
    r->n++;
}

uint32_t table_map_id(int fd)
{
    struct bpf_map_info info = {.id = 0};
    uint32_t size = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.id;
}

static int fill(int fd, const struct shape *shape, const struct rows *rows)
{
    uint32_t n = (uint32_t)rows->n;

    if (n == 0)
        return 0;
    if (bpf_map_update_batch(fd, rows->keys, rows->values, &n, NULL) == 0)
        return 0;
    for (size_t i = 0; i < rows->n; i++) /* Kernels without batches for this type. */
        if (bpf_map_update_elem(fd, rows->keys + i * shape->key_size,
                                rows->values + i * shape->value_size, BPF_ANY) < 0)
            return -errno;
    return 0;
}

int table_make(enum table table, const struct rows *rows, int btf_fd,
               const struct table_types *types, int *ret_fd)
{
    const struct shape *shape = &shapes[table];
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = shape->flags, .btf_fd = (uint32_t)btf_fd,
                .btf_key_type_id = types->key, .btf_value_type_id = types->value);
    uint32_t n = rows->n ? (uint32_t)rows->n : 1;
    int fd, r;

    fd = bpf_map_create(shape->type, shape->name, shape->key_size, shape->value_size, n, &opts);
    if (fd < 0)
        return -errno;
    r = fill(fd, shape, rows);
    if (r == 0 && bpf_map_freeze(fd) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static struct abi_remote remote_of(const struct program_address *a, bool with_self)
{
    return (struct abi_remote){.identity = a->identity,
                               .mode = a->mode,
                               .flags = a->self && with_self ? ABI_REMOTE_SELF : 0};
}

void rows_addresses(const struct program *p, bool with_self, struct rows *ret_exact,
                    struct rows *ret_prefixes)
{
    static const struct abi_address v4_loopback = {{0, 0, 0, 0}};
    struct rows exact = rows_of(TABLE_ADDRESSES, p->n_addresses + 1);
    struct rows prefixes = rows_of(TABLE_PREFIXES, p->n_addresses + 1);
    struct abi_prefix loopback = {.length = 104, .address = v4_loopback};
    struct abi_address one = v4_loopback;
    struct abi_remote self = {.flags = ABI_REMOTE_SELF};

    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];
        struct abi_remote remote = remote_of(a, with_self);
        struct abi_prefix prefix = {.length = a->length, .address = abi_address_of(&a->address)};

        if (a->length == 128)
            rows_add(&exact, TABLE_ADDRESSES, &prefix.address, &remote);
        else
            rows_add(&prefixes, TABLE_PREFIXES, &prefix, &remote);
    }
    /* 127.0.0.0/8 and ::1: inside the box, whatever the inventory says. */
    loopback.address.word[2] = htonl(0xffff);
    loopback.address.word[3] = htonl(0x7f000000);
    if (with_self)
        rows_add(&prefixes, TABLE_PREFIXES, &loopback, &self);
    one.word[3] = htonl(1);
    if (with_self)
        rows_add(&exact, TABLE_ADDRESSES, &one, &self);
    *ret_exact = exact;
    *ret_prefixes = prefixes;
}

struct rows rows_services(const struct program *p)
{
    struct rows rows = rows_of(TABLE_SERVICES, ABI_ROWS);
    uint16_t *classes = (uint16_t *)rows.values;

    for (uint32_t row = 0; row < ABI_ROWS; row++)
        memcpy(rows.keys + row * sizeof(row), &row, sizeof(row));
    rows.n = ABI_ROWS;
    for (size_t i = 0; i < p->n_services; i++) {
        const struct program_service *s = &p->services[i];
        size_t row = s->protocol == IPPROTO_TCP   ? ABI_ROW_TCP
                     : s->protocol == IPPROTO_UDP ? ABI_ROW_UDP
                                                  : ABI_ROW_ICMP;

        for (unsigned port = s->low; port <= s->high; port++)
            classes[row * ABI_PORTS + port] = s->class;
    }
    return rows;
}

struct rows rows_entries(const struct program *p)
{
    struct rows rows = rows_of(TABLE_ENTRIES, p->n_entries);

    for (size_t i = 0; i < p->n_entries; i++) {
        const struct program_entry *e = &p->entries[i];
        struct abi_entry_key key = {.remote = e->remote,
                                    .service = e->service,
                                    .process = e->process,
                                    .user = e->user,
                                    .direction = e->direction,
                                    .suspect = e->suspect};
        struct abi_entry value = {
            .rule = e->rule, .word = e->word, .layer = e->layer, .refine = e->refine};

        rows_add(&rows, TABLE_ENTRIES, &key, &value);
    }
    return rows;
}

struct abi_slot table_head(const struct program *p)
{
    struct abi_slot head = {.revision = p->revision,
                            .identity = p->identity,
                            .mode = (uint32_t)p->mode,
                            .n_lifeline = (uint32_t)p->n_lifeline};

    for (size_t i = 0; i < p->n_lifeline; i++) {
        const struct program_lifeline *l = &p->lifeline[i];
        struct abi_lifeline *to = &head.lifeline[i];

        *to = (struct abi_lifeline){
            .address = abi_address_of(&l->address), .port = l->port, .protocol = l->protocol};
        for (size_t a = 0; a < p->n_addresses; a++)
            if (p->addresses[a].self &&
                address_in_prefix(&l->address, &p->addresses[a].address, p->addresses[a].length))
                to->here = 1;
    }
    return head;
}
