/* SPDX-License-Identifier: Apache-2.0 */
/* edge_driver.c - the edge enforcer alone, driven by lines on standard input; for tests
 *
 *     edge_driver PIN_DIR [clsact] [flows=N] [port-flows=N] [half=N] [server=ADDRESS]
 *                         [guard=PATTERN] [bridge=NAME] [trunk=NAME] [records]
 *
 *     put INTERFACE MAC[,MAC] [open] [dhcp] [router] [reset|exception] [pair=INTERFACE]
 *         [learn]
 *     load INTERFACE PROGRAM_FILE
 *     back INTERFACE          remove INTERFACE           trust ADDRESS white|grey|black
 *     status                  bye
 *
 * Each line is answered by one JSON line with "ok"; flows and notices are JSON lines too, but with
 * 'records' flows are made into records as the agent does, and nobody is told. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/enforce/report.h"
#include "enforce/edge/edge.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { LINE_SIZE = 4096, MAX_WORDS = 16, MAX_PROGRAM = 1 << 28, MAX_SERVERS = 4 };

struct driver {
    struct edge *edge;
    struct loop *loop;
    struct timer *timer;
    struct report *report;
    char line[LINE_SIZE];
    size_t n;
    unsigned ticks;
};

static void say(json_t *j)
{
    (void)json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    (void)fflush(stdout);
    json_decref(j);
}

static bool forget(void *arg, const struct ipc_flow *record)
{
    (void)arg;
    (void)record;
    return true;
}

static void on_flow(void *arg, const struct enforcer_flow *f)
{
    const struct driver *d = arg;
    char local[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE];

    if (d->report) {
        report_add(d->report, f, clock_unix_ms());
        return;
    }
    say(json_pack("{s{ss ss ss ss ss ss si si sI sI sI sI}}", "flow", "endpoint", f->endpoint,
                  "direction", f->direction == DIRECTION_OUT ? "out" : "in", "verdict",
                  verdict_name(f->verdict), "layer", layer_name(f->layer), "local",
                  address_format(&f->local, local), "remote", address_format(&f->remote, remote),
                  "protocol", f->protocol, "port", f->port, "revision", (json_int_t)f->revision,
                  "count", (json_int_t)f->count, "bytes_out", (json_int_t)f->bytes_out, "bytes_in",
                  (json_int_t)f->bytes_in));
}

static void on_notice(void *arg, enum enforcer_notice kind, const char *text)
{
    (void)arg;
    say(json_pack("{s{ss ss}}", "notice", "kind", notice_name(kind), "text", text));
}

static bool read_mac(const char *text, uint8_t mac[6])
{
    char *end = NULL;

    for (size_t i = 0; i < 6; i++) {
        mac[i] = (uint8_t)strtoul(text, &end, 16);
        if (end != text + 2 || (*end != ':' && i < 5))
            return false;
        text = end + 1;
    }
    return true;
}

static int put(struct driver *d, char **words, size_t n, struct buf *why)
{
    struct edge_binding b = {.n_macs = 0};
    char *rest = words[2];

    (void)snprintf(b.interface, sizeof(b.interface), "%s", words[1]);
    for (char *mac = strsep(&rest, ","); mac; mac = strsep(&rest, ","))
        if (b.n_macs == EDGE_MAX_MACS || !read_mac(mac, b.macs[b.n_macs++]))
            return -EINVAL;
    for (size_t i = 3; i < n; i++) {
        b.open_before |= strcmp(words[i], "open") == 0;
        b.dhcp_server |= strcmp(words[i], "dhcp") == 0;
        b.router |= strcmp(words[i], "router") == 0;
        b.learn_dhcp |= strcmp(words[i], "learn") == 0;
        if (strncmp(words[i], "pair=", 5) == 0)
            (void)snprintf(b.pair, sizeof(b.pair), "%s", words[i] + 5);
        b.refusal = strcmp(words[i], "reset") == 0       ? REFUSE_RESET
                    : strcmp(words[i], "exception") == 0 ? REFUSE_EXCEPTION
                                                         : b.refusal;
    }
    return edge_put_port(d->edge, &b, why);
}

static int load(struct driver *d, const char *interface, const char *path, struct buf *why)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    CLEANUP(program_freep) struct program *p = NULL;
    const char *what = "";
    int r = sealed_read(path, MAX_PROGRAM, &bytes);

    if (r == 0)
        r = program_decode(bytes.data, bytes.size, &p, &what);
    if (r < 0) {
        buf_printf(why, "%s: %s %s", path, strerror(-r), what);
        return r;
    }
    return edge_load(d->edge, interface, p, why);
}

static int set_trust(struct driver *d, const char *address, const char *word)
{
    struct address a;
    int r = address_parse(address, &a);

    for (enum trust t = TRUST_WHITE; r == 0 && t <= TRUST_BLACK; t++)
        if (strcmp(trust_name(t), word) == 0)
            return edge_set_trust(d->edge, &a, t);
    return -EINVAL;
}

static json_t *learned(const struct driver *d, const char *interface)
{
    struct address addresses[EDGE_MAX_MACS];
    size_t n = edge_learned(d->edge, interface, addresses, EDGE_MAX_MACS);
    char text[ADDRESS_TEXT_SIZE];
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(all, json_string(address_format(&addresses[i], text)));
    return all;
}

static json_t *status(const struct driver *d)
{
    static struct edge_port_status ports[1024];
    size_t n = edge_ports(d->edge, ports, 1024);
    json_t *all = json_object();

    for (size_t i = 0; i < n; i++) {
        json_t *p = json_pack("{ss sI sb sb ss ss sb si si}", "endpoint", ports[i].endpoint,
                              "revision", (json_int_t)ports[i].revision, "present",
                              ports[i].present, "open_before", ports[i].open_before, "hook",
                              ports[i].hook, "pair", ports[i].pair, "joined", ports[i].joined,
                              "flows", (int)ports[i].n_flows, "half", (int)ports[i].n_half);
        json_t *counters = json_object();

        for (size_t c = 0; c < edge_n_counters(); c++)
            (void)json_object_set_new(
                counters, edge_counter_name(c),
                json_integer((json_int_t)edge_counter(d->edge, ports[i].interface, c)));
        (void)json_object_set_new(p, "learned", learned(d, ports[i].interface));
        (void)json_object_set_new(p, "counters", counters);
        (void)json_object_set_new(all, ports[i].interface, p);
    }
    return json_pack("{sb so}", "ok", 1, "ports", all);
}

static void obey(struct driver *d, char *line)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    char *words[MAX_WORDS], *rest = line;
    size_t n = 0;
    int r = -EINVAL;

    for (char *w = strsep(&rest, " "); w && n < MAX_WORDS; w = strsep(&rest, " "))
        words[n++] = w;
    if (n == 1 && strcmp(words[0], "status") == 0) {
        say(status(d));
        return;
    }
    if (n == 1 && strcmp(words[0], "bye") == 0) {
        loop_stop(d->loop);
        return;
    }
    if (n >= 3 && strcmp(words[0], "put") == 0)
        r = put(d, words, n, &why);
    else if (n == 3 && strcmp(words[0], "load") == 0)
        r = load(d, words[1], words[2], &why);
    else if (n == 2 && strcmp(words[0], "back") == 0)
        r = edge_back(d->edge, words[1], &why);
    else if (n == 2 && strcmp(words[0], "remove") == 0)
        r = edge_remove_port(d->edge, words[1], &why);
    else if (n == 3 && strcmp(words[0], "trust") == 0)
        r = set_trust(d, words[1], words[2]);
    say(json_pack("{sb ss ss}", "ok", r >= 0, "error", r < 0 ? strerrorname_np(-r) : "", "why",
                  buf_str(&why)));
}

static void on_input(int fd, void *user)
{
    struct driver *d = user;
    ssize_t got = read(fd, d->line + d->n, sizeof(d->line) - 1 - d->n);
    char *end;

    if (got <= 0) {
        loop_stop(d->loop);
        return;
    }
    d->n += (size_t)got;
    while ((end = memchr(d->line, '\n', d->n))) {
        size_t used = (size_t)(end - d->line) + 1;

        *end = 0;
        obey(d, d->line);
        memmove(d->line, d->line + used, d->n - used);
        d->n -= used;
    }
}

static void on_events(int fd, void *user)
{
    (void)fd;
    (void)edge_drain(((struct driver *)user)->edge);
}

static void on_links(int fd, void *user)
{
    (void)fd;
    edge_links_changed(((struct driver *)user)->edge);
}

static void on_tick(void *user)
{
    struct driver *d = user;

    edge_watch(d->edge);
    (void)edge_drain(d->edge);
    if (++d->ticks % 2 == 0)
        edge_flush(d->edge);
    if (d->report)
        report_flush(d->report, clock_unix_ms());
    timer_start(d->timer, 500);
}

static int run(struct driver *d)
{
    CLEANUP(watch_freep) struct watch *input = NULL, *events = NULL, *links = NULL;

    input = watch_new(d->loop, STDIN_FILENO, on_input, d);
    events = watch_new(d->loop, edge_events_fd(d->edge), on_events, d);
    links = watch_new(d->loop, edge_link_fd(d->edge), on_links, d);
    d->timer = timer_new(d->loop, on_tick, d);
    timer_start(d->timer, 500);
    loop_run(d->loop);
    timer_free(d->timer);
    report_free(d->report);
    return 0;
}

static uint32_t number_after(const char *word, const char *key, uint32_t otherwise)
{
    size_t len = strlen(key);

    return strncmp(word, key, len) == 0 ? (uint32_t)strtoul(word + len, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct address servers[MAX_SERVERS];
    static const char *guarded[MAX_WORDS], *bridges[MAX_WORDS], *trunks[MAX_WORDS];
    struct edge_options o = {.pin_dir = argc > 1 ? argv[1] : "",
                             .max_entries = 1 << 20,
                             .max_flows = 65536,
                             .max_port_flows = 32768,
                             .max_port_half = 8192,
                             .dhcp_servers = servers,
                             .guarded = guarded,
                             .guarded_bridges = bridges,
                             .trunks = trunks};
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    CLEANUP(edge_freep) struct edge *edge = NULL;
    CLEANUP(loop_freep) struct loop *loop = NULL;
    struct driver d = {.n = 0};
    struct enforcer_events events = {.arg = &d, .flow = on_flow, .notice = on_notice};
    int r;

    for (int i = 2; i < argc; i++) {
        o.no_tcx |= strcmp(argv[i], "clsact") == 0;
        o.max_flows = number_after(argv[i], "flows=", o.max_flows);
        o.max_port_flows = number_after(argv[i], "port-flows=", o.max_port_flows);
        o.max_port_half = number_after(argv[i], "half=", o.max_port_half);
        if (strncmp(argv[i], "server=", 7) == 0 && o.n_dhcp_servers < MAX_SERVERS &&
            address_parse(argv[i] + 7, &servers[o.n_dhcp_servers]) == 0)
            o.n_dhcp_servers++;
        if (strncmp(argv[i], "guard=", 6) == 0 && o.n_guarded < MAX_WORDS)
            guarded[o.n_guarded++] = argv[i] + 6;
        if (strncmp(argv[i], "bridge=", 7) == 0 && o.n_guarded_bridges < MAX_WORDS)
            bridges[o.n_guarded_bridges++] = argv[i] + 7;
        if (strncmp(argv[i], "trunk=", 6) == 0 && o.n_trunks < MAX_WORDS)
            trunks[o.n_trunks++] = argv[i] + 6;
        if (strcmp(argv[i], "records") == 0)
            d.report = report_new(forget, NULL);
        if (strcmp(argv[i], "detach") == 0) {
            r = edge_detach(argv[1], &why);
            (void)fprintf(stderr, "%s\n", buf_str(&why));
            return r < 0;
        }
    }
    r = edge_new(&o, &events, &edge, &why);
    if (r < 0) {
        say(json_pack("{sb ss ss}", "ok", 0, "error", strerrorname_np(-r), "why", buf_str(&why)));
        return 1;
    }
    loop = loop_new();
    d.edge = edge;
    d.loop = loop;
    say(json_pack("{sb}", "ok", 1));
    return run(&d);
}
