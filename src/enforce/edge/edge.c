/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the edge: load, bind, switch, watch; see edge.h. */
#include "enforce/edge/edge.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "edge.skel.h"
#include "enforce/common/filter.h"
#include "enforce/common/pins.h"
#include "enforce/edge/guard.h"
#include "enforce/edge/internal.h"
#include "enforce/edge/pair.h"

enum {
    GUARD_EVERY = 10,  /* Watches: seconds times two. */
    SHORTEST_TEST = 34 /* Ethernet and IPv4: shorter frames are not run. */
};

void edge_notice(struct edge *e, enum enforcer_notice kind, const char *format, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (kind == NOTICE_TAMPER)
        e->n_tampers++;
    e->events.notice(e->events.arg, kind, buf_str(&text));
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int check_place(const char *pin_dir, struct buf *why)
{
    CLEANUP(free_voidp) char *parent = xstrdup(pin_dir);
    char *slash = strrchr(parent, '/');
    struct statfs fs;

    if (slash && slash != parent)
        *slash = 0;
    if (statfs(parent, &fs) < 0 || fs.f_type != BPF_FS_MAGIC) {
        buf_printf(why, "%s is no BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf",
                   parent);
        return -ENOENT;
    }
    if (mkdir(pin_dir, 0700) < 0 && errno != EEXIST) {
        buf_printf(why, "cannot make %s: %s", pin_dir, strerror(errno));
        return -errno;
    }
    return 0;
}

static int set_pin_paths(struct edge *e)
{
    struct bpf_map *map;
    char path[256];

    bpf_object__for_each_map(map, e->bpf->obj)
    {
        (void)snprintf(path, sizeof(path), "%s/map_%s", e->pin_dir, bpf_map__name(map));
        if (bpf_map__set_pin_path(map, path) < 0)
            return -errno;
    }
    return 0;
}

static int load(struct edge *e, struct buf *why)
{
    int r = 0;

    e->bpf = edge_bpf__open();
    if (!e->bpf || bpf_map__set_max_entries(e->bpf->maps.edge_flows, e->options.max_flows) < 0 ||
        bpf_map__set_max_entries(e->bpf->maps.dues, e->options.max_flows) < 0)
        r = -errno;
    if (r == 0) {
        edge_learn_types(e);
        r = set_pin_paths(e);
    }
    if (r == 0)
        r = edge_bpf__load(e->bpf);
    if (r == -EINVAL)
        buf_printf(why,
                   "what is pinned in %s has another shape (another number of flows, or another "
                   "version); detach it first",
                   e->pin_dir);
    else if (r < 0)
        buf_printf(why, "the kernel refused the edge programs: %s%s", strerror(-r),
                   r == -EPERM ? " (root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, is needed)"
                               : "");
    return r == -EINVAL ? -EEXIST : r;
}

static int no_output(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

static void quiet_libbpf(void)
{
    if (!getenv("SUIMITSU_LIBBPF_LOG")) /* For reports of bugs: the verifier's own words. */
        libbpf_set_print(no_output);
}

/* The clock that looks at the flows runs in the kernel, whoever wound it up. */
static int start_clock(const struct edge *e)
{
    static const unsigned char frame[SHORTEST_TEST] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame));
    int r = bpf_prog_test_run_opts(bpf_program__fd(e->bpf->progs.start_clock), &run);

    return r < 0 ? -errno : run.retval == (uint32_t)TC_ACT_UNSPEC ? 0 : -ENOMEM;
}

int edge_store_port(struct edge *e, uint32_t number)
{
    return bpf_map_update_elem(bpf_map__fd(e->bpf->maps.ports), &number, &e->ports[number].kernel,
                               BPF_ANY) < 0
               ? -errno
               : 0;
}

int edge_store_config(struct edge *e)
{
    uint32_t zero = 0;

    return bpf_map_update_elem(bpf_map__fd(e->bpf->maps.edge_config), &zero, &e->config, BPF_ANY) <
                   0
               ? -errno
               : 0;
}

static int wind_up(const struct edge *e, struct buf *why)
{
    int r = start_clock(e);

    if (r < 0)
        buf_printf(why, "cannot start the clock of the flows: %s", strerror(-r));
    return r;
}

/* Ports as the former agent left them: they go on, whether or not somebody asks for them. */
static void take_over(struct edge *e)
{
    uint32_t zero = 0;

    for (uint32_t number = 1; number < EDGE_PORTS; number++) {
        struct port *p = &e->ports[number];

        p->links[0] = p->links[1] = -1;
        if (bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.ports), &number, &p->kernel) < 0 ||
            !p->kernel.name[0] || p->kernel.name[EDGE_NAME_SIZE - 1])
            continue;
        p->used = true;
        events_start_port(e, number, false);
        memcpy(p->binding.interface, p->kernel.name, EDGE_NAME_SIZE);
        p->binding.open_before = p->kernel.flags & EDGE_PORT_OPEN_BEFORE;
        p->revisions[0].active = p->kernel.active;
        p->revisions[0].revision = p->kernel.slots[p->kernel.active & 1].revision;
        if (p->kernel.active >> 1 > e->generation)
            e->generation = p->kernel.active >> 1;
        if (p->kernel.epoch > e->epoch)
            e->epoch = p->kernel.epoch;
    }
    (void)bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.edge_config), &zero, &e->config);
}

static int set_servers(struct edge *e)
{
    int fd = bpf_map__fd(e->bpf->maps.dhcp_servers);
    struct abi_address key;
    uint32_t one = 1;

    while (bpf_map_get_next_key(fd, NULL, &key) == 0)
        if (bpf_map_delete_elem(fd, &key) < 0)
            return -errno;
    for (size_t i = 0; i < e->options.n_dhcp_servers; i++) {
        key = abi_address_of(&e->options.dhcp_servers[i]);
        if (bpf_map_update_elem(fd, &key, &one, BPF_ANY) < 0)
            return -errno;
    }
    return 0;
}

static int configure(struct edge *e, struct buf *why)
{
    int r = set_servers(e);

    e->config.flags &= ~(uint32_t)EDGE_FLAG_SERVERS;
    if (e->options.n_dhcp_servers)
        e->config.flags |= EDGE_FLAG_SERVERS;
    e->config.max_port_flows = e->options.max_port_flows;
    e->config.max_port_half = e->options.max_port_half;
    if (r == 0)
        r = edge_store_config(e);
    if (r < 0)
        buf_printf(why, "cannot write the edge's settings: %s", strerror(-r));
    return r;
}

int edge_new(const struct edge_options *options, const struct enforcer_events *events,
             struct edge **ret_e, struct buf *why)
{
    CLEANUP(edge_freep) struct edge *e = xcalloc(1, sizeof *e);
    int r;

    e->ports = xcalloc(EDGE_PORTS, sizeof *e->ports);
    e->netlink_fd = e->claim_fd = -1;
    e->options = *options;
    e->options.pin_dir = e->pin_dir = xstrdup(options->pin_dir);
    e->no_tcx = options->no_tcx;
    e->events = *events;
    for (uint32_t number = 0; number < EDGE_PORTS; number++)
        e->ports[number].links[0] = e->ports[number].links[1] = -1;

    quiet_libbpf();
    r = claim_namespace(e, why);
    if (r == 0)
        r = check_place(e->pin_dir, why);
    if (r == 0)
        r = load(e, why);
    if (r == 0)
        r = wind_up(e, why);
    if (r == 0)
        r = events_open(e, why);
    if (r == 0)
        r = attach_listen(e, why);
    if (r < 0)
        return r;
    take_over(e);
    r = configure(e, why);
    e->options.dhcp_servers = NULL;
    if (r == 0)
        r = guard_set(e, why);
    if (r == 0)
        *ret_e = TAKE_PTR(e);
    return r;
}

void edge_free(struct edge *e)
{
    if (!e)
        return;
    events_done(e);
    for (uint32_t number = 0; number < EDGE_PORTS; number++) {
        for (unsigned slot = 0; slot < ABI_SLOTS; slot++)
            edge_empty(e, &e->ports[number].slots[slot]);
        suspects_done(&e->ports[number].suspects);
        for (unsigned direction = 0; direction < 2; direction++)
            if (e->ports[number].links[direction] >= 0)
                close(e->ports[number].links[direction]);
    }
    if (e->netlink_fd >= 0)
        close(e->netlink_fd);
    if (e->claim_fd >= 0)
        close(e->claim_fd);
    edge_bpf__destroy(e->bpf);
    free(e->ports);
    free(e->pin_dir);
    free(e);
}

/* ---- Ports ----------------------------------------------------------------------------------- */

struct port *edge_find(const struct edge *e, const char *interface, uint32_t *ret_number)
{
    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (e->ports[number].used && strcmp(e->ports[number].binding.interface, interface) == 0) {
            if (ret_number)
                *ret_number = number;
            return &e->ports[number];
        }
    return NULL;
}

static bool binding_is_fine(const struct edge_binding *b)
{
    size_t len = strnlen(b->interface, sizeof(b->interface));

    if (!len || len == sizeof(b->interface) || strchr(b->interface, '/') || !b->n_macs ||
        b->n_macs > EDGE_MAX_MACS)
        return false;
    for (size_t i = 0; i < b->n_macs; i++)
        if (b->macs[i][0] & 1)
            return false; /* A group is nobody's own. */
    return true;
}

static uint32_t free_number(const struct edge *e)
{
    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (!e->ports[number].used)
            return number;
    return 0;
}

static bool same_macs(const struct edge_binding *a, const struct edge_binding *b)
{
    return a->n_macs == b->n_macs && memcmp(a->macs, b->macs, a->n_macs * sizeof(a->macs[0])) == 0;
}

static void start_port(struct edge *e, uint32_t number, const struct edge_binding *b)
{
    struct port *p = &e->ports[number];
    struct edge_use none = {.flows = 0};

    *p = (struct port){.used = true, .links = {-1, -1}};
    p->kernel.epoch = ++e->epoch;
    memcpy(p->kernel.name, b->interface, EDGE_NAME_SIZE);
    (void)bpf_map_update_elem(bpf_map__fd(e->bpf->maps.uses), &number, &none, BPF_ANY);
    events_start_port(e, number, true);
}

int edge_put_port(struct edge *e, const struct edge_binding *b, struct buf *why)
{
    struct port *p;
    uint32_t number;
    bool moved;
    int r;

    if (!binding_is_fine(b)) {
        buf_puts(why, "a port needs an interface's name and 1 to 8 MACs, none of them a group's");
        return -EINVAL;
    }
    p = edge_find(e, b->interface, &number);
    if (!p) {
        number = free_number(e);
        if (!number) {
            buf_printf(why, "%s: there are %d ports already", b->interface, EDGE_PORTS - 1);
            return -ENOSPC;
        }
        start_port(e, number, b);
        p = &e->ports[number];
    }
    moved = !p->bound || !same_macs(&p->binding, b);
    p->binding = *b;
    p->bound = true;
    p->kernel.flags = (b->open_before ? EDGE_PORT_OPEN_BEFORE : 0u) |
                      (b->dhcp_server ? EDGE_PORT_DHCP_SERVER : 0u) |
                      (b->router ? EDGE_PORT_ROUTER : 0u) | (b->learn_dhcp ? EDGE_PORT_LEARN : 0u) |
                      (b->refusal == REFUSE_RESET       ? EDGE_PORT_RESET
                       : b->refusal == REFUSE_EXCEPTION ? EDGE_PORT_EXCEPTION
                                                        : 0u);
    r = bindings_put_macs(e, number, b);
    if (r == 0 && moved && p->kernel.active)
        r = edge_activate(e, number, p->kernel.active & 1); /* Known flows are looked at again. */
    if (r < 0) {
        buf_printf(why, "cannot bind %s: %s", b->interface, strerror(-r));
        return r;
    }
    return attach_port(e, number, why);
}

int edge_join_pair(const char *port, const char *pair, bool open, struct buf *why)
{
    return pair_join(port, pair, open, why);
}

int edge_remove_port(struct edge *e, const char *interface, struct buf *why)
{
    uint32_t number;
    struct port *p = edge_find(e, interface, &number);

    if (!p) {
        buf_printf(why, "%s is no port of this edge", interface);
        return -ENOENT;
    }
    pair_end(interface); /* A closed wire ends before its programs do. */
    attach_remove(e, number);
    for (unsigned slot = 0; slot < ABI_SLOTS; slot++)
        edge_empty(e, &p->slots[slot]);
    suspects_done(&p->suspects);
    bindings_clear(e, number);
    bindings_forget_flows(e, number);
    *p = (struct port){.links = {-1, -1}};
    return edge_store_port(e, number);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void verify_config(struct edge *e)
{
    struct edge_config now;
    uint32_t zero = 0;

    if (bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.edge_config), &zero, &now) == 0 &&
        memcmp(&now, &e->config, sizeof(now)) == 0)
        return;
    if (edge_store_config(e) == 0)
        edge_notice(e, NOTICE_TAMPER, "the edge's settings were edited; put back");
}

static void verify_port(struct edge *e, uint32_t number)
{
    const struct port *p = &e->ports[number];
    struct edge_port now;

    if (bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.ports), &number, &now) < 0 ||
        memcmp(&now, &p->kernel, sizeof(now)) == 0)
        return;
    if (edge_store_port(e, number) == 0)
        edge_notice(e, NOTICE_TAMPER, "the entry of port %s was edited; put back",
                    p->binding.interface);
}

static void verify_maps(struct edge *e)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, e->bpf->obj)
    {
        const char *path = bpf_map__pin_path(map);

        if (path && access(path, F_OK) < 0 && bpf_obj_pin(bpf_map__fd(map), path) == 0)
            edge_notice(e, NOTICE_TAMPER, "pin %s was removed; put back", path);
    }
}

void edge_watch(struct edge *e)
{
    claim_answer(e);
    verify_config(e);
    verify_maps(e);
    for (uint32_t number = 1; number < EDGE_PORTS; number++) {
        if (!e->ports[number].used || !e->ports[number].bound)
            continue;
        verify_port(e, number);
        edge_verify_tables(e, number);
        attach_verify(e, number);
    }
    attach_refresh(e);
    if (++e->n_watches % GUARD_EVERY == 0) {
        guard_verify(e);
        (void)start_clock(e); /* Whoever edits its map stops it. */
    }
}

static struct edge_port_status status_of(const struct edge *e, uint32_t number)
{
    const struct port *p = &e->ports[number];
    const unsigned slot = p->kernel.active & 1;
    struct edge_use use = {.flows = 0};

    (void)bpf_map_lookup_elem(bpf_map__fd(e->bpf->maps.uses), &number, &use);
    return (struct edge_port_status){
        .interface = p->binding.interface,
        .endpoint = p->slots[slot].endpoint,
        .revision = p->kernel.active ? p->kernel.slots[slot].revision : 0,
        .present = p->attached,
        .open_before = p->binding.open_before,
        .pair = p->binding.pair,
        .joined = p->binding.pair[0] && pair_is_joined(p->binding.interface, p->binding.pair),
        .hook = !p->attached ? "none"
                : p->by_tcx  ? "tcx"
                             : "clsact",
        .n_flows = use.flows,
        .n_half = use.half};
}

size_t edge_learned(const struct edge *e, const char *interface, struct address addresses[],
                    size_t room)
{
    uint32_t number;

    return edge_find(e, interface, &number) ? bindings_leases(e, number, addresses, room) : 0;
}

size_t edge_ports(const struct edge *e, struct edge_port_status ports[], size_t room)
{
    size_t n = 0;

    for (uint32_t number = 1; number < EDGE_PORTS && n < room; number++)
        if (e->ports[number].used)
            ports[n++] = status_of(e, number);
    return n;
}

bool edge_port(const struct edge *e, const char *interface, struct edge_port_status *ret_status)
{
    uint32_t number;

    if (!edge_find(e, interface, &number))
        return false;
    *ret_status = status_of(e, number);
    return true;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void remove_filters(void)
{
    struct if_nameindex *all = if_nameindex();

    for (const struct if_nameindex *i = all; i && i->if_index; i++) {
        struct filter in = {i->if_index, BPF_TC_INGRESS, 0x7365, 1};
        struct filter out = {i->if_index, BPF_TC_EGRESS, 0x7365, 1};

        filter_clear(&in);
        filter_clear(&out);
    }
    if (all)
        if_freenameindex(all);
}

static void end_hooks(void)
{
    quiet_libbpf();
    pair_end_all(); /* A closed wire ends before its programs do. */
    guard_remove();
    remove_filters();
}

int edge_detach(const char *pin_dir, struct buf *why)
{
    return pins_remove(pin_dir, end_hooks, why);
}
