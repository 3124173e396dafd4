/* SPDX-License-Identifier: Apache-2.0 */
/* privilege.h - less of it: another user, no capabilities, few system calls
 *
 * Order matters: open what needs root, then privilege_drop(), then privilege_filter(). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Who this user is.  -ENOENT: nobody has that name. */
int privilege_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);

/* Becomes 'uid' and 'gid' for good: no supplementary groups, no capabilities, no way back, also not
 * by set-user-id programs.  Works as root only.  -EPERM: it did not take; do not go on. */
int privilege_drop(uid_t uid, gid_t gid);

/* Gives up the ability to gain privilege by exec, without changing the user. */
int privilege_lock(void);

/* From now on only the system calls named here work; others fail with EPERM, so that a library's
 * probing does not end the process, and an attacker's gets nothing.  Names that this architecture
 * lacks are skipped.  Errors as of seccomp(2). */
int privilege_filter(const char *const allowed[], size_t n);
