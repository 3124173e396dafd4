/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says of itself: to a local socket that only root can open, and as JSON lines. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/enforce/internal.h"
#include "agent/enforce/nft_seat.h"
#include "sys/clock.h"

void enforce_status(struct enforce *e, struct ipc_status *ret_s)
{
    struct host_status s = {.revision = 0};

    if (e->nft) {
        nft_seat_status(e, ret_s);
        return;
    }
    if (e->host)
        host_status(e->host, &s);
    *ret_s = (struct ipc_status){.revision = s.revision,
                                 .trust_sequence = e->host_seat.trust_sequence,
                                 .n_counters = (uint32_t)s.n_counters,
                                 .n_nics = (uint32_t)s.n_nics,
                                 .n_hooks = (uint32_t)s.n_hooks,
                                 .can_destroy = s.can_destroy,
                                 .n_tampers = s.n_tampers};
    memcpy(ret_s->counters, s.counters, sizeof(s.counters));
    for (size_t i = 0; i < s.n_hooks && i < IPC_HOOKS; i++) {
        (void)snprintf(ret_s->hooks[i].name, sizeof(ret_s->hooks[i].name), "%s", s.hooks[i].name);
        ret_s->hooks[i].attached = s.hooks[i].attached;
    }
}

static json_t *learned_json(const struct enforce *e, const struct seat *s)
{
    struct address addresses[IPC_MACS];
    size_t n = e->edge ? edge_learned(e->edge, s->port.interface, addresses, IPC_MACS) : 0;
    char text[ADDRESS_TEXT_SIZE];
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, json_string(address_format(&addresses[i], text)));
    return all;
}

/* {endpoint: {interface, revision, ...}} */
static json_t *edges_json(struct enforce *e)
{
    json_t *all = json_object();

    for (size_t i = 0; i < e->n_edges; i++) {
        const struct seat *seat = e->edges[i];
        struct ipc_status s;
        json_t *one, *counters = json_object();

        edges_status(e, seat, &s);
        for (size_t k = 0; k < s.n_counters; k++)
            json_object_set_new(counters, edge_counter_name(k),
                                json_integer((json_int_t)s.counters[k]));
        one = json_pack("{s:s,s:I,s:s,s:b,s:s,s:I,s:o}", "interface", seat->port.interface,
                        "revision", (json_int_t)s.revision, "hook", s.hooks[0].name, "attached",
                        s.hooks[0].attached, "before", seat->port.open_before ? "open" : "closed",
                        "awaiting_confirmation", (json_int_t)seat->pending.revision, "counters",
                        counters);
        if (seat->port.learn_dhcp)
            json_object_set_new(one, "learned", learned_json(e, seat));
        if (seat->port.pair[0]) {
            json_object_set_new(one, "pair", json_string(seat->port.pair));
            json_object_set_new(one, "joined", json_boolean(edges_is_joined(e, seat)));
        }
        json_object_set_new(all, seat->port.endpoint, one);
    }
    return all;
}

static json_t *status_json(struct enforce *e)
{
    json_t *root = json_object(), *hooks = json_object(), *counters = json_object();
    struct ipc_status s;

    enforce_status(e, &s);
    json_object_set_new(root, "version", json_string(SUIMITSU_VERSION));
    json_object_set_new(root, "enforcer", json_string(e->nft ? "nft" : e->host ? "host" : "none"));
    json_object_set_new(root, "endpoint",
                        json_string(e->host_seat.running ? e->host_seat.running->endpoint : ""));
    json_object_set_new(root, "revision", json_integer((json_int_t)s.revision));
    json_object_set_new(
        root, "mode",
        json_string(e->host_seat.running ? mode_name(e->host_seat.running->mode) : "unknown"));
    json_object_set_new(
        root, "trust",
        json_string(e->host_seat.running ? trust_name(e->host_seat.running->trust) : "unknown"));
    json_object_set_new(root, "awaiting_confirmation",
                        json_integer((json_int_t)e->host_seat.pending.revision));
    json_object_set_new(root, "nics", json_integer(s.n_nics));
    json_object_set_new(root, "resets_forbidden_connections", json_boolean(s.can_destroy));
    json_object_set_new(root, "tampers_repaired", json_integer((json_int_t)s.n_tampers));
    json_object_set_new(root, "messages_not_taken", json_integer((json_int_t)e->n_untold));
    for (size_t i = 0; i < s.n_hooks && i < IPC_HOOKS; i++)
        json_object_set_new(hooks, s.hooks[i].name, json_boolean(s.hooks[i].attached));
    for (size_t i = 0; i < s.n_counters; i++)
        json_object_set_new(counters, host_counter_name(i),
                            json_integer((json_int_t)s.counters[i]));
    json_object_set_new(root, "edges", edges_json(e));
    json_object_set_new(root, "hooks", hooks);
    json_object_set_new(root, "counters", counters);
    return root;
}

static void answer(int fd, void *arg)
{
    struct timeval soon = {.tv_usec = 200000};
    struct enforce *e = arg;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    json_t *root;
    char *text;

    if (peer < 0)
        return;
    (void)setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
    root = status_json(e);
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text && send(peer, text, strlen(text), MSG_NOSIGNAL) > 0)
        (void)send(peer, "\n", 1, MSG_NOSIGNAL);
    free(text);
    close(peer);
}

static int socket_address(const char *run_dir, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(a->sun_path, sizeof(a->sun_path), "%s/agent.sock", run_dir) <
                   (int)sizeof(a->sun_path)
               ? 0
               : -ENAMETOOLONG;
}

int enforce_listen_status(struct enforce *e, struct buf *why)
{
    struct sockaddr_un a;
    mode_t before = umask(0177);
    int r = socket_address(e->options.run_dir, &a);

    if (r == 0) {
        (void)unlink(a.sun_path); /* We hold the lock: it is a dead agent's. */
        e->status_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (e->status_fd < 0 || bind(e->status_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
            listen(e->status_fd, 8) < 0)
            r = -errno;
    }
    (void)umask(before);
    if (r < 0)
        buf_printf(why, "cannot listen on %s: %s", a.sun_path, strerror(-r));
    else
        e->status_watch = watch_new(e->loop, e->status_fd, answer, e);
    return r;
}

void enforce_end_status(struct enforce *e)
{
    watch_free(e->status_watch);
    if (e->status_fd >= 0)
        close(e->status_fd);
}

static void print_text(const json_t *root)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (json_is_object(value)) {
            printf("%s:\n", key);
            print_text(value);
            continue;
        }
        if (json_is_array(value)) {
            printf("  %-30s", key);
            for (size_t i = 0; i < json_array_size(value); i++)
                printf(" %s", json_string_value(json_array_get(value, i)));
            putchar('\n');
            continue;
        }
        if (json_is_string(value))
            printf("  %-30s %s\n", key, json_string_value(value));
        else if (json_is_boolean(value))
            printf("  %-30s %s\n", key, json_is_true(value) ? "yes" : "no");
        else
            printf("  %-30s %lld\n", key, (long long)json_integer_value(value));
    }
}

int enforce_ask_status(const char *run_dir, bool json)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct sockaddr_un a;
    char chunk[4096];
    json_t *root;
    ssize_t n;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || socket_address(run_dir, &a) < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        fprintf(stderr, "suimitsu-agent: no agent answers in %s: %s\n", run_dir, strerror(errno));
        return 7;
    }
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(&text, chunk, (size_t)n);
    close(fd);
    if (json) {
        fputs(buf_str(&text), stdout);
        return 0;
    }
    root = json_loads(buf_str(&text), 0, NULL);
    if (!root)
        return 7;
    print_text(root);
    json_decref(root);
    return 0;
}

/* ---- JSON lines -------------------------------------------------------------------------------
 */

static const char *protocol_text(uint8_t protocol, char text[8])
{
    switch (protocol) {
    case IPPROTO_TCP:
        return "tcp";
    case IPPROTO_UDP:
        return "udp";
    case IPPROTO_ICMP:
        return "icmp";
    default:
        (void)snprintf(text, 8, "%u", protocol);
        return text;
    }
}

static void write_line(struct enforce *e, json_t *line)
{
    (void)json_dumpf(line, e->flows, JSON_COMPACT);
    (void)fputc('\n', e->flows);
    json_decref(line);
}

void enforce_write_flow(struct enforce *e, const struct seat *s, const struct ipc_flow *f)
{
    char remote[ADDRESS_TEXT_SIZE], number[8];
    const char *rule = NULL;
    json_t *line;

    if (f->rule && s->running && f->revision == s->running->revision &&
        f->rule <= s->running->n_rules)
        rule = s->running->rules[f->rule - 1].id;
    line = json_pack(
        "{s:I, s:s, s:s, s:s, s:s?, s:s, s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}",
        "time_ms", (json_int_t)f->first_ms, "direction",
        f->direction == DIRECTION_OUT ? "out" : "in", "verdict",
        verdict_name((enum verdict)f->verdict), "layer", layer_name((enum layer)f->layer), "rule",
        rule, "remote", address_format(&f->remote, remote), "protocol",
        protocol_text(f->protocol, number), "port", (int)f->port, "process", f->process, "script",
        f->script, "user", f->user, "uid", (json_int_t)f->uid, "pid", (json_int_t)f->pid, "count",
        (json_int_t)f->count, "bytes_out", (json_int_t)f->bytes_out, "bytes_in",
        (json_int_t)f->bytes_in, "revision", (json_int_t)f->revision);
    if (line)
        write_line(e, line);
}

void enforce_write_notice(struct enforce *e, enum enforcer_notice kind, const char *text)
{
    json_t *line = json_pack("{s:I, s:s, s:s}", "time_ms", (json_int_t)clock_unix_ms(), "notice",
                             notice_name(kind), "text", text);

    if (line) {
        write_line(e, line);
        (void)fflush(e->flows);
    }
}
