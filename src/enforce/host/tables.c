/* SPDX-License-Identifier: Apache-2.0 */
/* From the tables of a verdict program to frozen inner maps of one slot.
 *
 * An inner map is made, filled in batches, frozen (no system call can change it any more, root's
 * neither) and put into the outer map.  Program files and accounts change while a policy stands:
 * their maps are made anew and replace the former ones in one store. */
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/host/internal.h"
#include "host.skel.h"

enum table { ADDRESSES, PREFIXES, SERVICES, ENTRIES, PROCESSES, USERS, TABLES };

struct shape {
    const char *name;
    enum bpf_map_type type;
    uint32_t key_size, value_size, flags;
};

static const struct shape shapes[TABLES] = {
    [ADDRESSES] = {"sm_addresses", BPF_MAP_TYPE_HASH, sizeof(struct abi_address),
                   sizeof(struct abi_remote), 0},
    [PREFIXES] = {"sm_prefixes", BPF_MAP_TYPE_LPM_TRIE, sizeof(struct abi_prefix),
                  sizeof(struct abi_remote), BPF_F_NO_PREALLOC},
    [SERVICES] = {"sm_services", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint16_t) * ABI_PORTS,
                  0},
    [ENTRIES] = {"sm_entries", BPF_MAP_TYPE_HASH, sizeof(struct abi_entry_key),
                 sizeof(struct abi_entry), 0},
    [PROCESSES] = {"sm_processes", BPF_MAP_TYPE_HASH, sizeof(struct abi_file), sizeof(uint16_t), 0},
    [USERS] = {"sm_users", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(uint16_t), 0},
};

static struct bpf_map *outer_map(const struct host *h, enum table table)
{
    struct bpf_map *const maps[TABLES] = {
        [ADDRESSES] = h->bpf->maps.addresses, [PREFIXES] = h->bpf->maps.prefixes,
        [SERVICES] = h->bpf->maps.services,   [ENTRIES] = h->bpf->maps.entries,
        [PROCESSES] = h->bpf->maps.processes, [USERS] = h->bpf->maps.users,
    };

    return maps[table];
}

static int outer_fd(const struct host *h, enum table table)
{
    return bpf_map__fd(outer_map(h, table));
}

/* libbpf forgets the prototypes of inner maps when it has made the outer ones. */
void tables_learn_types(struct host *h)
{
    for (unsigned table = 0; table < TABLES; table++) {
        const struct bpf_map *inner = bpf_map__inner_map(outer_map(h, (enum table)table));

        if (inner)
            h->inner_types[table] = (struct host_inner_types){bpf_map__btf_key_type_id(inner),
                                                              bpf_map__btf_value_type_id(inner)};
    }
}

struct rows { /* Keys and values of a table, side by side, as the batch call wants them. */
    char *keys, *values;
    size_t n;
};

static void rows_done(struct rows *r)
{
    free(r->keys);
    free(r->values);
}

static struct rows rows_of(enum table table, size_t room)
{
    return (struct rows){.keys = xcalloc(room, shapes[table].key_size),
                         .values = xcalloc(room, shapes[table].value_size)};
}

static void rows_add(struct rows *r, enum table table, const void *key, const void *value)
{
    memcpy(r->keys + r->n * shapes[table].key_size, key, shapes[table].key_size);
    memcpy(r->values + r->n * shapes[table].value_size, value, shapes[table].value_size);
    r->n++;
}

static uint32_t map_id(int fd)
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

/* Makes the inner map and puts it into the slot. */
static int put(struct host *h, unsigned slot, enum table table, const struct rows *rows)
{
    const struct shape *shape = &shapes[table];
    struct host_slot *s = &h->slots[slot];
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = shape->flags,
                .btf_fd = (uint32_t)bpf_object__btf_fd(h->bpf->obj),
                .btf_key_type_id = h->inner_types[table].key,
                .btf_value_type_id = h->inner_types[table].value);
    uint32_t key = slot, n = rows->n ? (uint32_t)rows->n : 1;
    int fd, r;

    if (table == SERVICES)
        n = ABI_ROWS;
    fd = bpf_map_create(shape->type, shape->name, shape->key_size, shape->value_size, n, &opts);
    if (fd < 0)
        return -errno;
    r = fill(fd, shape, rows);
    if (r == 0 && bpf_map_freeze(fd) < 0)
        r = -errno;
    if (r == 0 && bpf_map_update_elem(outer_fd(h, table), &key, &fd, BPF_ANY) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    if (s->inner_fds[table] >= 0)
        close(s->inner_fds[table]);
    s->inner_fds[table] = fd;
    s->inner_ids[table] = map_id(fd);
    return 0;
}

static struct abi_remote remote_of(const struct program_address *a)
{
    return (struct abi_remote){
        .identity = a->identity, .mode = a->mode, .flags = a->self ? ABI_REMOTE_SELF : 0};
}

static int put_addresses(struct host *h, unsigned slot, const struct program *p)
{
    static const struct abi_address v4_loopback = {{0, 0, 0, 0}};
    CLEANUP(rows_done) struct rows exact = rows_of(ADDRESSES, p->n_addresses + 1);
    CLEANUP(rows_done) struct rows prefixes = rows_of(PREFIXES, p->n_addresses + 1);
    struct abi_prefix loopback = {.length = 104, .address = v4_loopback};
    struct abi_address one = v4_loopback;
    struct abi_remote self = {.flags = ABI_REMOTE_SELF};
    int r;

    for (size_t i = 0; i < p->n_addresses; i++) {
        const struct program_address *a = &p->addresses[i];
        struct abi_remote remote = remote_of(a);
        struct abi_prefix prefix = {.length = a->length, .address = abi_address_of(&a->address)};

        if (a->length == 128)
            rows_add(&exact, ADDRESSES, &prefix.address, &remote);
        else
            rows_add(&prefixes, PREFIXES, &prefix, &remote);
    }
    /* 127.0.0.0/8 and ::1: inside the box, whatever the inventory says. */
    loopback.address.word[2] = htonl(0xffff);
    loopback.address.word[3] = htonl(0x7f000000);
    rows_add(&prefixes, PREFIXES, &loopback, &self);
    one.word[3] = htonl(1);
    rows_add(&exact, ADDRESSES, &one, &self);
    r = put(h, slot, ADDRESSES, &exact);
    return r < 0 ? r : put(h, slot, PREFIXES, &prefixes);
}

static int put_services(struct host *h, unsigned slot, const struct program *p)
{
    CLEANUP(rows_done) struct rows rows = rows_of(SERVICES, ABI_ROWS);
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
    return put(h, slot, SERVICES, &rows);
}

static int put_entries(struct host *h, unsigned slot, const struct program *p)
{
    CLEANUP(rows_done) struct rows rows = rows_of(ENTRIES, p->n_entries);

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

        rows_add(&rows, ENTRIES, &key, &value);
    }
    return put(h, slot, ENTRIES, &rows);
}

int tables_put_processes(struct host *h, unsigned slot)
{
    const struct host_slot *s = &h->slots[slot];
    CLEANUP(rows_done) struct rows rows = rows_of(PROCESSES, s->n_processes);

    for (size_t i = 0; i < s->n_processes; i++)
        if (s->processes[i].usable)
            rows_add(&rows, PROCESSES, &s->processes[i].file, &s->processes[i].class);
    return put(h, slot, PROCESSES, &rows);
}

static const struct program_user *find_user(const struct host_slot *s, const char *name)
{
    for (size_t i = 0; i < s->n_users; i++)
        if (strcmp(s->users[i].name, name) == 0)
            return &s->users[i];
    return NULL;
}

/* Local accounts only: asking a directory over the network is no work for this process. */
int tables_put_users(struct host *h, unsigned slot)
{
    const struct host_slot *s = &h->slots[slot];
    CLEANUP(rows_done) struct rows rows = rows_of(USERS, s->n_users);
    FILE *accounts = s->n_users ? fopen("/etc/passwd", "re") : NULL;
    const struct passwd *account;

    while (accounts && rows.n < s->n_users && (account = fgetpwent(accounts))) {
        const struct program_user *u = find_user(s, account->pw_name);
        uint32_t uid = account->pw_uid;

        if (u)
            rows_add(&rows, USERS, &uid, &u->class);
    }
    if (accounts)
        fclose(accounts);
    return put(h, slot, USERS, &rows);
}

static void keep_names(struct host_slot *s, const struct program *p)
{
    s->processes = xcalloc(p->n_processes, sizeof *s->processes);
    s->n_processes = p->n_processes;
    for (size_t i = 0; i < p->n_processes; i++) {
        memcpy(s->processes[i].path, p->processes[i].path, PROGRAM_PATH_SIZE);
        s->processes[i].class = p->processes[i].class;
    }
    s->users = xcalloc(p->n_users, sizeof *s->users);
    s->n_users = p->n_users;
    if (p->n_users)
        memcpy(s->users, p->users, p->n_users * sizeof *s->users);
}

static void keep_head(struct host_slot *s, const struct program *p)
{
    s->revision = p->revision;
    s->head = (struct abi_slot){.revision = p->revision,
                                .identity = p->identity,
                                .mode = (uint32_t)p->mode,
                                .n_lifeline = (uint32_t)p->n_lifeline};
    for (size_t i = 0; i < p->n_lifeline; i++) {
        const struct program_lifeline *l = &p->lifeline[i];
        struct abi_lifeline *to = &s->head.lifeline[i];

        *to = (struct abi_lifeline){
            .address = abi_address_of(&l->address), .port = l->port, .protocol = l->protocol};
        for (size_t a = 0; a < p->n_addresses; a++)
            if (p->addresses[a].self &&
                address_in_prefix(&l->address, &p->addresses[a].address, p->addresses[a].length))
                to->here = 1;
    }
}

void tables_init(struct host_slot *s)
{
    *s = (struct host_slot){.filled = false};
    for (size_t i = 0; i < TABLES; i++)
        s->inner_fds[i] = -1;
}

void tables_done(struct host_slot *s)
{
    for (size_t i = 0; i < TABLES; i++)
        if (s->inner_fds[i] >= 0)
            close(s->inner_fds[i]);
    free(s->processes);
    free(s->users);
    tables_init(s);
}

int tables_fill(struct host *h, unsigned slot, const struct program *p, struct buf *why)
{
    struct host_slot *s = &h->slots[slot];
    const char *what = "addresses";
    int r;

    tables_done(s);
    keep_names(s, p);
    keep_head(s, p);
    programs_look(h, s->processes, s->n_processes);
    r = put_addresses(h, slot, p);
    if (r == 0)
        what = "services", r = put_services(h, slot, p);
    if (r == 0)
        what = "entries", r = put_entries(h, slot, p);
    if (r == 0)
        what = "processes", r = tables_put_processes(h, slot);
    if (r == 0)
        what = "users", r = tables_put_users(h, slot);
    if (r < 0) {
        buf_printf(why, "the kernel refused the table of %s (%zu entries, %zu addresses): %s", what,
                   p->n_entries, p->n_addresses, strerror(-r));
        tables_done(s);
        return r;
    }
    s->filled = true;
    return 0;
}

/* Somebody with root may have put other maps into our slots. */
void tables_verify(struct host *h)
{
    for (uint32_t slot = 0; slot < ABI_SLOTS; slot++) {
        const struct host_slot *s = &h->slots[slot];

        for (unsigned table = 0; s->filled && table < TABLES; table++) {
            uint32_t id = 0;

            if (bpf_map_lookup_elem(outer_fd(h, (enum table)table), &slot, &id) == 0 &&
                id == s->inner_ids[table])
                continue;
            if (bpf_map_update_elem(outer_fd(h, (enum table)table), &slot, &s->inner_fds[table],
                                    BPF_ANY) == 0)
                host_notice(h, NOTICE_TAMPER, "table %s of slot %u was replaced; put back",
                            shapes[table].name, slot);
        }
    }
}
