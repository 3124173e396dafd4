/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed files in one folder; see state.h. */
#include "agent/enforce/state.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent/ipc.h"
#include "base/buf.h"
#include "base/reader.h"
#include "sys/file.h"
#include "sys/sealed.h"
#include "wire/records.h"

enum { BOOT_ID_SIZE = 36 };

static void path_of(const char *dir, const char *name, const char *ending, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/%s%s", dir, name, ending);
}

int state_load(const char *dir, const char *name, struct program **ret_p)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    char path[512], aside[512];
    const char *what;
    int r;

    path_of(dir, name, "", path, sizeof(path));
    r = sealed_read(path, IPC_MAX_PROGRAM, &bytes);
    if (r == 0)
        r = program_decode(bytes.data, bytes.size, ret_p, &what);
    if (r == 0)
        return 0;
    path_of(dir, name, ".bad", aside, sizeof(aside));
    if (r == -ENOENT)
        return access(aside, F_OK) == 0 ? -EBADMSG : -ENOENT;
    (void)rename(path, aside);
    return -EBADMSG;
}

int state_save(const char *dir, const char *name, const struct program *p)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    char path[512];

    path_of(dir, name, "", path, sizeof(path));
    program_encode(p, &bytes);
    return sealed_write(path, bytes.data, bytes.size);
}

void state_remove(const char *dir, const char *name)
{
    char path[512];

    path_of(dir, name, "", path, sizeof(path));
    (void)unlink(path); /* Not there: as wanted. */
}

static void boot_id(char id[BOOT_ID_SIZE])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    memset(id, '?', BOOT_ID_SIZE);
    if (file_read("/proc/sys/kernel/random/boot_id", 64, &text) == 0 && text.size >= BOOT_ID_SIZE)
        memcpy(id, text.data, BOOT_ID_SIZE);
}

struct pending state_pending(const char *dir)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    struct pending p = {.revision = 0};
    char path[512], id[BOOT_ID_SIZE];
    const void *written;
    struct reader r;

    path_of(dir, "pending", "", path, sizeof(path));
    if (sealed_read(path, 4096, &bytes) < 0)
        return p;
    r = reader_of(bytes.data, bytes.size);
    p.revision = reader_be64(&r);
    p.deadline_ns = reader_be64(&r);
    written = reader_bytes(&r, BOOT_ID_SIZE);
    boot_id(id);
    if (!written || memcmp(written, id, BOOT_ID_SIZE) != 0)
        p.deadline_ns = 0;
    return p;
}

int state_set_pending(const char *dir, const struct pending *p)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    char path[512], id[BOOT_ID_SIZE];

    path_of(dir, "pending", "", path, sizeof(path));
    if (p->revision == 0) {
        state_remove(dir, "pending");
        return 0;
    }
    boot_id(id);
    buf_be64(&bytes, p->revision);
    buf_be64(&bytes, p->deadline_ns);
    buf_add(&bytes, id, sizeof(id));
    return sealed_write(path, bytes.data, bytes.size);
}

uint64_t state_now_ns(void)
{
    struct timespec t = {.tv_sec = 0};

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
