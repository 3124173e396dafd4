/* SPDX-License-Identifier: Apache-2.0 */
/* What was appended to a folder's history, onto the disk; see kind.h and columns.h. */
#include <errno.h>
#include <unistd.h>

#include "store/history/columns.h"
#include "store/history/frames.h"
#include "sys/file.h"

/* All of 'data' at 'offset', durable.  May be repeated after an error: the same bytes are written
 * again, as the kernel forgets what it could not flush. */
static int write_durable(int fd, uint64_t offset, const struct buf *data)
{
    size_t done = 0;

    while (done < data->size) {
        ssize_t n = pwrite(fd, data->data + done, data->size - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return fdatasync(fd) < 0 ? -errno : 0;
}

struct commit {
    int texts_fd, journal_fd; /* Borrowed: they stay while it is under way. */
    struct buf texts, journal;
    uint64_t texts_at, journal_at;
    uint32_t n_texts;
    const struct columns *c; /* Its folder, which stays as it is. */
    uint64_t generation;     /* Of the next journal, if it 'rotates'. */
    bool rotates;
    int next_journal;
};

/* Frames of up to a megabyte: from which text on, how many, then each with its length. */
static void put_texts(const struct texts *texts, uint32_t at, uint64_t durable, struct buf *b)
{
    while (at < texts->n) {
        size_t from = frames_begin(b), start = b->size;
        uint32_t end = at;

        buf_be32(b, at);
        while (end < texts->n && b->size - start < 1 << 20) {
            const char *text = texts_of(texts, end++);

            buf_be16(b, (uint16_t)strlen(text));
            buf_puts(b, text);
        }
        frames_end(b, from, durable);
        at = end;
    }
}

bool columns_are_full(const struct columns *c)
{
    return c->active->rows.n >= COLUMNS_SEAL_ROWS ||
           c->journal_size + c->pending.size >= COLUMNS_JOURNAL_MAX;
}

/* It holds days that are forgotten: once a day, however little is told. */
static bool is_overdue(const struct columns *c)
{
    return c->active->rows.n && c->active->first_ms / day_ms < c->horizon;
}

static bool is_to_rotate(const struct columns *c)
{
    return !c->sealing &&
           (columns_are_full(c) || is_overdue(c) || (c->settles && c->active->rows.n));
}

bool columns_commit_is_due(const struct history *h)
{
    return is_to_rotate(h->backend);
}

/* What comes from here on is for the next memory and journal. */
static void rotate(struct history *h, struct columns *c, struct commit *k)
{
    k->rotates = c->rotates = true;
    k->generation = ++c->generation;
    buf_reset(&c->sealing_tail);
    manifest_put_tail(h, &c->sealing_tail);
    c->sealing = TAKE_PTR(c->active);
    c->active = memory_new();
    c->retry_ms = 0;
    c->journal_size = 0;
}

void *columns_commit_new(struct history *h, const struct streams_news *streams)
{
    struct columns *c = h->backend;
    struct commit *k = xcalloc(1, sizeof(*k));

    (void)streams; /* They are in the frames. */
    *k = (struct commit){.texts_fd = c->texts,
                         .journal_fd = c->journal,
                         .texts_at = c->texts_size,
                         .journal_at = c->journal_size,
                         .n_texts = h->texts.n,
                         .c = c,
                         .next_journal = -1};
    if (is_to_rotate(c))
        rotate(h, c, k);
    put_texts(&h->texts, c->texts_saved, c->texts_size, &k->texts);
    k->journal = c->pending;
    c->pending = BUF_INIT;
    return k;
}

int columns_commit_write(void *commit)
{
    struct commit *k = commit;
    int r = k->texts.size ? write_durable(k->texts_fd, k->texts_at, &k->texts) : 0;

    if (r == 0 && k->journal.size)
        r = write_durable(k->journal_fd, k->journal_at, &k->journal);
    if (r == 0 && k->rotates && k->next_journal < 0)
        r = columns_new_journal(k->c, k->generation, &k->next_journal);
    return r;
}

void columns_commit_end(struct history *h, void *commit, bool written)
{
    struct columns *c = h->backend;
    struct commit *k = commit;

    if (written) {
        c->texts_size += k->texts.size;
        c->texts_saved = k->n_texts;
        if (k->rotates) {
            fd_closep(&c->journal);
            c->journal = TAKE_FD(k->next_journal);
            c->rotates = false;
        } else {
            c->journal_size += k->journal.size;
        }
        columns_poll(c);
    }
    fd_closep(&k->next_journal);
    buf_done(&k->texts);
    buf_done(&k->journal);
    free(k);
}
