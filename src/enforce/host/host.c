/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an enforcer: load, apply, switch, watch; see host.h. */
#include "enforce/host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/common/pins.h"
#include "enforce/common/suspects.h"
#include "enforce/host/internal.h"
#include "host.skel.h"
#include "rejudge.skel.h"
#include "script.skel.h"
#include "sweep.skel.h"

enum { NICS_EVERY = 6 };

void host_notice(struct host *h, enum enforcer_notice kind, const char *format, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (kind == NOTICE_TAMPER)
        h->n_tampers++;
    h->events.notice(h->events.arg, kind, buf_str(&text));
}

/* ---- Loading --------------------------------------------------------------------------------- */

static int set_pin_paths(struct bpf_object *object, const char *pin_dir)
{
    struct bpf_map *map;
    char path[256];

    bpf_object__for_each_map(map, object)
    {
        (void)snprintf(path, sizeof(path), "%s/map_%s", pin_dir, bpf_map__name(map));
        if (bpf_map__set_pin_path(map, path) < 0)
            return -errno;
    }
    return 0;
}

static int check_places(const struct host_options *o, struct host *h, struct buf *why)
{
    CLEANUP(free_voidp) char *parent = xstrdup(o->pin_dir);
    char *slash = strrchr(parent, '/');
    struct statfs fs;

    if (slash && slash != parent)
        *slash = 0;
    if (statfs(parent, &fs) < 0 || fs.f_type != BPF_FS_MAGIC) {
        buf_printf(why, "%s is no BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf",
                   parent);
        return -ENOENT;
    }
    if (mkdir(o->pin_dir, 0700) < 0 && errno != EEXIST) {
        buf_printf(why, "cannot make %s: %s", o->pin_dir, strerror(errno));
        return -errno;
    }
    h->cgroup_fd = open(o->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->cgroup_fd < 0 || fstatfs(h->cgroup_fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
        buf_printf(why, "%s is no directory of a cgroup v2 file system", o->cgroup);
        return -ENOENT;
    }
    return 0;
}

static int load_error(struct buf *why, const char *what, int r)
{
    buf_printf(why, "the kernel refused the %s programs: %s%s", what, strerror(-r),
               r == -EPERM ? " (root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, is needed)" : "");
    return r;
}

static int load(struct host *h, struct buf *why)
{
    int r;

    h->bpf = host_bpf__open();
    h->sweep = sweep_bpf__open();
    if (!h->bpf || !h->sweep)
        return load_error(why, "enforcer's", -errno);
    tables_learn_types(h);
    r = set_pin_paths(h->bpf->obj, h->pin_dir);
    if (r == 0)
        r = set_pin_paths(h->sweep->obj, h->pin_dir);
    if (r == 0)
        r = host_bpf__load(h->bpf);
    if (r < 0)
        return load_error(why, "enforcer's", r);
    r = sweep_bpf__load(h->sweep);
    if (r < 0)
        return load_error(why, "iterator", r);

    h->rejudge = rejudge_bpf__open();
    if (h->rejudge &&
        (set_pin_paths(h->rejudge->obj, h->pin_dir) < 0 || rejudge_bpf__load(h->rejudge) < 0)) {
        rejudge_bpf__destroy(h->rejudge); /* Before Linux 6.5: connections starve instead. */
        h->rejudge = NULL;
    }
    h->script = script_bpf__open();
    if (h->script && (set_pin_paths(h->script->obj, h->pin_dir) < 0 ||
                      script_bpf__load(h->script) < 0 || script_bpf__attach(h->script) < 0)) {
        script_bpf__destroy(h->script);
        h->script = NULL;
    }
    return 0;
}

static void take_over_config(struct host *h)
{
    uint32_t zero = 0;

    if (bpf_map_lookup_elem(bpf_map__fd(h->bpf->maps.config), &zero, &h->config) < 0)
        memset(&h->config, 0, sizeof(h->config));
    if (h->config.active) {
        h->generations[0].active = h->config.active;
        h->generations[0].revision = h->config.slots[h->config.active & 1].revision;
    }
    h->config.flags =
        (h->config.flags & ABI_FLAG_SUSPECTS) | (h->options.cgroup_is_root ? ABI_FLAG_ROOT : 0u);
}

static int no_output(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level;
    (void)format;
    (void)args;
    return 0;
}

void host_quiet_libbpf(void)
{
    if (!getenv("SUIMITSU_LIBBPF_LOG")) /* For reports of bugs: the verifier's own words. */
        libbpf_set_print(no_output);
}

int host_new(const struct host_options *options, const struct enforcer_events *events,
             struct host **ret_h, struct buf *why)
{
    CLEANUP(host_freep) struct host *h = xcalloc(1, sizeof *h);
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    int r;

    h->cgroup_fd = -1;
    h->netlink_fd = -1;
    for (unsigned slot = 0; slot < ABI_SLOTS; slot++)
        tables_init(&h->slots[slot]);
    for (size_t i = 0; i < HOST_LINKS; i++)
        h->links[i].fd = -1;
    h->options = *options;
    h->options.pin_dir = h->pin_dir = xstrdup(options->pin_dir);
    h->options.cgroup = h->cgroup = xstrdup(options->cgroup);
    h->events = *events;

    host_quiet_libbpf();
    (void)setrlimit(RLIMIT_MEMLOCK, &unlimited); /* Counts only before Linux 5.11. */
    r = check_places(options, h, why);
    if (r == 0)
        r = load(h, why);
    if (r == 0)
        r = host_open_events(h, why);
    if (r == 0)
        r = nics_open(h, why);
    if (r < 0)
        return r;
    take_over_config(h);
    *ret_h = TAKE_PTR(h);
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void host_free(struct host *h)
{
    if (!h)
        return;
    host_close_events(h);
    for (unsigned slot = 0; slot < ABI_SLOTS; slot++)
        tables_done(&h->slots[slot]);
    for (size_t i = 0; i < HOST_LINKS; i++)
        close_fd(h->links[i].fd);
    close_fd(h->cgroup_fd);
    close_fd(h->netlink_fd);
    script_bpf__destroy(h->script);
    rejudge_bpf__destroy(h->rejudge);
    sweep_bpf__destroy(h->sweep);
    host_bpf__destroy(h->bpf);
    free(h->pin_dir);
    free(h->cgroup);
    free(h);
}

/* ---- Changing the policy -----------------------------------------------------------------------
 */

int host_store_config(struct host *h)
{
    uint32_t zero = 0;

    return bpf_map_update_elem(bpf_map__fd(h->bpf->maps.config), &zero, &h->config, BPF_ANY) < 0
               ? -errno
               : 0;
}

/* One more generation in 'slot': sockets and flows are judged again from the next packet on. */
static int activate(struct host *h, unsigned slot)
{
    uint64_t generation = (h->config.active >> 1) + 1;
    uint64_t before = h->config.active;
    int r;

    h->config.active = generation << 1 | slot;
    r = host_store_config(h);
    if (r < 0) {
        h->config.active = before;
        return r;
    }
    h->generations[generation % GENERATIONS_KEPT].active = h->config.active;
    h->generations[generation % GENERATIONS_KEPT].revision = h->config.slots[slot].revision;
    if (h->attached)
        sockets_rejudge(h);
    return 0;
}

static void set_suspects_flag(struct host *h)
{
    struct abi_address any;

    if (bpf_map_get_next_key(bpf_map__fd(h->bpf->maps.suspects), NULL, &any) == 0)
        h->config.flags |= ABI_FLAG_SUSPECTS;
    else
        h->config.flags &= ~(uint32_t)ABI_FLAG_SUSPECTS;
}

static bool stays_suspect(void *suspects, const struct abi_address *a)
{
    return suspects_have(suspects, a);
}

static void sync_trust(struct host *h, const struct program *p)
{
    CLEANUP(suspects_done) struct suspects s = suspects_of(p);
    int fd = bpf_map__fd(h->bpf->maps.suspects);

    (void)suspects_add(fd, p); /* What does not fit is judged by the program's own entries. */
    suspects_trim(fd, stays_suspect, &s);
    set_suspects_flag(h);
    h->config.trust = (uint32_t)p->trust;
}

int host_apply(struct host *h, const struct program *p, struct buf *why)
{
    unsigned slot = h->config.active ? !(h->config.active & 1) : 0;
    int r;

    if (p->n_entries > h->options.max_entries) {
        buf_printf(why,
                   "the policy for %s needs %zu entries, the limit here is %u; kept revision "
                   "%llu",
                   p->endpoint, p->n_entries, h->options.max_entries,
                   (unsigned long long)host_revision(h));
        return -E2BIG;
    }
    r = tables_fill(h, slot, p, why);
    if (r < 0)
        return r;
    h->config.slots[slot] = h->slots[slot].head;
    sync_trust(h, p);
    r = activate(h, slot);
    if (r < 0)
        buf_printf(why, "cannot switch to revision %llu: %s", (unsigned long long)p->revision,
                   strerror(-r));
    return r;
}

int host_back(struct host *h, struct buf *why)
{
    unsigned other = !(h->config.active & 1);
    int r;

    if (!h->slots[other].filled) {
        buf_puts(why, "there is no former program to go back to");
        return -ENOENT;
    }
    r = activate(h, other);
    if (r < 0)
        buf_printf(why, "cannot switch back: %s", strerror(-r));
    return r;
}

uint64_t host_revision(const struct host *h)
{
    return h->config.active ? h->config.slots[h->config.active & 1].revision : 0;
}

int host_set_trust(struct host *h, const struct address *address, enum trust trust)
{
    int fd = bpf_map__fd(h->bpf->maps.suspects), r;
    struct abi_address key = abi_address_of(address);
    uint32_t value = (uint32_t)trust;

    if (trust == TRUST_WHITE)
        r = bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT ? -errno : 0;
    else
        r = bpf_map_update_elem(fd, &key, &value, BPF_ANY) < 0 ? -errno : 0;
    if (r < 0)
        return r;
    set_suspects_flag(h);
    return activate(h, h->config.active & 1);
}

int host_set_own_trust(struct host *h, enum trust trust)
{
    h->config.trust = (uint32_t)trust;
    return activate(h, h->config.active & 1);
}

/* ---- Attaching and watching
 * ---------------------------------------------------------------------- */

int host_attach(struct host *h, struct buf *why)
{
    int r;

    if (!h->config.active) {
        buf_puts(why, "no program was applied yet: attaching now would cut everything off");
        return -EINVAL;
    }
    r = host_store_config(h);
    if (r == 0)
        r = attach_links(h, why);
    if (r < 0)
        return r;
    nics_refresh(h, true);
    h->attached = true;
    sockets_rejudge(h);
    return 0;
}

void host_watch(struct host *h)
{
    if (!h->attached)
        return;
    host_verify_hooks(h);
    tables_verify(h);
    programs_follow(h);
    /* The kernel tells of every change of interfaces and filters (host_link_fd()); this is only for
     * a message that was lost. */
    if (++h->n_watches % NICS_EVERY == 0)
        nics_refresh(h, false);
}

uint64_t host_counter(const struct host *h, uint32_t which)
{
    int n_cpus = libbpf_num_possible_cpus();
    CLEANUP(free_voidp) uint64_t *values = xcalloc(n_cpus > 0 ? (size_t)n_cpus : 1, sizeof *values);
    uint64_t sum = 0;

    if (bpf_map_lookup_elem(bpf_map__fd(h->bpf->maps.counters), &which, values) < 0)
        return 0;
    for (int i = 0; i < n_cpus; i++)
        sum += values[i];
    return sum;
}

void host_status(struct host *h, struct host_status *ret_status)
{
    *ret_status = (struct host_status){.revision = host_revision(h),
                                       .generation = h->config.active >> 1,
                                       .n_nics = h->n_nics,
                                       .can_destroy = h->rejudge != NULL,
                                       .n_counters = ABI_COUNTERS,
                                       .n_tampers = h->n_tampers};
    for (size_t i = 0; i < HOST_LINKS; i++)
        ret_status->hooks[ret_status->n_hooks++] =
            (struct host_hook){h->links[i].name ? h->links[i].name : "?", h->links[i].fd >= 0};
    for (uint32_t i = 0; i < ABI_COUNTERS; i++)
        ret_status->counters[i] = host_counter(h, i);
}

const char *host_counter_name(size_t counter)
{
    static const char *const names[ABI_COUNTERS] = {
        "allowed",       "would_deny",   "denied",    "lost_flows", "lost_closes",
        "lost_programs", "lost_denials", "malformed", "foreign",    "no_config",
        "stray",         "untagged",     "destroyed", "adopted"};

    return counter < ABI_COUNTERS ? names[counter] : "?";
}

/* ---- The end
 * ---------------------------------------------------------------------------------------- */

static void remove_filters(void)
{
    struct if_nameindex *all = if_nameindex();

    for (const struct if_nameindex *i = all; i && i->if_index; i++)
        nics_uncover(i->if_index);
    if (all)
        if_freenameindex(all);
}

static void end_hooks(void)
{
    host_quiet_libbpf();
    remove_filters();
}

int host_detach(const char *pin_dir, struct buf *why)
{
    return pins_remove(pin_dir, end_hooks, why);
}
