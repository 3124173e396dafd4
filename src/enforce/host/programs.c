/* SPDX-License-Identifier: Apache-2.0 */
/* Program files that the policy names: which inode is it now, and may it be trusted?
 *
 * A file that others than root can write, or whose folder they can, could be replaced by anybody:
 * it is not the program that the policy means, and stands for nothing.  A package upgrade brings a
 * new inode at the same path; it is picked up within half a second, and the change is reported with
 * both digests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "enforce/host/internal.h"

enum { BATCH = 64, DIGEST_SHOWN = 8, READ_SIZE = 65536 };

static int digest_of(int fd, unsigned char digest[SHA256_SIZE])
{
    CLEANUP(free_voidp) unsigned char *chunk = xcalloc(READ_SIZE, 1);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int r = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
    ssize_t n = 1;
    off_t at = 0;

    while (r == 0 && n > 0) {
        n = pread(fd, chunk, READ_SIZE, at);
        if (n < 0)
            r = -errno;
        else if (n > 0 && EVP_DigestUpdate(md, chunk, (size_t)n) != 1)
            r = -EIO;
        at += n;
    }
    if (r == 0 && EVP_DigestFinal_ex(md, digest, NULL) != 1)
        r = -EIO;
    EVP_MD_CTX_free(md);
    return r;
}

static bool written_by_root_only(const struct stat *st)
{
    return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Every folder on the way down to the file, sticky ones like /tmp not excepted. */
static bool folders_are_safe(const char *path)
{
    char folder[PROGRAM_PATH_SIZE];
    struct stat st;

    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        size_t len = slash == path ? 1 : (size_t)(slash - path);

        memcpy(folder, path, len);
        folder[len] = 0;
        if (stat(folder, &st) < 0 || !written_by_root_only(&st))
            return false;
    }
    return true;
}

static void show_digest(const unsigned char digest[SHA256_SIZE], char text[2 * DIGEST_SHOWN + 1])
{
    for (size_t i = 0; i < DIGEST_SHOWN; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void judge_file(struct host *h, struct host_process *p, int fd, const struct abi_file *file)
{
    char before[2 * DIGEST_SHOWN + 1], after[2 * DIGEST_SHOWN + 1];
    unsigned char digest[SHA256_SIZE];
    bool known = p->usable;
    char real[PROGRAM_PATH_SIZE + 32], target[PROGRAM_PATH_SIZE];
    ssize_t len;

    p->usable = false;
    /* The folders that count are those of the file itself, behind all symbolic links. */
    (void)snprintf(real, sizeof(real), "/proc/self/fd/%d", fd);
    len = readlink(real, target, sizeof(target) - 1);
    if (len < 0)
        return;
    target[len] = 0;
    if (!S_ISREG(p->seen.st_mode) || !written_by_root_only(&p->seen) || !folders_are_safe(target)) {
        host_notice(h, NOTICE_PROGRAM_UNSAFE,
                    "%s (or a folder above it) can be written by others than root, or is no file: "
                    "its rules match nobody; fix with chown root and chmod go-w",
                    p->path);
        return;
    }
    if (digest_of(fd, digest) < 0 || !file->inode)
        return;
    if (known && memcmp(digest, p->digest, sizeof(digest)) != 0) {
        show_digest(p->digest, before);
        show_digest(digest, after);
        host_notice(h, NOTICE_PROGRAM_CHANGED, "%s: sha256 %s... is now %s...", p->path, before,
                    after);
    }
    memcpy(p->digest, digest, sizeof(digest));
    p->file = *file;
    p->usable = true;
}

static void look_at_batch(struct host *h, struct host_process processes[], size_t n)
{
    struct abi_file files[BATCH];
    int fds[BATCH];

    for (size_t i = 0; i < n; i++) {
        struct host_process *p = &processes[i];

        memset(&p->seen, 0, sizeof(p->seen));
        fds[i] = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fds[i] >= 0 && fstat(fds[i], &p->seen) < 0)
            memset(&p->seen, 0, sizeof(p->seen));
    }
    sockets_identify(h, fds, n, files);
    for (size_t i = 0; i < n; i++) {
        struct host_process *p = &processes[i];

        if (fds[i] >= 0) {
            judge_file(h, p, fds[i], &files[i]);
            p->complained = false;
            close(fds[i]);
        } else {
            p->usable = false;
            if (!p->complained)
                host_notice(h, NOTICE_PROGRAM_MISSING, "%s: %s; its rules match nobody", p->path,
                            strerror(errno));
            p->complained = true;
        }
    }
}

void programs_look(struct host *h, struct host_process processes[], size_t n)
{
    for (size_t at = 0; at < n; at += BATCH)
        look_at_batch(h, processes + at, n - at < BATCH ? n - at : BATCH);
}

static bool moved(const struct host_process *p)
{
    struct stat now;

    if (stat(p->path, &now) < 0)
        return p->seen.st_ino != 0;
    return now.st_dev != p->seen.st_dev || now.st_ino != p->seen.st_ino ||
           now.st_ctim.tv_sec != p->seen.st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != p->seen.st_ctim.tv_nsec;
}

static bool accounts_moved(struct host *h)
{
    struct stat now;

    if (stat("/etc/passwd", &now) < 0)
        memset(&now, 0, sizeof(now));
    if (now.st_ino == h->passwd_seen.st_ino &&
        now.st_ctim.tv_sec == h->passwd_seen.st_ctim.tv_sec &&
        now.st_ctim.tv_nsec == h->passwd_seen.st_ctim.tv_nsec)
        return false;
    h->passwd_seen = now;
    return true;
}

void programs_follow(struct host *h)
{
    bool accounts = accounts_moved(h);

    for (unsigned slot = 0; slot < ABI_SLOTS; slot++) {
        struct host_slot *s = &h->slots[slot];
        bool changed = false;

        for (size_t i = 0; s->filled && i < s->n_processes; i++)
            if (moved(&s->processes[i])) {
                programs_look(h, &s->processes[i], 1);
                changed = true;
            }
        /* A map that cannot be replaced leaves the old one: the new file stays unknown, closed. */
        if (changed)
            (void)tables_put_processes(h, slot);
        if (s->filled && accounts)
            (void)tables_put_users(h, slot);
    }
}
