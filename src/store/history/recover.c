/* SPDX-License-Identifier: Apache-2.0 */
/* Reading back what a history in a folder is made of; see columns.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/history/columns.h"
#include "store/history/frames.h"
#include "sys/file.h"
#include "sys/sealed.h"

enum { TEXTS_FILE_MAX = 1 << 30 };

static void path_of(const struct columns *c, const char *name, struct buf *path)
{
    buf_reset(path);
    buf_printf(path, "%s/%s", c->path, name);
}

static int read_horizon(struct columns *c)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT, b = BUF_INIT;
    struct reader reader;
    int r;

    path_of(c, "horizon", &path);
    r = sealed_read(path.data, 8, &b);
    if (r == -ENOENT)
        return 0;
    if (r == -EBADMSG || r == -EFBIG) { /* The next retention finds it again. */
        c->damaged++;
        return 0;
    }
    reader = reader_of(b.data, b.size);
    c->horizon = r < 0 ? 0 : reader_be64(&reader);
    return r;
}

static int take_texts(void *user, const void *payload, size_t size)
{
    struct texts *t = user;
    struct reader r = reader_of(payload, size);
    uint32_t first = reader_be32(&r);

    if (!reader_ok(&r) || first < t->pile.n || first > HISTORY_TEXTS_MAX)
        return -EUCLEAN;
    texts_pad(t, first);
    while (r.left) {
        size_t len = reader_be16(&r);
        const char *text = reader_bytes(&r, len);

        if (!text || len >= HISTORY_TEXT_SIZE || memchr(text, 0, len) ||
            t->pile.n >= HISTORY_TEXTS_MAX)
            return -EUCLEAN;
        texts_add(t, text, len);
    }
    return 0;
}

void columns_take_texts(struct texts *t, const void *data, size_t size,
                        struct frames_found *ret_found)
{
    frames_read(data, size, take_texts, t, ret_found);
}

/* A file that grows: read whole, and cut where it ends.  '*ret_fd' stays open for writing. */
static int read_frames(struct columns *c, const char *name, size_t max,
                       int (*take)(void *user, const void *payload, size_t size), void *user,
                       int *ret_fd, uint64_t *ret_size)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT, b = BUF_INIT;
    struct frames_found found;
    int r, fd;

    path_of(c, name, &path);
    r = file_read(path.data, max, &b);
    if (r < 0)
        return r;
    frames_read(b.data, b.size, take, user, &found);
    c->damaged += found.damaged;
    *ret_size = found.end;
    if (c->read_only)
        return 0;
    fd = open(path.data, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (found.end < b.size && ftruncate(fd, (off_t)found.end) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    fd_closep(ret_fd);
    *ret_fd = fd;
    return 0;
}

static int create(const struct columns *c, const char *name, int *ret_fd)
{
    int fd = openat(c->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    if (fsync(c->folder) < 0) {
        int r = -errno;

        (void)close(fd);
        return r;
    }
    fd_closep(ret_fd);
    *ret_fd = fd;
    return 0;
}

static int read_texts(struct history *h, struct columns *c)
{
    int r =
        read_frames(c, "texts", TEXTS_FILE_MAX, take_texts, &h->texts, &c->texts, &c->texts_size);

    if (r == -ENOENT)
        r = c->read_only ? 0 : create(c, "texts", &c->texts);
    c->texts_saved = h->texts.n;
    return r;
}

int columns_new_journal(const struct columns *c, uint64_t generation, int *ret_fd)
{
    char name[JOURNAL_NAME_SIZE];

    return create(c, journal_name(generation, name), ret_fd);
}

struct replay {
    struct history *h;
    struct columns *c;
};

static int take_batch(void *user, const void *payload, size_t size)
{
    struct replay *replay = user;
    struct history *h = replay->h;
    struct memory *m = replay->c->active;
    struct journal_batch b;
    bool fits = journal_take(payload, size, &b);
    CLEANUP(free_voidp) struct flow *flows = b.flows;
    uint64_t missing;

    if (!fits || m->rows.n + b.batch.n_flows > PILE_MAX)
        return -EUCLEAN;
    texts_pad(&h->texts, b.n_texts);
    if (streams_ask(&h->streams, b.batch.stream, b.batch.epoch, b.batch.sequence, &missing) !=
        STREAM_NEW)
        return 0; /* In the parts already. */
    memory_add(m, flows, b.batch.n_flows);
    history_count(h, &b.batch);
    return 0;
}

/* The journals that are not in the parts: one, or two when a seal was cut off. */
static int read_journals(struct history *h, struct columns *c)
{
    struct replay replay = {h, c};
    char name[JOURNAL_NAME_SIZE];
    uint64_t generation = c->sealed;
    int r;

    for (;; generation++) {
        r = read_frames(c, journal_name(generation, name), JOURNAL_SIZE_MAX, take_batch, &replay,
                        &c->journal, &c->journal_size);
        if (r == -ENOENT)
            break;
        if (r < 0)
            return r;
    }
    c->generation = generation > c->sealed ? generation - 1 : c->sealed;
    if (generation > c->sealed || c->read_only)
        return 0;
    c->journal_size = 0;
    return columns_new_journal(c, c->generation, &c->journal);
}

/* A part that cannot be read is set aside for whoever wants to look at it. */
static void set_aside(struct columns *c, const char *name)
{
    CLEANUP(buf_done) struct buf aside = BUF_INIT;

    c->damaged++;
    if (c->read_only)
        return;
    buf_printf(&aside, "%s.damaged", name);
    (void)renameat(c->folder, name, c->folder, aside.data); /* Else it is found again. */
}

static int open_parts(struct columns *c, const struct manifest *m, bool last_try)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct part_info *info = &m->parts[i];
        char name[PART_NAME_SIZE];
        struct part *p = NULL;
        int r;

        if (info->day < c->horizon)
            continue; /* Forgotten; its file is removed below. */
        r = part_open(c->folder, part_name(info, name), &p);
        if (r == -ENOENT && c->read_only && !last_try)
            return -ESTALE;
        if (r == -EUCLEAN || r == -EIO || r == -ENOENT) {
            set_aside(c, name);
            continue;
        }
        if (r < 0)
            return r;
        GROW(c->parts, c->n_parts, c->parts_room);
        c->parts[c->n_parts++] = p;
    }
    return 0;
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);

    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_part(const struct columns *c, const char *name)
{
    char known[PART_NAME_SIZE];

    for (size_t i = 0; i < c->n_parts; i++)
        if (strcmp(part_name(&c->parts[i]->info, known), name) == 0)
            return true;
    return false;
}

static bool is_old_journal(const struct columns *c, const char *name)
{
    char first[JOURNAL_NAME_SIZE];

    return strncmp(name, "journal-", 8) == 0 && strcmp(name, journal_name(c->sealed, first)) < 0;
}

static void closedirp(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* Removes what a crash left behind.  Without a manifest there are no parts: those that lie there
 * lost theirs. */
static int clean(struct columns *c, bool has_manifest)
{
    CLEANUP(closedirp) DIR *d = opendir(c->path);
    const struct dirent *e;

    if (!d)
        return -errno;
    while ((e = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own. */
        bool part = ends_with(e->d_name, ".part");

        if (part && !has_manifest)
            return -EUCLEAN;
        if ((part && !is_part(c, e->d_name)) || ends_with(e->d_name, ".new") ||
            is_old_journal(c, e->d_name))
            (void)unlinkat(c->folder, e->d_name, 0); /* Or the next start does. */
    }
    return 0;
}

/* From the beginning there is one, so that parts without a manifest have lost it. */
static int first_manifest(const struct history *h, const char *path)
{
    CLEANUP(buf_done) struct buf tail = BUF_INIT;
    struct manifest m = {.generation = 0};

    manifest_put_tail(h, &tail);
    return manifest_write(path, &m, &tail);
}

static int recover(struct history *h, struct columns *c, const char **ret_what)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    CLEANUP(manifest_done) struct manifest m = {.n_parts = 0};
    bool has_manifest;
    int r;

    *ret_what = "its texts cannot be read";
    r = read_texts(h, c);
    if (r < 0)
        return r;
    path_of(c, "manifest", &path);
    r = manifest_read(path.data, &m, h);
    has_manifest = r != -ENOENT;
    *ret_what = "its manifest is damaged: put it back from a copy";
    if (r < 0 && has_manifest)
        return r == -EBADMSG ? -EUCLEAN : r;
    c->sealed = m.generation;
    c->next_id = m.next_id;
    *ret_what = "its parts cannot be opened";
    r = read_horizon(c);
    if (r == 0)
        r = open_parts(c, &m, h->last_try);
    if (r < 0)
        return r;
    *ret_what = "its manifest is missing";
    r = c->read_only ? 0 : clean(c, has_manifest);
    if (r < 0)
        return r;
    *ret_what = "its manifest cannot be written";
    r = has_manifest || c->read_only ? 0 : first_manifest(h, path.data);
    if (r < 0)
        return r;
    *ret_what = "its journal cannot be read";
    r = read_journals(h, c);
    if (r < 0)
        return r;
    /* Texts that records use but the dictionary lost keep their numbers. */
    c->damaged += h->texts.n > c->texts_saved;
    *ret_what = "";
    return 0;
}

/* Reading beside a writer: what was read belongs together if the manifest is still the same, and
 * no text came after the dictionary was read. */
int columns_recover(struct history *h, struct columns *c, const char **ret_what)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
    int r;

    if (!c->read_only)
        return recover(h, c, ret_what);
    path_of(c, "manifest", &path);
    *ret_what = "it holds no history";
    r = file_read(path.data, MANIFEST_SIZE_MAX, &before);
    if (r == 0)
        r = recover(h, c, ret_what);
    if (r == 0)
        r = file_read(path.data, MANIFEST_SIZE_MAX, &after);
    if (r < 0 || h->last_try)
        return r;
    if (before.size != after.size || memcmp(buf_str(&before), buf_str(&after), before.size) != 0 ||
        h->texts.n > c->texts_saved)
        return -ESTALE;
    return 0;
}
