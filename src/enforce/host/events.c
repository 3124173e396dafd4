/* SPDX-License-Identifier: Apache-2.0 */
/* The ring, the denials that it was spared, the bytes of datagram flows, and what was lost. */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <uthash.h>

#include "enforce/host/internal.h"
#include "host.skel.h"

enum {
    MAX_PATHS = 16384,
    FLOW_IDLE_S = 120, /* As REPLY_NS in host.bpf.c. */
    SWEEP_BATCH = 256,
    MAX_SWEEPS = 1024,
    DATAGRAMS_EVERY = 15, /* Seconds, being calls of host_flush(). */
};

#define NS_PER_S UINT64_C(1000000000)

struct seen_program {
    struct abi_file file;
    char *path;
    UT_hash_handle hh; /* In order of insertion: the head is the oldest. */
};

struct seen_script {
    uint32_t pid;
    char *path;
    UT_hash_handle hh;
};

static void forget_script(struct host *h, struct seen_script *s)
{
    HASH_DEL(h->scripts, s);
    free(s->path);
    free(s);
}

static void learn_script(struct host *h, const struct abi_program_event *e)
{
    struct seen_script *s;

    HASH_FIND(hh, h->scripts, &e->pid, sizeof(e->pid), s);
    if (s)
        forget_script(h, s);
    if (e->path[ABI_PATH_SIZE - 1] != 0 || !e->complete)
        return;
    if (HASH_COUNT(h->scripts) >= MAX_PATHS)
        forget_script(h, h->scripts);
    s = xcalloc(1, sizeof *s);
    s->pid = e->pid;
    s->path = xstrdup(e->path);
    HASH_ADD(hh, h->scripts, pid, sizeof(s->pid), s);
}

static const char *script_of(const struct host *h, uint32_t pid)
{
    struct seen_script *s = NULL;

    if (pid)
        HASH_FIND(hh, h->scripts, &pid, sizeof(pid), s);
    return s ? s->path : "";
}

static void forget(struct host *h, struct seen_program *p)
{
    HASH_DEL(h->programs, p);
    free(p->path);
    free(p);
}

static void learn_path(struct host *h, const struct abi_program_event *e)
{
    struct seen_program *p;

    if (e->start >= ABI_PATH_SIZE || e->path[ABI_PATH_SIZE - 1] != 0)
        return;
    HASH_FIND(hh, h->programs, &e->file, sizeof(e->file), p);
    if (p)
        forget(h, p);
    if (HASH_COUNT(h->programs) >= MAX_PATHS)
        forget(h, h->programs);
    p = xcalloc(1, sizeof *p);
    p->file = e->file;
    p->path = xstrdup(e->path + e->start);
    HASH_ADD(hh, h->programs, file, sizeof(p->file), p);
}

static const char *path_of(const struct host *h, const struct abi_file *file)
{
    struct seen_program *p;

    for (unsigned slot = 0; slot < ABI_SLOTS; slot++)
        for (size_t i = 0; i < h->slots[slot].n_processes; i++)
            if (memcmp(&h->slots[slot].processes[i].file, file, sizeof(*file)) == 0 && file->inode)
                return h->slots[slot].processes[i].path;
    HASH_FIND(hh, h->programs, file, sizeof(*file), p);
    return p ? p->path : "";
}

static uint64_t revision_of(const struct host *h, uint64_t active)
{
    for (size_t i = 0; i < GENERATIONS_KEPT; i++)
        if (h->generations[i].active == active)
            return h->generations[i].revision;
    return 0;
}

static void give_flow(struct host *h, const struct abi_event *e)
{
    struct enforcer_flow f = {.direction = (enum direction)e->direction,
                              .verdict = (enum verdict)e->verdict,
                              .layer = (enum layer)e->layer,
                              .remote = address_of_abi(&e->remote),
                              .identity = e->identity,
                              .protocol = e->protocol,
                              .port = e->port,
                              .process = path_of(h, &e->file),
                              .script = script_of(h, e->pid),
                              .uid = e->uid,
                              .pid = e->pid,
                              .rule = e->rule,
                              .revision = revision_of(h, e->active),
                              .count = e->kind == ABI_EVENT_FLOW ? e->count : 0,
                              .bytes_out = e->bytes_out,
                              .bytes_in = e->bytes_in};

    h->events.flow(h->events.arg, &f);
}

static int take_event(void *h_, void *data, size_t size)
{
    struct host *h = h_;
    uint32_t kind;

    if (size < sizeof(kind))
        return 0;
    memcpy(&kind, data, sizeof(kind));
    if (kind == ABI_EVENT_PROGRAM && size >= sizeof(struct abi_program_event))
        learn_path(h, data);
    else if (kind == ABI_EVENT_SCRIPT && size >= sizeof(struct abi_program_event))
        learn_script(h, data);
    else if (size >= sizeof(struct abi_event))
        give_flow(h, data);
    return 0;
}

int host_open_events(struct host *h, struct buf *why)
{
    h->ring = ring_buffer__new(bpf_map__fd(h->bpf->maps.events), take_event, h, NULL);
    if (h->ring)
        return 0;
    buf_printf(why, "cannot read the event ring: %s", strerror(errno));
    return -errno;
}

void host_close_events(struct host *h)
{
    struct seen_script *s, *next_script;
    struct seen_program *p, *next;

    HASH_ITER (hh, h->scripts, s, next_script)
        forget_script(h, s);
    HASH_ITER (hh, h->programs, p, next)
        forget(h, p);
    ring_buffer__free(h->ring);
}

int host_events_fd(const struct host *h)
{
    return ring_buffer__epoll_fd(h->ring);
}

int host_drain(struct host *h)
{
    return ring_buffer__consume(h->ring);
}

static void tell_denial(void *host, const void *denied, const struct abi_denial *d)
{
    const struct abi_denial_key *key = denied;
    struct host *h = host;
    struct abi_event e = {.kind = ABI_EVENT_FLOW,
                          .count = d->pending > UINT32_MAX ? UINT32_MAX : (uint32_t)d->pending,
                          .active = h->config.active,
                          .file = key->file,
                          .remote = key->remote,
                          .identity = d->identity,
                          .rule = d->rule,
                          .uid = key->uid,
                          .port = key->port,
                          .protocol = key->protocol,
                          .direction = key->direction,
                          .verdict = ABI_DENY,
                          .layer = d->layer};

    give_flow(h, &e);
}

/* A flow that ended: its bytes are told once, and its place is free. */
static void flush_datagram(struct host *h, int fd, const struct abi_flow_key *key,
                           const struct abi_flow *f)
{
    struct abi_event e = {.kind = ABI_EVENT_CLOSE,
                          .active = f->active,
                          .file = f->file,
                          .remote = key->remote,
                          .bytes_out = f->bytes_out,
                          .bytes_in = f->bytes_in,
                          .identity = f->identity,
                          .rule = f->rule,
                          .uid = f->uid,
                          .port = f->port,
                          .protocol = key->protocol,
                          .direction = f->direction,
                          .verdict = f->verdict,
                          .layer = f->layer};

    if (kernel_now_ns() - f->last_ns <= FLOW_IDLE_S * NS_PER_S)
        return;
    give_flow(h, &e);
    (void)bpf_map_delete_elem(fd, key);
}

static void flush_datagrams(struct host *h)
{
    int fd = bpf_map__fd(h->bpf->maps.flows), r = 0;
    CLEANUP(free_voidp) struct abi_flow_key *keys = xcalloc(SWEEP_BATCH, sizeof *keys);
    CLEANUP(free_voidp) struct abi_flow *flows = xcalloc(SWEEP_BATCH, sizeof *flows);
    uint32_t position = 0, n;
    void *from = NULL;

    for (int i = 0; i < MAX_SWEEPS && r == 0; i++) {
        n = SWEEP_BATCH;
        r = bpf_map_lookup_batch(fd, from, &position, keys, flows, &n, NULL);
        if (r < 0 && errno != ENOENT) /* ENOENT: these were the last. */
            return;
        for (uint32_t k = 0; k < n; k++)
            flush_datagram(h, fd, &keys[k], &flows[k]);
        from = &position;
    }
}

static void tell_losses(struct host *h)
{
    static const uint32_t losses[] = {ABI_COUNT_LOST_FLOW, ABI_COUNT_LOST_CLOSE,
                                      ABI_COUNT_LOST_PROGRAM, ABI_COUNT_LOST_DENIAL};
    struct host_status status;

    host_status(h, &status);
    for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
        uint64_t n = status.counters[losses[i]], *told = &h->counters_told[losses[i]];

        if (n > *told)
            host_notice(h, NOTICE_LOST, "%s: %llu more", host_counter_name(losses[i]),
                        (unsigned long long)(n - *told));
        *told = n;
    }
}

void host_flush(struct host *h)
{
    denials_sweep(bpf_map__fd(h->bpf->maps.denials), sizeof(struct abi_denial_key), tell_denial, h);
    if (++h->n_flushes % DATAGRAMS_EVERY == 0)
        flush_datagrams(h);
    tell_losses(h);
}
