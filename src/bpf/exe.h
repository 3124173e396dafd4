/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* exe.h - which program is this?  The running program's file, and once its path */
#pragma once

#include <bpf/bpf_core_read.h>

#include "bpf/kernel.h"
#include "bpf/maps.h"

enum { MAX_PATH_PARTS = 48, PATH_MASK = ABI_PATH_SIZE - 1 };

/* Linux >= 6.13 keeps a "was looked at" flag in the top bit of the nanoseconds. */
#define CTIME_NSEC_MASK 0x7fffffffu

static __always_inline __u64 change_time_ns(struct inode *inode)
{
    if (bpf_core_field_exists(((struct inode___6_11 *)0)->i_ctime_sec)) {
        struct inode___6_11 *i = (void *)inode;

        return (__u64)BPF_CORE_READ(i, i_ctime_sec) * 1000000000u +
               (BPF_CORE_READ(i, i_ctime_nsec) & CTIME_NSEC_MASK);
    }
    if (bpf_core_field_exists(((struct inode___6_6 *)0)->__i_ctime)) {
        struct inode___6_6 *i = (void *)inode;

        return (__u64)BPF_CORE_READ(i, __i_ctime.tv_sec) * 1000000000u +
               (__u64)BPF_CORE_READ(i, __i_ctime.tv_nsec);
    }
    return (__u64)BPF_CORE_READ(inode, i_ctime.tv_sec) * 1000000000u +
           (__u64)BPF_CORE_READ(inode, i_ctime.tv_nsec);
}

static __always_inline void file_of_inode(struct inode *inode, struct abi_file *file)
{
    file->inode = BPF_CORE_READ(inode, i_ino);
    file->device = BPF_CORE_READ(inode, i_sb, s_dev);
    file->change_ns = change_time_ns(inode);
    file->pad = 0;
}

/* The file that 'task' runs; all zeros (the unknown program) for kernel threads. */
static __always_inline struct file *exe_of(struct task_struct *task, struct abi_file *file)
{
    struct file *exe = BPF_CORE_READ(task, mm, exe_file);

    __builtin_memset(file, 0, sizeof(*file));
    if (exe)
        file_of_inode(BPF_CORE_READ(exe, f_inode), file);
    return exe;
}

struct path_walk {
    struct abi_program_event *event;
    struct dentry *dentry;
    struct mount *mount;
    __u32 at; /* Offset of the text so far; it grows towards the front. */
};

/* Puts one more component before the path.  Stops (1) at the root of the mount name space. */
static long prepend_part(__u32 i __attribute__((unused)), void *context)
{
    struct path_walk *w = context;
    struct dentry *dentry = w->dentry;
    struct mount *mount = w->mount;
    struct dentry *root = BPF_CORE_READ(mount, mnt.mnt_root);
    struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
    const unsigned char *name;
    __u32 len, at;

    if (dentry == root || dentry == parent) {
        struct mount *above = BPF_CORE_READ(mount, mnt_parent);

        if (mount == above) {
            w->event->complete = 1;
            return 1;
        }
        w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
        w->mount = above;
        return 0;
    }
    len = BPF_CORE_READ(dentry, d_name.len);
    name = BPF_CORE_READ(dentry, d_name.name);
    if (len == 0 || len > PATH_MASK || w->at < len + 1)
        return 1; /* Too long: incomplete. */
    at = w->at - len;
    /* The buffer is twice the longest path: offset < 256, length < 256. */
    if (bpf_probe_read_kernel(&w->event->path[at & PATH_MASK], len & PATH_MASK, name))
        return 1;
    at--;
    w->event->path[at & PATH_MASK] = '/';
    w->at = at;
    w->dentry = parent;
    return 0;
}

/* Tells user space the path of the file that 'task' runs, the first time that it is seen. */
static __always_inline int report_program_of(struct task_struct *task, const struct abi_file *seen)
{
    struct file *exe = BPF_CORE_READ(task, mm, exe_file);
    struct abi_program_event *e;
    struct path_walk w = {};
    struct vfsmount *mnt;
    struct abi_file file;
    __u32 one = 1;

    if (!exe || !seen)
        return 0;
    file =
        *seen; /* Linux 6.1 takes map keys from the stack, not from a global function's caller. */
    /* Looked up first: an update takes a lock and a free element even to find that it is there. */
    if (bpf_map_lookup_elem(&programs_seen, &file) ||
        bpf_map_update_elem(&programs_seen, &file, &one, BPF_NOEXIST))
        return 0;
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        bpf_map_delete_elem(&programs_seen, &file);
        count(ABI_COUNT_LOST_PROGRAM);
        return 0;
    }
    e->kind = ABI_EVENT_PROGRAM;
    e->pid = BPF_CORE_READ(task, tgid);
    e->file = file;
    e->complete = 0;
    e->path[PATH_MASK] = 0;
    w.event = e;
    w.at = PATH_MASK;
    w.dentry = BPF_CORE_READ(exe, f_path.dentry);
    mnt = BPF_CORE_READ(exe, f_path.mnt);
    w.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
    bpf_loop(MAX_PATH_PARTS, prepend_part, &w, 0);
    e->start = w.at;
    bpf_ringbuf_submit(e, 0);
    return 0;
}

/* As above for the running task; a function of its own, verified once. */
__noinline int report_program(struct abi_file *seen)
{
    return seen ? report_program_of((void *)bpf_get_current_task(), seen) : 0;
}
