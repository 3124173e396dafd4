/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* script.bpf.c - which script does this interpreter run?
 *
 * A script carries its interpreter's identity, so rules cannot tell scripts apart; people who read
 * reports can.  The kernel knows the script's path while it executes "#!": it is told then, with
 * the process, and user space puts it beside what that process does.  For reports only: a path as
 * the caller wrote it is no identity.  An object of its own, because where it does not load nothing
 * but this is missing. */
#include "bpf/exe.h"

#include <bpf/bpf_tracing.h>

struct linux_binprm {
    const char *filename; /* As execve() was called. */
    const char *interp;   /* What is run in the end: differs for scripts. */
} KERNEL_STRUCT;

SEC("tp_btf/sched_process_exec")
int BPF_PROG(executed, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
    const char *filename = BPF_CORE_READ(binprm, filename);
    struct abi_program_event *e;

    keep_inner_types();
    (void)ctx;
    (void)old_pid;
    if (filename == BPF_CORE_READ(binprm, interp))
        return 0;
    e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        count(ABI_COUNT_LOST_PROGRAM);
        return 0;
    }
    __builtin_memset(e, 0, sizeof(*e));
    e->kind = ABI_EVENT_SCRIPT;
    e->pid = BPF_CORE_READ(task, tgid);
    e->complete = bpf_probe_read_kernel_str(e->path, ABI_PATH_SIZE, filename) > 0;
    bpf_ringbuf_submit(e, 0);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
