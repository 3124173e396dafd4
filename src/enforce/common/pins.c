/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/common/pins.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

int pins_remove(const char *path, void (*end_hooks)(void), struct buf *why)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int r = 0;

    if (!dir) {
        buf_printf(why, "%s: %s: nothing to detach", path, strerror(errno));
        return -errno;
    }
    end_hooks();
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            r = -errno;
    closedir(dir);
    if (r == 0 && rmdir(path) < 0)
        r = -errno;
    if (r < 0)
        buf_printf(why, "cannot remove %s: %s", path, strerror(-r));
    return r;
}
