/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h - BPF programs as clsact filters: they persist by themselves, and are replaced in place
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <bpf/libbpf.h>

struct filter { /* A place at an interface; enforcers differ by handle. */
    unsigned ifindex;
    enum bpf_tc_attach_point point;
    uint32_t handle, priority;
};

/* Kernel's number of a program; 0: no such descriptor. */
uint32_t filter_program_id(int program_fd);

bool filter_is_there(const struct filter *f, uint32_t program_id);

/* Puts the program there, or in the place of the one that is.  -errno of the kernel. */
int filter_set(const struct filter *f, int program_fd);

void filter_clear(const struct filter *f);
