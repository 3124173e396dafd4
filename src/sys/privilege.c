/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/base.h"

int privilege_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
    char room[4096];
    struct passwd entry, *found = NULL;
    int r = getpwnam_r(name, &entry, room, sizeof(room), &found);

    if (r)
        return -r;
    if (!found)
        return -ENOENT;
    *ret_uid = entry.pw_uid;
    *ret_gid = entry.pw_gid;
    return 0;
}

int privilege_lock(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int privilege_drop(uid_t uid, gid_t gid)
{
    if (uid == 0 || gid == 0)
        return -EPERM;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0,
                    0); /* Besides what follows; may be denied. */
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    capng_clear(CAPNG_SELECT_BOTH);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
        return -EPERM;
    if (getuid() != uid || geteuid() != uid || getgid() != gid || setuid(0) == 0)
        return -EPERM;
    return privilege_lock();
}

static void release(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

int privilege_filter(const char *const allowed[], size_t n)
{
    CLEANUP(release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (!filter)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int number = seccomp_syscall_resolve_name(allowed[i]), r;

        if (number == __NR_SCMP_ERROR)
            continue;
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        if (r < 0 && r != -EDOM)
            return r;
    }
    return seccomp_load(filter);
}
