/* SPDX-License-Identifier: Apache-2.0 */
/* store_folder.h - set-up and clean-up for tests of what lies in a store: each in a folder of its
 * own */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"

static char folder[64];
static struct store *store;

static int in_a_new_folder(void **state)
{
    char path[96];
    const char *what;

    (void)state;
    memcpy(folder, "/tmp/sm-unit-XXXXXX", 20);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/db", folder);
    return store_open(path, &store, &what);
}

static void empty_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        if (entry->d_type == DT_DIR)
            empty_folder(fd, entry->d_name);
        (void)unlinkat(fd, entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    }
    if (dir)
        (void)closedir(dir);
}

static int clean_up(void **state)
{
    (void)state;
    store_free(store);
    empty_folder(AT_FDCWD, folder);
    return rmdir(folder);
}
