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

static struct bpf_map *outer_map(const struct host *h, enum table table)
{
    struct bpf_map *const maps[TABLES] = {
        [TABLE_ADDRESSES] = h->bpf->maps.addresses, [TABLE_PREFIXES] = h->bpf->maps.prefixes,
        [TABLE_SERVICES] = h->bpf->maps.services,   [TABLE_ENTRIES] = h->bpf->maps.entries,
        [TABLE_PROCESSES] = h->bpf->maps.processes, [TABLE_USERS] = h->bpf->maps.users,
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
            h->inner_types[table] = (struct table_types){bpf_map__btf_key_type_id(inner),
                                                         bpf_map__btf_value_type_id(inner)};
    }
}

/* Makes the inner map and puts it into the slot. */
static int put(struct host *h, unsigned slot, enum table table, const struct rows *rows)
{
    struct host_slot *s = &h->slots[slot];
    uint32_t key = slot;
    int fd, r;

    r = table_make(table, rows, bpf_object__btf_fd(h->bpf->obj), &h->inner_types[table], &fd);
    if (r < 0)
        return r;
    if (bpf_map_update_elem(outer_fd(h, table), &key, &fd, BPF_ANY) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    if (s->inner_fds[table] >= 0)
        close(s->inner_fds[table]);
    s->inner_fds[table] = fd;
    s->inner_ids[table] = table_map_id(fd);
    return 0;
}

static int put_addresses(struct host *h, unsigned slot, const struct program *p)
{
    CLEANUP(rows_done) struct rows exact = {.keys = NULL};
    CLEANUP(rows_done) struct rows prefixes = {.keys = NULL};
    int r;

    rows_addresses(p, true, &exact, &prefixes);
    r = put(h, slot, TABLE_ADDRESSES, &exact);
    return r < 0 ? r : put(h, slot, TABLE_PREFIXES, &prefixes);
}

static int put_services(struct host *h, unsigned slot, const struct program *p)
{
    CLEANUP(rows_done) struct rows rows = rows_services(p);

    return put(h, slot, TABLE_SERVICES, &rows);
}

static int put_entries(struct host *h, unsigned slot, const struct program *p)
{
    CLEANUP(rows_done) struct rows rows = rows_entries(p);

    return put(h, slot, TABLE_ENTRIES, &rows);
}

int tables_put_processes(struct host *h, unsigned slot)
{
    const struct host_slot *s = &h->slots[slot];
    CLEANUP(rows_done) struct rows rows = rows_of(TABLE_PROCESSES, s->n_processes);

    for (size_t i = 0; i < s->n_processes; i++)
        if (s->processes[i].usable)
            rows_add(&rows, TABLE_PROCESSES, &s->processes[i].file, &s->processes[i].class);
    return put(h, slot, TABLE_PROCESSES, &rows);
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
    CLEANUP(rows_done) struct rows rows = rows_of(TABLE_USERS, s->n_users);
    FILE *accounts = s->n_users ? fopen("/etc/passwd", "re") : NULL;
    const struct passwd *account;

    while (accounts && rows.n < s->n_users && (account = fgetpwent(accounts))) {
        const struct program_user *u = find_user(s, account->pw_name);
        uint32_t uid = account->pw_uid;

        if (u)
            rows_add(&rows, TABLE_USERS, &uid, &u->class);
    }
    if (accounts)
        fclose(accounts);
    return put(h, slot, TABLE_USERS, &rows);
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
    s->revision = p->revision;
    s->head = table_head(p);
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
                            table_name((enum table)table), slot);
        }
    }
}
