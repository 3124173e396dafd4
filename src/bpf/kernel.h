/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* kernel.h - the few fields of kernel structures that we read, relocated at load time (CO-RE)
 *
 * Only names matter here: libbpf finds each field in the running kernel's BTF.  A suffix behind
 * three underscores marks another shape of the same structure. */
#pragma once

#include <linux/types.h>

#define KERNEL_STRUCT __attribute__((preserve_access_index))

struct qstr {
    const unsigned char *name;
    __u32 len;
} KERNEL_STRUCT;

struct super_block {
    __u32 s_dev;
} KERNEL_STRUCT;

struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
} KERNEL_STRUCT;

/* Linux <= 6.5: i_ctime; 6.6 to 6.10: __i_ctime; later: two numbers. */
struct inode {
    struct super_block *i_sb;
    unsigned long i_ino;
    struct timespec64 i_ctime;
} KERNEL_STRUCT;

struct inode___6_6 {
    struct timespec64 __i_ctime;
} KERNEL_STRUCT;

struct inode___6_11 {
    __s64 i_ctime_sec;
    __u32 i_ctime_nsec;
} KERNEL_STRUCT;

struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
} KERNEL_STRUCT;

struct vfsmount {
    struct dentry *mnt_root;
} KERNEL_STRUCT;

struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
} KERNEL_STRUCT;

struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
} KERNEL_STRUCT;

struct file {
    struct path f_path;
    struct inode *f_inode;
} KERNEL_STRUCT;

struct mm_struct {
    struct file *exe_file;
} KERNEL_STRUCT;

struct task_struct {
    struct mm_struct *mm;
    int tgid;
} KERNEL_STRUCT;
