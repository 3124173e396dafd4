/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel can do, tried and not guessed from its version. */
#include <errno.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/host/internal.h"
#include "host.skel.h"
#include "rejudge.skel.h"
#include "script.skel.h"
#include "sweep.skel.h"

static struct host_feature *add(struct host_feature features[], size_t room, size_t *n,
                                const char *name, const char *purpose, bool required, bool present,
                                const char *otherwise)
{
    struct host_feature *f;

    if (*n == room)
        return &features[room - 1];
    f = &features[(*n)++];
    *f = (struct host_feature){
        .name = name, .purpose = purpose, .required = required, .present = present};
    if (!present)
        (void)snprintf(f->why, sizeof(f->why), "%s", otherwise);
    return f;
}

static bool has_program(enum bpf_prog_type type)
{
    return libbpf_probe_bpf_prog_type(type, NULL) == 1;
}

static bool has_map(enum bpf_map_type type)
{
    return libbpf_probe_bpf_map_type(type, NULL) == 1;
}

/* Loading the whole object is the only test that tells all. */
static int try_host(void)
{
    struct host_bpf *bpf = host_bpf__open_and_load();
    int r = bpf ? 0 : -errno;

    host_bpf__destroy(bpf);
    return r;
}

static int try_sweep(void)
{
    struct sweep_bpf *bpf = sweep_bpf__open_and_load();
    int r = bpf ? 0 : -errno;

    sweep_bpf__destroy(bpf);
    return r;
}

static int try_rejudge(void)
{
    struct rejudge_bpf *bpf = rejudge_bpf__open_and_load();
    int r = bpf ? 0 : -errno;

    rejudge_bpf__destroy(bpf);
    return r;
}

static int try_script(void)
{
    struct script_bpf *bpf = script_bpf__open_and_load();
    int r = bpf ? 0 : -errno;

    script_bpf__destroy(bpf);
    return r;
}

static void say_errno(struct host_feature *f, int r)
{
    size_t n = strlen(f->why);

    if (r < 0)
        (void)snprintf(f->why + n, sizeof(f->why) - n, " (%s)", strerror(-r));
}

size_t host_probe(struct host_feature features[], size_t room)
{
    size_t n = 0;
    int r;

    host_quiet_libbpf();
    (void)add(features, room, &n, "BTF", "field offsets of this kernel", true,
              access("/sys/kernel/btf/vmlinux", R_OK) == 0,
              "needs CONFIG_DEBUG_INFO_BTF: no enforcement on this kernel");
    (void)add(features, room, &n, "cgroup/sock", "sockets get their program", true,
              has_program(BPF_PROG_TYPE_CGROUP_SOCK), "no enforcement on this kernel");
    (void)add(features, room, &n, "cgroup/sock_addr", "connect() is judged", true,
              has_program(BPF_PROG_TYPE_CGROUP_SOCK_ADDR), "no enforcement on this kernel");
    (void)add(features, room, &n, "cgroup/skb", "packets of sockets are judged", true,
              has_program(BPF_PROG_TYPE_CGROUP_SKB), "no enforcement on this kernel");
    (void)add(features, room, &n, "tc", "the backstop at network interfaces", true,
              has_program(BPF_PROG_TYPE_SCHED_CLS), "no enforcement on this kernel");
    (void)add(features, room, &n, "socket storage", "what is known of a socket", true,
              has_map(BPF_MAP_TYPE_SK_STORAGE), "no enforcement on this kernel");
    (void)add(features, room, &n, "ring buffer", "reports", true, has_map(BPF_MAP_TYPE_RINGBUF),
              "no enforcement on this kernel");
    r = try_host();
    say_errno(add(features, room, &n, "host programs", "all hooks together, as they will run", true,
                  r == 0, "refused by the verifier, or a capability is missing"),
              r);
    r = try_sweep();
    say_errno(add(features, room, &n, "iterators", "sockets older than the agent are adopted", true,
                  r == 0, "refused, or a capability is missing"),
              r);
    r = try_rejudge();
    say_errno(add(features, room, &n, "bpf_sock_destroy",
                  "connections that a change forbids are reset", false, r == 0,
                  "before Linux 6.5: they starve, without a reset to the peer"),
              r);
    r = try_script();
    say_errno(add(features, room, &n, "exec tracepoint",
                  "reports name the script of an interpreter", false, r == 0,
                  "reports name the interpreter only"),
              r);
    (void)add(features, room, &n, "LSM", "packet sockets could be refused at creation", false,
              has_program(BPF_PROG_TYPE_LSM) && access("/sys/kernel/security", F_OK) == 0,
              "not used by this version; packet sockets are stopped at the NIC (docs/security)");
    return n;
}
