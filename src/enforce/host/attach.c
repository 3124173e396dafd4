/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup links: made once, pinned, updated in place by later agents, put back when taken away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/host/internal.h"
#include "host.skel.h"

static void pin_path(const struct host *h, const char *kind, const char *name, char *path,
                     size_t size)
{
    (void)snprintf(path, size, "%s/%s_%s", h->pin_dir, kind, name);
}

static bool alive(int fd)
{
    struct bpf_link_info info = {.type = 0};
    uint32_t size = sizeof(info);

    return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.cgroup.cgroup_id != 0;
}

static int make_link(struct host *h, struct host_link *l, const char *path)
{
    int fd = bpf_link_create(bpf_program__fd(l->program), h->cgroup_fd,
                             (enum bpf_attach_type)l->attach_type, NULL);

    if (fd < 0)
        return -errno;
    (void)unlink(path);
    if (bpf_obj_pin(fd, path) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    l->fd = fd;
    return 0;
}

static int attach_one(struct host *h, struct host_link *l)
{
    char path[256];
    int fd;

    pin_path(h, "link", l->name, path, sizeof(path));
    fd = bpf_obj_get(path);
    if (fd >= 0 && alive(fd) && bpf_link_update(fd, bpf_program__fd(l->program), NULL) == 0) {
        l->fd = fd; /* Replaced in place: the hook was never without a program. */
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return make_link(h, l, path);
}

int attach_links(struct host *h, struct buf *why)
{
    const struct host_link links[HOST_LINKS] = {
        {"sock_create", BPF_CGROUP_INET_SOCK_CREATE, h->bpf->progs.socket_created, -1},
        {"sock_release", BPF_CGROUP_INET_SOCK_RELEASE, h->bpf->progs.socket_released, -1},
        {"post_bind4", BPF_CGROUP_INET4_POST_BIND, h->bpf->progs.bound4, -1},
        {"post_bind6", BPF_CGROUP_INET6_POST_BIND, h->bpf->progs.bound6, -1},
        {"connect4", BPF_CGROUP_INET4_CONNECT, h->bpf->progs.connecting4, -1},
        {"connect6", BPF_CGROUP_INET6_CONNECT, h->bpf->progs.connecting6, -1},
        {"egress", BPF_CGROUP_INET_EGRESS, h->bpf->progs.socket_egress, -1},
        {"ingress", BPF_CGROUP_INET_INGRESS, h->bpf->progs.socket_ingress, -1},
    };

    /* Tags first: from now on new sockets have one when the packet hooks begin to ask. */
    for (size_t i = 0; i < HOST_LINKS; i++) {
        int r;

        h->links[i] = links[i];
        r = attach_one(h, &h->links[i]);
        if (r < 0) {
            buf_printf(why, "cannot attach %s to %s: %s", links[i].name, h->cgroup, strerror(-r));
            return r;
        }
        if (i == 3)
            sockets_adopt(h);
    }
    return 0;
}

static void verify_link(struct host *h, struct host_link *l)
{
    char path[256];

    pin_path(h, "link", l->name, path, sizeof(path));
    if (!alive(l->fd)) {
        int old = l->fd;

        if (make_link(h, l, path) == 0) {
            close(old);
            host_notice(h, NOTICE_TAMPER, "hook %s was detached; attached again", l->name);
        }
    } else if (access(path, F_OK) < 0 && bpf_obj_pin(l->fd, path) == 0) {
        host_notice(h, NOTICE_TAMPER, "pin %s was removed; put back", path);
    }
}

static void verify_maps(struct host *h)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, h->bpf->obj)
    {
        const char *path = bpf_map__pin_path(map);

        if (path && access(path, F_OK) < 0 && bpf_obj_pin(bpf_map__fd(map), path) == 0)
            host_notice(h, NOTICE_TAMPER, "pin %s was removed; put back", path);
    }
}

static void verify_config(struct host *h)
{
    int fd = bpf_map__fd(h->bpf->maps.config);
    struct abi_config now;
    uint32_t zero = 0;

    if (bpf_map_lookup_elem(fd, &zero, &now) == 0 && memcmp(&now, &h->config, sizeof(now)) == 0)
        return;
    if (host_store_config(h) == 0)
        host_notice(h, NOTICE_TAMPER, "the config map was edited; put back");
}

void host_verify_hooks(struct host *h)
{
    for (size_t i = 0; i < HOST_LINKS; i++)
        verify_link(h, &h->links[i]);
    verify_maps(h);
    verify_config(h);
}
