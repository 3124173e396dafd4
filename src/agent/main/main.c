/* SPDX-License-Identifier: Apache-2.0 */
/* suimitsu-agent: the command line, and the two halves as processes. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/enforce/enforce.h"
#include "agent/main/commands.h"
#include "base/log.h"
#include "base/number.h"

enum {
    MAX_FEATURES = 24,
    MAX_WHY = 500,
    EDGE_FLOWS = 262144, /* Of all ports together. */
    EDGE_PORT_FLOWS = 32768,
    EDGE_PORT_HALF = 8192,
    SPOOL_MB = 64,
    SPOOL_MAX_MB = 65536,
};

static const char usage_text[] =
    "Enforces Suimitsu's policy on this machine.\n"
    "\n"
    "usage: suimitsu-agent COMMAND [OPTION...]\n"
    "\n"
    "  run      enforce, in the foreground; ending it opens nothing\n"
    "  enroll   get a certificate from the controller with a one-time token\n"
    "  check    say what this kernel can do, what not, and why\n"
    "  status   what a running agent enforces\n"
    "  detach   stop enforcing: the only command that opens\n"
    "\n"
    "  --instance NAME      name of the pins below /sys/fs/bpf (default suimitsu)\n"
    "  --cgroup DIR         enforce what is in this cgroup v2 (default: its root)\n"
    "  --state-dir DIR      policy and certificate (default /var/lib/suimitsu-agent)\n"
    "  --run-dir DIR        lock and socket (default /run/suimitsu-agent)\n"
    "  --controller A:PORT  controller's agent port, numeric address, [v6]:PORT (run, enroll)\n"
    "  --token-file FILE    the one-time token; - is standard input (enroll)\n"
    "  --user NAME          who the network half becomes (run; default nobody)\n"
    "  --program FILE       enforce this compiled policy, without controller (run)\n"
    "  --flows FILE         append reports as JSON lines (run)\n"
    "  --max-entries N      refuse larger policies (run; default 2097152)\n"
    "  --spool-mb N         keep so much of flows while the controller is away (run; default 64)\n"
    "  --enforcer NAME      host (default, eBPF), or nft where eBPF cannot go: nftables, which "
    "checks\n"
    "                       no programs and no users (run)\n"
    "  --edge-only          enforce at ports of this machine, not on itself (run)\n"
    "  --guard NAME         pass nothing at interfaces of this name (tap0, tap*) before they have\n"
    "                       an endpoint; may be repeated (run)\n"
    "  --guard-bridge NAME  the same for all ports of this bridge; may be repeated (run)\n"
    "  --trunk NAME         but not at this one; may be repeated (run)\n"
    "  --dhcp-server ADDR   who may answer DHCP at the ports; may be repeated (run)\n"
    "  -o json              machine-readable (check, status)\n"
    "  -v, --verbose        say more\n"
    "  -h, --help           this\n"
    "\n"
    "exit codes: 0 ok, 1 failed, 2 usage, 4 not found, 5 not allowed, 7 nobody answers\n";

/* Where cgroup v2 is mounted; the first of several is as good as any. */
static const char *cgroup_root(char path[256])
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    const struct mntent *m;

    path[0] = 0;
    while (mounts && !path[0] && (m = getmntent(mounts)))
        if (strcmp(m->mnt_type, "cgroup2") == 0 && strlen(m->mnt_dir) < 256)
            (void)snprintf(path, 256, "%s", m->mnt_dir);
    if (mounts)
        endmntent(mounts);
    return path[0] ? path : NULL;
}

static int usage_error(const char *what, const char *found)
{
    fprintf(stderr, "suimitsu-agent: %s%s%s\nTry: suimitsu-agent --help\n", what, found ? ": " : "",
            found ? found : "");
    return 2;
}

/* Interfaces: at most 15 letters, perhaps with a * at the end; the edge looks again. */
static int add_name(const char *names[], size_t *n, const char *option, const char *value)
{
    if (*n == AGENT_MAX_NAMES || !value[0] || strlen(value) > 15 || strchr(value, '/'))
        return usage_error(option, value);
    names[(*n)++] = value;
    return 0;
}

static int take_option(struct agent_options *o, int c, const char *value)
{
    uint64_t n;

    switch (c) {
    case 'i':
        if (!value[0] || strchr(value, '/') || value[0] == '.' || strlen(value) > 60)
            return usage_error("--instance must be a plain name of at most 60 bytes", value);
        o->instance = value;
        break;
    case 'c':
        o->cgroup = value;
        break;
    case 's':
        o->state_dir = value;
        break;
    case 'r':
        o->run_dir = value;
        break;
    case 'C':
        o->controller = value;
        break;
    case 't':
        o->token_file = value;
        break;
    case 'u':
        o->user = value;
        break;
    case 'p':
        o->program_file = value;
        break;
    case 'f':
        o->flows_file = value;
        break;
    case 'm':
        if (number_parse(value, strlen(value), PROGRAM_MAX_ENTRIES, &n) < 0 || n == 0)
            return usage_error("--max-entries must be 1 to 2097152", value);
        o->max_entries = (uint32_t)n;
        break;
    case 'S':
        if (number_parse(value, strlen(value), SPOOL_MAX_MB, &n) < 0 || n == 0)
            return usage_error("--spool-mb must be 1 to 65536", value);
        o->spool_mb = n;
        break;
    case 'e':
        o->edge_only = true;
        break;
    case 'E':
        if (strcmp(value, "nft") != 0 && strcmp(value, "host") != 0)
            return usage_error("--enforcer must be host or nft", value);
        o->nft = strcmp(value, "nft") == 0;
        break;
    case 'g':
        return add_name(o->guarded, &o->n_guarded, "--guard", value);
    case 'b':
        return add_name(o->bridges, &o->n_bridges, "--guard-bridge", value);
    case 'T':
        return add_name(o->trunks, &o->n_trunks, "--trunk", value);
    case 'd':
        if (o->n_dhcp_servers == AGENT_MAX_NAMES ||
            address_parse(value, &o->dhcp_servers[o->n_dhcp_servers]) < 0)
            return usage_error("--dhcp-server takes an address, at most 16 of them", value);
        o->n_dhcp_servers++;
        break;
    case 'o':
        if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
            return usage_error("-o must be table or json", value);
        o->json = strcmp(value, "json") == 0;
        break;
    case 'v':
        o->verbose = true;
        break;
    default:
        return usage_error("unknown option", NULL);
    }
    return 0;
}

static int parse(int argc, char **argv, struct agent_options *o)
{
    static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
                                            {"cgroup", required_argument, NULL, 'c'},
                                            {"state-dir", required_argument, NULL, 's'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"controller", required_argument, NULL, 'C'},
                                            {"token-file", required_argument, NULL, 't'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"program", required_argument, NULL, 'p'},
                                            {"flows", required_argument, NULL, 'f'},
                                            {"max-entries", required_argument, NULL, 'm'},
                                            {"spool-mb", required_argument, NULL, 'S'},
                                            {"edge-only", no_argument, NULL, 'e'},
                                            {"enforcer", required_argument, NULL, 'E'},
                                            {"guard", required_argument, NULL, 'g'},
                                            {"guard-bridge", required_argument, NULL, 'b'},
                                            {"trunk", required_argument, NULL, 'T'},
                                            {"dhcp-server", required_argument, NULL, 'd'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c, r;

    while ((c = getopt_long(argc, argv, "o:vh", options, NULL)) >= 0) {
        if (c == 'h') {
            fputs(usage_text, stdout);
            exit(0);
        }
        r = take_option(o, c, optarg);
        if (r)
            return r;
    }
    if (optind != argc)
        return usage_error("unexpected argument", argv[optind]);
    return 0;
}

/* What there is to do where eBPF cannot go; never done by itself. */
static void advise_nft(bool json, bool enough)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT, said = BUF_INIT;
    bool possible = enforce_nft_try(&why) == 0;
    json_t *answer;

    buf_escape(&said, buf_str(&why), why.size, MAX_WHY);
    if (json) {
        answer = json_pack("{s:b, s:s}", "present", possible, "why", buf_str(&said));
        printf("], \"enough\": %s, \"nft\": ", enough ? "true" : "false");
        (void)json_dumpf(answer, stdout, 0);
        puts("}");
        json_decref(answer);
    } else if (!enough && possible) {
        printf("It can by nftables, which checks names and ports but no programs and no users:\n"
               "  enforcers: [nft] in the inventory, and suimitsu-agent run --enforcer nft\n");
    } else if (!enough) {
        printf("Nor by nftables: %s\n", buf_str(&said));
    }
}

static int check(const struct agent_options *o)
{
    struct host_feature features[MAX_FEATURES];
    size_t n = host_probe(features, MAX_FEATURES);
    bool enough = true;
    struct utsname kernel;

    if (geteuid() != 0) {
        fprintf(stderr,
                "suimitsu-agent: check needs root: it loads programs to see whether they load\n");
        return 5;
    }
    (void)uname(&kernel);
    printf(o->json ? "{\"kernel\": \"%s\", \"features\": [\n" : "Linux %s\n", kernel.release);
    for (size_t i = 0; i < n; i++) {
        const struct host_feature *f = &features[i];

        enough = enough && (f->present || !f->required);
        if (o->json)
            printf("  {\"name\": \"%s\", \"present\": %s, \"required\": %s, \"purpose\": \"%s\", "
                   "\"why\": \"%s\"}%s\n",
                   f->name, f->present ? "true" : "false", f->required ? "true" : "false",
                   f->purpose, f->why, i + 1 < n ? "," : "");
        else
            printf("  %-3s %-18s %s%s%s\n",
                   f->present    ? "yes"
                   : f->required ? "NO"
                                 : "no",
                   f->name, f->purpose, f->why[0] ? ": " : "", f->why);
    }
    if (!o->json)
        printf(enough ? "This kernel can enforce.\n" : "This kernel cannot enforce by eBPF.\n");
    advise_nft(o->json, enough);
    return enough ? 0 : 1;
}

static void pin_dir_of(const struct agent_options *o, char path[256])
{
    (void)snprintf(path, 256, "/sys/fs/bpf/%s", o->instance);
}

static void edge_pin_dir_of(const struct agent_options *o, char path[256])
{
    (void)snprintf(path, 256, "/sys/fs/bpf/%s-edge", o->instance);
}

/* All, or some of them; 'why' when there is none. */
static int detach_all(const struct agent_options *o, struct buf *why)
{
    CLEANUP(buf_done) struct buf ignored = BUF_INIT, nft_why = BUF_INIT;
    char pin_dir[256], edge_dir[256];
    int host, edge, nft = enforce_nft_detach(&nft_why);

    pin_dir_of(o, pin_dir);
    edge_pin_dir_of(o, edge_dir);
    edge = edge_detach(edge_dir, &ignored);
    host = host_detach(pin_dir, why);
    if (nft < 0 && nft != -ENOENT) {
        buf_reset(why);
        buf_printf(why, "the table of nftables stays: %s",
                   nft_why.size ? buf_str(&nft_why) : strerror(-nft));
        return nft;
    }
    return host == 0 || edge == 0 || nft == 0 ? 0 : host;
}

static int detach(const struct agent_options *o)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[512];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/lock", o->run_dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) < 0) {
        fprintf(stderr, "suimitsu-agent: an agent runs and would attach again; stop it first\n");
        return 1;
    }
    if (detach_all(o, &why) < 0) {
        fprintf(stderr, "suimitsu-agent: %s\n", buf_str(&why));
        return 4;
    }
    printf("Detached: nothing is enforced here any more.\n");
    return 0;
}

static int run(const struct agent_options *o)
{
    char root[256], pin_dir[256], edge_dir[256];
    struct enforce_options e = {.state_dir = o->state_dir,
                                .run_dir = o->run_dir,
                                .program_file = o->program_file,
                                .flows_file = o->flows_file,
                                .net_fd = -1,
                                .lock_fd = -1};
    const char *top = cgroup_root(root);

    if (geteuid() != 0) {
        fprintf(stderr, "suimitsu-agent: run needs root, or the unit's capabilities\n");
        return 5;
    }
    if (!top && !o->nft) {
        fprintf(stderr, "suimitsu-agent: no cgroup v2 is mounted; mount one: "
                        "mount -t cgroup2 none /sys/fs/cgroup\n");
        return 1;
    }
    if (o->program_file && o->controller)
        return usage_error("--program is for running without --controller", NULL);
    if (o->nft && o->edge_only)
        return usage_error("--edge-only leaves nothing for --enforcer nft", NULL);
    pin_dir_of(o, pin_dir);
    e.host =
        (struct host_options){.pin_dir = pin_dir,
                              .cgroup = o->cgroup ? o->cgroup : top,
                              .cgroup_is_root = !o->cgroup || (top && strcmp(o->cgroup, top) == 0),
                              .max_entries = o->max_entries};
    edge_pin_dir_of(o, edge_dir);
    e.edge_only = o->edge_only;
    e.nft = o->nft;
    e.edge = (struct edge_options){.pin_dir = edge_dir,
                                   .max_entries = o->max_entries,
                                   .max_flows = EDGE_FLOWS,
                                   .max_port_flows = EDGE_PORT_FLOWS,
                                   .max_port_half = EDGE_PORT_HALF,
                                   .dhcp_servers = o->dhcp_servers,
                                   .n_dhcp_servers = o->n_dhcp_servers,
                                   .guarded = o->guarded,
                                   .n_guarded = o->n_guarded,
                                   .guarded_bridges = o->bridges,
                                   .n_guarded_bridges = o->n_bridges,
                                   .trunks = o->trunks,
                                   .n_trunks = o->n_trunks};
    if (o->controller)
        return run_with_controller(o, &e);
    if (o->edge_only)
        return usage_error("--edge-only needs --controller, which says what hangs here", NULL);
    return enforce_run(&e);
}

int main(int argc, char **argv)
{
    struct agent_options o = {.instance = "suimitsu",
                              .state_dir = "/var/lib/suimitsu-agent",
                              .run_dir = "/run/suimitsu-agent",
                              .user = "nobody",
                              .max_entries = PROGRAM_MAX_ENTRIES,
                              .spool_mb = SPOOL_MB};
    const char *command = argc > 1 ? argv[1] : NULL;
    int r;

    if (!command)
        return usage_error("a command is needed", NULL);
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 ||
        strcmp(command, "help") == 0) {
        fputs(usage_text, stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        printf("suimitsu-agent %s\n", SUIMITSU_VERSION);
        return 0;
    }
    r = parse(argc - 1, argv + 1, &o);
    if (r)
        return r;
    log_setup("suimitsu-agent", o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (strcmp(command, "run") == 0)
        return run(&o);
    if (strcmp(command, "enroll") == 0)
        return enroll(&o);
    if (strcmp(command, "check") == 0)
        return check(&o);
    if (strcmp(command, "status") == 0)
        return enforce_ask_status(o.run_dir, o.json);
    if (strcmp(command, "detach") == 0)
        return detach(&o);
    return usage_error("unknown command", command);
}
