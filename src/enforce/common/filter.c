/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/common/filter.h"

#include <errno.h>

#include <bpf/bpf.h>

uint32_t filter_program_id(int program_fd)
{
    struct bpf_prog_info info = {.id = 0};
    uint32_t size = sizeof(info);

    return bpf_obj_get_info_by_fd(program_fd, &info, &size) < 0 ? 0 : info.id;
}

bool filter_is_there(const struct filter *f, uint32_t program_id)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)f->ifindex, .attach_point = f->point);
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority);

    return bpf_tc_query(&hook, &opts) == 0 && opts.prog_id == program_id;
}

int filter_set(const struct filter *f, int program_fd)
{
    LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = (int)f->ifindex,
                .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)f->ifindex, .attach_point = f->point);
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority,
                .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE);
    int r = bpf_tc_hook_create(&both);

    if (r < 0 && r != -EEXIST)
        return r;
    return bpf_tc_attach(&hook, &opts);
}

void filter_clear(const struct filter *f)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)f->ifindex, .attach_point = f->point);
    LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority);

    (void)bpf_tc_detach(&hook, &opts); /* Where there was none, there is none. */
}
