/* SPDX-License-Identifier: Apache-2.0 */
/* suimitsud - puts the controller's parts together and runs them on one loop */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "controller/api/idempotency.h"
#include "controller/api/openapi.h"
#include "controller/audit.h"
#include "controller/main/app.h"
#include "controller/main/config.h"
#include "controller/main/notify.h"
#include "controller/main/operations.h"
#include "sys/clock.h"
#include "sys/crew.h"
#include "sys/file.h"
#include "sys/privilege.h"

enum { TICK_MS = 1000, FAILED = 1, BAD_CONFIG = 2 };

struct daemon {
    struct config config;
    struct app app;
    struct loop *loop;
    struct timer *ticker;
    struct tls *agents_tls, *api_tls;
    int api_fd, unix_fd;
    char socket_path[108];
};

static int fail(const char *what, int error)
{
    log_err("%s: %s", what, strerror(-error));
    return error;
}

static int make_folder(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (geteuid() == 0 && (chown(path, uid, gid) < 0 || chmod(path, mode) < 0))
        return -errno;
    return 0;
}

static int open_unix_socket(struct daemon *d)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before;
    int r;

    (void)snprintf(d->socket_path, sizeof(d->socket_path), "%s/api.sock", d->config.run_dir);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", d->socket_path);
    if (fd < 0)
        return -errno;
    (void)unlink(d->socket_path); /* Of a run before; a live daemon holds the store's lock. */
    before = umask(0177);
    r = bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0 ? -errno : 0;
    (void)umask(before);
    d->unix_fd = r < 0 ? -1 : TAKE_FD(fd);
    return r;
}

static int listen_failed(const char *option, const char *address, uint16_t port, int r)
{
    if (r == -EADDRINUSE)
        log_err("--%s %s:%u: the port is taken; end what has it, or choose another", option,
                address, port);
    else
        log_err("--%s %s:%u: %s", option, address, port, strerror(-r));
    return r;
}

/* Before root is given up, since the folder may lie where the unprivileged user may not look. */
static void read_console(struct daemon *d)
{
    CLEANUP(buf_done) struct buf what = BUF_INIT;
    int r = webfiles_load(d->config.web_dir, &d->app.web, &what);

    if (r < 0)
        log_warn("--web-dir: %s: %s; there is no web console", buf_str(&what), strerror(-r));
}

/* As root: what needs it, then never again. */
static int prepare(struct daemon *d)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r;

    if (geteuid() == 0) {
        r = privilege_user(d->config.user, &uid, &gid);
        if (r < 0 || uid == 0) {
            log_err("--user %s: %s; make one with: adduser --system --group suimitsu",
                    d->config.user,
                    r < 0 ? "there is no such user" : "expected an unprivileged user");
            return -EPERM;
        }
    }
    r = make_folder(d->config.state_dir, uid, gid, 0700);
    if (r < 0)
        return fail(d->config.state_dir, r);
    r = make_folder(d->config.run_dir, uid, gid, 0755);
    if (r < 0)
        return fail(d->config.run_dir, r);
    r = listen_on(d->config.api_address, d->config.api_port, &d->api_fd);
    if (r < 0)
        return listen_failed("listen-api", d->config.api_address, d->config.api_port, r);
    if (d->config.exporters.n_sockets) {
        const char *what = "";

        r = exporters_start(&d->config.exporters, uid, gid, &d->app.exporters, &what);
        if (r < 0)
            return fail(what, r);
    }
    read_console(d);
    if (geteuid() != 0)
        return privilege_lock();
    r = privilege_drop(uid, gid);
    return r < 0 ? fail("privileges cannot be dropped", r) : 0;
}

/* As many files as we are allowed: each agent is one. */
static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* Then fewer agents find room. */
}

static int open_store(struct daemon *d)
{
    char path[CONFIG_TEXT_SIZE + 16];
    const char *what = "";
    int r;

    (void)snprintf(path, sizeof(path), "%s/store.db", d->config.state_dir);
    (void)umask(0077);
    r = store_open(path, &d->app.store, &what);
    if (r < 0) {
        log_err("%s: %s (%s); agents go on enforcing what they have", path, what, strerror(-r));
        return r;
    }
    r = ca_open(d->config.state_dir, &d->app.ca, &what);
    if (r < 0)
        log_err("%s: %s (%s)", d->config.state_dir, what, strerror(-r));
    return r;
}

static int make_tls(struct daemon *d)
{
    CLEANUP(buf_done) struct buf key = BUF_INIT;
    CLEANUP(buf_done) struct buf chain = BUF_INIT;
    const char *names[CONFIG_MAX_NAMES + 2] = {"127.0.0.1", "localhost"}, *what = "";
    struct tls_options o = {.role = TLS_SERVER_ASKING_CLIENTS, .ca_pem = ca_pem(d->app.ca)};
    int r;

    for (size_t i = 0; i < d->config.n_names; i++)
        names[i + 2] = d->config.names[i];
    r = ca_issue_server(d->app.ca, names, d->config.n_names + 2, &key, &chain);
    if (r < 0)
        return fail("the controller's certificate (is a --name wrong?)", r);
    o.key_pem = buf_str(&key);
    o.chain_pem = buf_str(&chain);
    r = tls_new(&o, &d->agents_tls, &what);
    if (r == 0) {
        o.role = TLS_SERVER;
        r = tls_new(&o, &d->api_tls, &what);
    }
    explicit_bzero(key.data, key.size);
    return r < 0 ? fail(what, r) : 0;
}

static size_t lifeline_of(const struct config *c, struct program_lifeline lines[])
{
    static const struct address any4 = {.bytes = {[10] = 0xff, [11] = 0xff}}, any6 = {{0}};
    size_t n = 0;

    for (size_t i = 0; i <= c->n_names && n < PROGRAM_MAX_LIFELINE; i++) {
        struct address a;
        bool known = false;

        if (address_parse(i < c->n_names ? c->names[i] : c->agents_address, &a) < 0 ||
            address_compare(&a, &any4) == 0 || address_compare(&a, &any6) == 0)
            continue;
        for (size_t k = 0; k < n; k++)
            known = known || address_compare(&lines[k].address, &a) == 0;
        if (!known)
            lines[n++] = (struct program_lifeline){
                .address = a, .port = c->agents_port, .protocol = IPPROTO_TCP};
    }
    return n;
}

static void know_agent(struct app *app, const struct store_item *item, const char *name)
{
    CLEANUP(json_decrefp) json_t *document = json_loadb(item->data, item->size, 0, NULL);
    json_int_t since_ms = json_integer_value(json_object_get(document, "since_ms"));

    (void)json_object_set_new(app->enrolled, name, json_integer(since_ms));
}

/* Whose agents tell of them, and since when. */
static int know_enrolled(struct app *app)
{
    static const char prefix[] = "agent/";
    char after[STORE_KEY_SIZE] = "";
    size_t n = STORE_MAX_OPERATIONS;

    app->enrolled = json_object();
    while (n == STORE_MAX_OPERATIONS) {
        struct store_list list = {.items = NULL};
        int r = store_list(app->store, prefix, after[0] ? after : NULL, false, STORE_MAX_OPERATIONS,
                           &list);

        if (r < 0)
            return fail("store", r);
        n = list.n;
        for (size_t i = 0; i < n; i++)
            know_agent(app, &list.items[i], list.items[i].key + sizeof(prefix) - 1);
        if (n)
            (void)snprintf(after, sizeof(after), "%s", list.items[n - 1].key);
        store_list_done(&list);
    }
    return 0;
}

static int open_flows(struct daemon *d)
{
    struct flows_options o = app_flows_options(&d->app);
    char folder[2 * CONFIG_TEXT_SIZE + 32];
    const char *what = "";
    int r = know_enrolled(&d->app);

    if (r < 0)
        return r;
    (void)snprintf(folder, sizeof(folder), "%s/history", d->config.state_dir);
    o.loop = d->loop;
    o.history = d->config.history[0] ? d->config.history : folder;
    if (strncmp(o.history, "clickhouse:", 11) == 0 && !strchr(o.history, '#')) {
        (void)snprintf(folder, sizeof(folder), "%s#%s/history.db", d->config.history,
                       d->config.state_dir);
        o.history = folder;
    }
    if (d->config.history_password[0])
        o.limits.password_file = d->config.history_password;
    o.limits.max_age_ms = d->config.history_max_age_s * 1000;
    o.limits.max_bytes = d->config.history_max_bytes;
    o.max_rate = d->config.history_max_rate;
    r = flows_new(&o, &d->app.flows, &what);
    if (r < 0)
        log_err("--history %s: %s (%s)", o.history, what, strerror(-r));
    return r;
}

/* Logging in. */
static void start_console(struct daemon *d)
{
    d->app.passwords = crew_new(d->loop, PASSWORD_THREADS, PASSWORD_MAX_WAITING);
    d->app.throttle = throttle_new();
    d->app.idempotency = idempotency_new(d->app.store, clock_unix_s());
    d->app.four_eyes = d->config.four_eyes;
}

static int start_parts(struct daemon *d)
{
    struct program_lifeline lines[PROGRAM_MAX_LIFELINE];
    struct dist_hooks hooks = app_dist_hooks(&d->app);
    struct server_options options = {.routes = app_routes,
                                     .n_routes = app_n_routes,
                                     .app = &d->app,
                                     .tls = d->api_tls,
                                     .within = app_within,
                                     .authenticate = app_authenticate};
    const char *what = "";
    int r;

    d->app.started_s = clock_unix_s();
    start_console(d);
    r = desired_open(d->app.store, lines, lifeline_of(&d->config, lines), d->app.started_s,
                     &d->app.desired, &what);
    if (r < 0)
        return fail(what, r);
    d->app.past = past_new(d->app.desired);
    d->app.births = births_new(d->app.desired);
    d->app.notices = json_array();
    r = open_flows(d);
    if (r < 0)
        return r;
    if (d->app.exporters) {
        struct exporters_handlers seen = app_exporters_handlers(&d->app);

        exporters_attach(d->app.exporters, d->loop, &seen);
    }
    r = dist_new(d->loop, d->agents_tls, d->config.agents_address, d->config.agents_port,
                 d->app.desired, &hooks, &d->app.dist);
    if (r < 0)
        return listen_failed("listen-agents", d->config.agents_address, d->config.agents_port, r);
    dist_set_enrolments(d->app.dist, d->config.enrolments);
    r = open_unix_socket(d);
    if (r < 0)
        return fail(d->socket_path, r);
    r = app_watch_events(&d->app);
    if (r < 0)
        return fail("events", r);
    r = notify_open(&d->app, d->loop, &d->config, &d->app.notify);
    if (r < 0)
        return r;
    d->app.operations = operations_new(d->loop, app_answer_operation, app_tell_operation, &d->app);
    options.idempotency = d->app.idempotency;
    d->app.server = server_new(d->loop, &options);
    r = server_listen_https(d->app.server, TAKE_FD(d->api_fd));
    if (r == 0)
        r = server_listen_unix(d->app.server, TAKE_FD(d->unix_fd));
    return r;
}

static void tick(void *user)
{
    struct daemon *d = user;

    desired_tick(d->app.desired, clock_unix_s());
    timer_start(d->ticker, TICK_MS);
}

static void stop(int signal, void *user)
{
    struct daemon *d = user;

    log_info("ends by signal %d; agents go on enforcing what they have", signal);
    loop_stop(d->loop);
}

static void clean_up(struct daemon *d)
{
    if (d->app.server)
        (void)unlink(d->socket_path);
    server_free(TAKE_PTR(d->app.server));
    operations_free(TAKE_PTR(d->app.operations));
    crew_free(d->app.passwords);
    throttle_free(d->app.throttle);
    webfiles_free(d->app.web);
    dist_free(TAKE_PTR(d->app.dist));
    exporters_free(TAKE_PTR(d->app.exporters));
    flows_free(d->app.flows);
    flows_evidence_free(d->app.use);
    births_free(d->app.births);
    past_free(d->app.past);
    desired_free(d->app.desired);
    json_decref(d->app.notices);
    json_decref(d->app.enrolled);
    tls_free(d->agents_tls);
    tls_free(d->api_tls);
    ca_free(d->app.ca);
    idempotency_free(d->app.idempotency);
    store_free(d->app.store); /* Its watches write events. */
    events_free(d->app.events);
    notify_free(d->app.notify);
    timer_free(d->ticker);
    loop_free(d->loop);
    fd_closep(&d->api_fd);
    fd_closep(&d->unix_fd);
}

static int start(struct daemon *d)
{
    struct audit_state chain = {.n = 0};
    int r = prepare(d);

    raise_file_limit();
    if (r == 0)
        r = open_store(d);
    if (r == 0)
        r = make_tls(d);
    if (r < 0)
        return r;
    d->loop = loop_new();
    d->ticker = timer_new(d->loop, tick, d);
    loop_on_signal(d->loop, SIGTERM, stop, d);
    loop_on_signal(d->loop, SIGINT, stop, d);
    r = start_parts(d);
    if (r < 0)
        return r;
    r = audit_verify(d->app.store, &chain);
    if (r == 0 && chain.bad)
        log_err("audit: entry %llu is missing or altered; keep the store for examination",
                (unsigned long long)chain.bad);
    log_info("ready: agents at %s:%u, API at %s:%u and %s, revision %llu, audit %s",
             d->config.agents_address, dist_port(d->app.dist), d->config.api_address,
             server_port(d->app.server), d->socket_path,
             (unsigned long long)desired_head(d->app.desired)->revision,
             chain.n ? chain.last : "empty");
    timer_start(d->ticker, TICK_MS);
    return 0;
}

int main(int argc, char *argv[])
{
    struct daemon d = {.api_fd = -1, .unix_fd = -1};
    CLEANUP(buf_done) struct buf message = BUF_INIT;
    enum config_result result = config_read(argc, argv, &d.config, &message);
    int r;

    if (result != CONFIG_RUN) {
        (void)fputs(buf_str(&message), result == CONFIG_HELP ? stdout : stderr);
        return result == CONFIG_HELP ? 0 : BAD_CONFIG;
    }
    if (d.config.print_openapi) {
        CLEANUP(json_decrefp) json_t *openapi = openapi_of(app_routes, app_n_routes);

        (void)json_dumpf(openapi, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
        (void)putchar('\n');
        return 0;
    }
    log_setup("suimitsud", d.config.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    r = start(&d);
    if (r == 0)
        loop_run(d.loop);
    clean_up(&d);
    return r < 0 ? FAILED : 0;
}
