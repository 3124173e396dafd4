/* SPDX-License-Identifier: Apache-2.0 */
/* The seats of endpoints that hang on ports of this machine; see internal.h.
 *
 * Each has a folder edge-ENDPOINT below the state folder, with its binding ("port", sealed) beside
 * what seat.h keeps.  The edge is loaded when there is something to guard. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/enforce/internal.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/sealed.h"

#define FOLDER "edge-"
enum { PORT_FILE_MAX = 4096 };

static int edge_seat_apply(struct seat *s, const struct program *p, struct buf *why)
{
    const struct enforce *e = s->owner;

    if (!e->edge) { /* It could not be loaded, which was told. */
        buf_puts(why, "there is no edge on this machine");
        return -ENODEV;
    }
    (void)edge_drain(e->edge); /* As the host's. */
    return edge_load(e->edge, s->port.interface, p, why);
}

static int edge_seat_trust(struct seat *s, const struct address *address, bool own,
                           enum trust trust)
{
    const struct enforce *e = s->owner;

    (void)own; /* The edge knows whose addresses hang where. */
    return e->edge ? edge_set_trust(e->edge, address, trust) : -ENODEV;
}

static uint64_t edge_seat_revision(const struct seat *s)
{
    const struct enforce *e = s->owner;
    struct edge_port_status status;

    return e->edge && edge_port(e->edge, s->port.interface, &status) ? status.revision : 0;
}

static const struct seat_ops edge_ops = {.apply = edge_seat_apply,
                                         .set_trust = edge_seat_trust,
                                         .revision = edge_seat_revision,
                                         .tell = enforce_tell};

/* ---- the edge itself ---- */

static void events_ready(int fd, void *arg)
{
    struct enforce *e = arg;

    (void)fd;
    (void)edge_drain(e->edge);
}

static void links_ready(int fd, void *arg)
{
    struct enforce *e = arg;

    (void)fd;
    edge_links_changed(e->edge);
}

static int need_edge(struct enforce *e, struct buf *why)
{
    const struct enforcer_events events = enforce_events(e);
    int r;

    if (e->edge)
        return 0;
    r = edge_new(&e->options.edge, &events, &e->edge, why);
    if (r < 0)
        return r;
    e->edge_events_watch = watch_new(e->loop, edge_events_fd(e->edge), events_ready, e);
    e->edge_links_watch = watch_new(e->loop, edge_link_fd(e->edge), links_ready, e);
    return 0;
}

/* ---- interfaces ---- */

static bool master_of(const char *interface, char master[PATH_MAX])
{
    char path[SEAT_DIR_SIZE];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/master", interface);
    n = readlink(path, master, PATH_MAX - 1);
    if (n <= 0)
        return false;
    master[n] = 0;
    return true;
}

bool edges_hold(void *e_, const char *interface)
{
    const struct enforce *e = e_;
    char mine[PATH_MAX], other[PATH_MAX];
    bool has_master = e->n_edges && master_of(interface, mine);

    for (size_t i = 0; i < e->n_edges; i++) {
        const char *port = e->edges[i]->port.interface;

        if (strcmp(port, interface) == 0 ||
            (has_master && master_of(port, other) && strcmp(mine, other) == 0))
            return true;
    }
    return false;
}

static void tell_host(const struct enforce *e)
{
    if (e->host)
        host_refresh_nics(e->host);
}

/* ---- seats ---- */

struct seat *edges_find(const struct enforce *e, const char *endpoint)
{
    struct seat *s;

    HASH_FIND_STR(e->edges_by_name, endpoint, s); /* For each reported flow. */
    return s;
}

struct seat *edges_of_number(const struct enforce *e, uint32_t number)
{
    for (size_t i = 0; i < e->n_edges; i++)
        if (e->edges[i]->number == number)
            return e->edges[i];
    return NULL;
}

/* A name that is a folder's name and nothing more. */
static bool is_plain(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/');
}

static bool is_sound(const struct ipc_port *p)
{
    return memchr(p->endpoint, 0, sizeof(p->endpoint)) && is_plain(p->endpoint) &&
           memchr(p->interface, 0, sizeof(p->interface)) && is_plain(p->interface) &&
           memchr(p->pair, 0, sizeof(p->pair)) && (!p->pair[0] || is_plain(p->pair)) &&
           p->n_macs > 0 && p->n_macs <= IPC_MACS && p->refusal <= REFUSE_EXCEPTION;
}

static struct seat *add_seat(struct enforce *e, const struct ipc_port *port)
{
    char dir[SEAT_DIR_SIZE];
    struct seat *s = xcalloc(1, sizeof(*s));

    (void)snprintf(dir, sizeof(dir), "%s/" FOLDER "%s", e->options.state_dir, port->endpoint);
    seat_init(s, e->loop, &edge_ops, e, dir);
    s->port = *port;
    GROW(e->edges, e->n_edges, e->edges_room);
    e->edges[e->n_edges++] = s;
    HASH_ADD_STR(e->edges_by_name, port.endpoint, s);
    return s;
}

static void drop_seat(struct enforce *e, struct seat *s)
{
    for (size_t i = 0; i < e->n_edges; i++)
        if (e->edges[i] == s) {
            e->edges[i] = e->edges[--e->n_edges];
            break;
        }
    HASH_DEL(e->edges_by_name, s);
    seat_done(s);
    free(s);
}

static int bind_port(struct enforce *e, const struct ipc_port *p, struct buf *why)
{
    struct edge_binding b = {.n_macs = p->n_macs,
                             .open_before = p->open_before,
                             .dhcp_server = p->dhcp_server,
                             .router = p->router,
                             .learn_dhcp = p->learn_dhcp,
                             .refusal = (enum refusal)p->refusal};

    _Static_assert(sizeof(b.macs) == sizeof(p->macs), "as many MACs");
    _Static_assert(sizeof(b.interface) == sizeof(p->interface), "names of interfaces");
    memcpy(b.interface, p->interface, sizeof(b.interface));
    memcpy(b.pair, p->pair, sizeof(b.pair));
    memcpy(b.macs, p->macs, sizeof(b.macs));
    return edge_put_port(e->edge, &b, why);
}

/* An edge that cannot be loaded, or put on this port, leaves a wire that is open standing. */
static void join_open(const struct ipc_port *p)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;

    if (p->pair[0] && p->open_before && edge_join_pair(p->interface, p->pair, true, &why) < 0)
        log_err("%s: %s", p->endpoint, buf_str(&why));
}

static int store_port(const struct seat *s, struct buf *why)
{
    char path[SEAT_DIR_SIZE + 8];
    int r = enforce_make_dir(s->dir, why);

    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "%s/port", s->dir);
    r = sealed_write(path, &s->port, sizeof(s->port));
    if (r < 0)
        buf_printf(why, "%s: %s", path, strerror(-r));
    return r;
}

static void remove_state(const struct seat *s)
{
    state_remove(s->dir, "port");
    state_remove(s->dir, "program");
    state_remove(s->dir, "former");
    state_remove(s->dir, "pending");
    (void)rmdir(s->dir); /* What people put there stays. */
}

static void end_at_port(struct enforce *e, const struct seat *s)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;

    if (e->edge && edge_remove_port(e->edge, s->port.interface, &why) < 0)
        log_err("%s: cannot end the enforcement at %s: %s", s->port.endpoint, s->port.interface,
                buf_str(&why));
}

static void refuse(struct enforce *e, struct seat *s, const char *why)
{
    char text[IPC_TEXT_SIZE];

    (void)snprintf(text, sizeof(text), "%s at %s: %s", s->port.endpoint, s->port.interface, why);
    seat_ack(s, 0, IPC_REFUSED, IPC_REASON_KERNEL, text);
    enforce_notice(e, NOTICE_NIC, text);
}

void edges_put(struct enforce *e, uint32_t number, const struct ipc_port *port)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct seat *s;
    bool moved;
    int r;

    if (!is_sound(port)) {
        log_warn("the network half announced a port that is none");
        return;
    }
    s = edges_find(e, port->endpoint);
    moved = s && strcmp(s->port.interface, port->interface) != 0;
    if (moved)
        end_at_port(e, s);
    if (!s)
        s = add_seat(e, port);
    s->number = number;
    s->port = *port;
    r = need_edge(e, &why);
    if (r == 0)
        r = bind_port(e, port, &why);
    if (r == 0)
        r = store_port(s, &why);
    if (r == 0 && moved && s->running)
        r = s->ops->apply(s, s->running, &why);
    if (r < 0)
        join_open(port);
    if (r < 0)
        refuse(e, s, why.size ? buf_str(&why) : strerror(-r));
    else
        log_info("%s hangs on %s", port->endpoint, port->interface);
    tell_host(e);
}

void edges_remove(struct enforce *e, struct seat *s)
{
    log_info("%s no longer hangs on %s: the enforcement there ends", s->port.endpoint,
             s->port.interface);
    end_at_port(e, s);
    remove_state(s);
    drop_seat(e, s);
    tell_host(e);
}

/* ---- start ---- */

static void take_up(struct enforce *e, const char *folder)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT, why = BUF_INIT;
    CLEANUP(program_freep) struct program *p = NULL;
    char path[SEAT_DIR_SIZE];
    struct ipc_port port;
    struct seat *s;
    int r;

    (void)snprintf(path, sizeof(path), "%s/%s/port", e->options.state_dir, folder);
    r = sealed_read(path, PORT_FILE_MAX, &bytes);
    if (r < 0 || bytes.size != sizeof(port)) {
        log_err("%s is damaged: what the kernel holds goes on until the controller says more",
                path);
        return;
    }
    memcpy(&port, bytes.data, sizeof(port));
    if (!is_sound(&port))
        return;
    s = add_seat(e, &port);
    r = need_edge(e, &why);
    if (r == 0)
        r = bind_port(e, &port, &why);
    if (r == 0 && seat_load_stored(s, &p) == 0 && p->revision >= s->ops->revision(s))
        r = s->ops->apply(s, p, &why);
    if (r < 0)
        join_open(&port);
    if (r < 0)
        log_err("%s at %s: %s", port.endpoint, port.interface, buf_str(&why));
    else if (p)
        seat_set_running(s, TAKE_PTR(p));
    seat_start_clock(s);
}

int edges_start(struct enforce *e, struct buf *why)
{
    DIR *dir = opendir(e->options.state_dir);
    const struct dirent *entry;

    if (!dir) {
        buf_printf(why, "%s: %s", e->options.state_dir, strerror(errno));
        return -errno;
    }
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, FOLDER, strlen(FOLDER)) == 0 && e->n_edges < IPC_SEATS - 1)
            take_up(e, entry->d_name);
    (void)closedir(dir);
    tell_host(e);
    if (e->options.edge.n_guarded || e->options.edge.n_guarded_bridges)
        return need_edge(e, why); /* What is guarded is closed from now on. */
    return 0;
}

void edges_finish(struct enforce *e)
{
    struct seat *s, *next;

    HASH_ITER (hh, e->edges_by_name, s, next)
        drop_seat(e, s);
    free(e->edges);
    watch_free(e->edge_events_watch);
    watch_free(e->edge_links_watch);
    edge_free(e->edge);
}

/* ---- rounds ---- */

void edges_watch(struct enforce *e)
{
    if (e->edge)
        edge_watch(e->edge);
}

void edges_flush(struct enforce *e, bool counts)
{
    if (!e->edge)
        return;
    (void)edge_drain(e->edge);
    if (counts)
        edge_flush(e->edge);
    for (size_t i = 0; i < e->n_edges; i++) {
        report_flush(e->edges[i]->report, clock_unix_ms());
        seat_save_trust(e->edges[i]);
    }
}

bool edges_is_joined(const struct enforce *e, const struct seat *s)
{
    struct edge_port_status p;

    return e->edge && edge_port(e->edge, s->port.interface, &p) && p.joined;
}

void edges_tell_losses(struct enforce *e)
{
    for (size_t i = 0; i < e->n_edges; i++)
        tell_losses(e, e->edges[i]);
}

void edges_status(struct enforce *e, const struct seat *s, struct ipc_status *ret_s)
{
    struct edge_port_status p = {.hook = "none"};
    bool found = e->edge && edge_port(e->edge, s->port.interface, &p);
    size_t n = edge_n_counters();

    *ret_s = (struct ipc_status){.revision = p.revision,
                                 .trust_sequence = s->trust_sequence,
                                 .n_hooks = 1,
                                 .n_nics = found && p.present};
    (void)snprintf(ret_s->hooks[0].name, sizeof(ret_s->hooks[0].name), "%s %s", p.hook,
                   s->port.interface);
    ret_s->hooks[0].attached = found && p.present;
    for (size_t i = 0; found && i < n && i < IPC_COUNTERS; i++)
        ret_s->counters[ret_s->n_counters++] = edge_counter(e->edge, s->port.interface, i);
}
