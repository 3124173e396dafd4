/* SPDX-License-Identifier: Apache-2.0 */
/* Segments, the cursor, and what is under way; see spool.h. */
#include "agent/net/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/reader.h"
#include "sys/file.h"

enum {
    PATH_SIZE = 600,
    DIGEST_SIZE = 8,
    SEGMENT_HEADER = 8 + 8 + 8 + 4 + DIGEST_SIZE, /* Magic, epoch, position, interrupted. */
    FRAME_HEADER = 4 + 4 + 8 + 8 + DIGEST_SIZE,   /* Size, records, sequence, position. */
    CURSOR_SIZE = 8 + 8 + 8 + 8 + 8 + 4 + DIGEST_SIZE,
    SEGMENTS = 16, /* Of a full spool. */
    NAME_DIGITS = 16,
};

static const char segment_magic[8] = "SMSPOOL1", cursor_magic[8] = "SMCURSR1";

struct segment {
    uint64_t number; /* The file's name. */
    uint64_t epoch;
    uint64_t position; /* Of its first record. */
    uint64_t size;
    bool interrupted;
};

struct frame {
    uint32_t size, n_records;
    uint64_t sequence, position;
};

struct sent {
    uint64_t sequence, offset, position; /* Of its end. */
};

struct spool {
    char *dir;
    uint64_t max_bytes, bytes, dropped;
    struct segment *segments; /* The head first. */
    size_t n_segments, room;

    int tail_fd;                        /* -1: the next batch begins a segment. */
    uint64_t epoch, sequence, position; /* Of the next batch. */
    bool interrupted;                   /* To be said by the next segment. */

    int head_fd;       /* -1: not open yet. */
    struct sent at;    /* Up to here it has been sent... */
    struct sent acked; /* ... and has arrived. */
    uint64_t acked_epoch;
    struct sent window[SPOOL_WINDOW];
    size_t n_window;
    struct buf frame; /* What spool_next() lends. */
};

/* ---- files ---- */

static void path_of(const struct spool *s, uint64_t number, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/%016llx.flows", s->dir, (unsigned long long)number);
}

static void digest_of(const void *head, size_t head_size, const void *body, size_t body_size,
                      uint8_t digest[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t whole[EVP_MAX_MD_SIZE];

    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(context, head, head_size) != 1 ||
        EVP_DigestUpdate(context, body, body_size) != 1 ||
        EVP_DigestFinal_ex(context, whole, NULL) != 1)
        abort(); /* Out of memory. */
    EVP_MD_CTX_free(context);
    memcpy(digest, whole, DIGEST_SIZE);
}

/* Appends the digest of what 'b' holds, and of a body that is elsewhere. */
static void seal(struct buf *b, const void *body, size_t body_size)
{
    uint8_t digest[DIGEST_SIZE];

    digest_of(b->data, b->size, body, body_size, digest);
    buf_add(b, digest, sizeof(digest));
}

static bool is_sealed(const void *head, size_t head_size, const void *body, size_t body_size)
{
    uint8_t digest[DIGEST_SIZE];

    digest_of(head, head_size - DIGEST_SIZE, body, body_size, digest);
    return memcmp((const char *)head + head_size - DIGEST_SIZE, digest, DIGEST_SIZE) == 0;
}

static int read_at(int fd, uint64_t offset, void *to, size_t size)
{
    ssize_t n = pread(fd, to, size, (off_t)offset);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EBADMSG;
}

static int write_at(int fd, uint64_t offset, const void *from, size_t size)
{
    ssize_t n = pwrite(fd, from, size, (off_t)offset);

    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -ENOSPC;
}

static int read_segment_header(int fd, struct segment *g)
{
    char bytes[SEGMENT_HEADER];
    struct reader r = reader_of(bytes, sizeof(bytes));
    int e = read_at(fd, 0, bytes, sizeof(bytes));

    if (e < 0)
        return e;
    if (memcmp(reader_bytes(&r, sizeof(segment_magic)), segment_magic, sizeof(segment_magic)) !=
            0 ||
        !is_sealed(bytes, sizeof(bytes), NULL, 0))
        return -EBADMSG;
    g->epoch = reader_be64(&r);
    g->position = reader_be64(&r);
    g->interrupted = reader_be32(&r) != 0;
    return 0;
}

/* The frame at 'offset', header and body in 'bytes'.  -EBADMSG: none, torn or damaged. */
static int read_frame(int fd, uint64_t offset, struct frame *f, struct buf *bytes)
{
    char head[FRAME_HEADER];
    struct reader r = reader_of(head, sizeof(head));
    int e = read_at(fd, offset, head, sizeof(head));

    if (e < 0)
        return e;
    f->size = reader_be32(&r);
    f->n_records = reader_be32(&r);
    f->sequence = reader_be64(&r);
    f->position = reader_be64(&r);
    if (f->size > SPOOL_BATCH_MAX)
        return -EBADMSG;
    buf_reset(bytes);
    if (bytes->room <= f->size) {
        free(bytes->data);
        *bytes = (struct buf){.data = xcalloc(f->size + 1, 1), .room = f->size + 1};
    }
    e = read_at(fd, offset + FRAME_HEADER, bytes->data, f->size);
    if (e < 0)
        return e;
    bytes->size = f->size;
    return is_sealed(head, sizeof(head), bytes->data, f->size) ? 0 : -EBADMSG;
}

/* ---- the cursor: what has arrived ---- */

static void cursor_path(const struct spool *s, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/cursor", s->dir);
}

static int write_cursor(const struct spool *s, bool ended)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(fd_closep) int fd = -1;
    char path[PATH_SIZE];

    buf_add(&b, cursor_magic, sizeof(cursor_magic));
    buf_be64(&b, s->acked_epoch);
    buf_be64(&b, s->acked.sequence);
    buf_be64(&b, s->acked.position);
    buf_be64(&b, s->position);
    buf_be32(&b, ended);
    seal(&b, NULL, 0);
    cursor_path(s, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    return write_at(fd, 0, b.data, b.size);
}

/* -ENOENT: there is none that can be read. */
static int read_cursor(struct spool *s, bool *ret_ended)
{
    char path[PATH_SIZE], bytes[CURSOR_SIZE];
    struct reader r = reader_of(bytes, sizeof(bytes));
    CLEANUP(fd_closep) int fd = -1;

    cursor_path(s, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read_at(fd, 0, bytes, sizeof(bytes)) < 0 ||
        memcmp(reader_bytes(&r, sizeof(cursor_magic)), cursor_magic, sizeof(cursor_magic)) != 0 ||
        !is_sealed(bytes, sizeof(bytes), NULL, 0))
        return -ENOENT;
    s->acked_epoch = reader_be64(&r);
    s->acked.sequence = reader_be64(&r);
    s->acked.position = reader_be64(&r);
    s->position = reader_be64(&r);
    *ret_ended = reader_be32(&r) != 0;
    return 0;
}

/* ---- the head ---- */

static void forget_segment(struct spool *s, size_t i)
{
    char path[PATH_SIZE];

    path_of(s, s->segments[i].number, path);
    (void)unlink(path); /* Else it is met again at the next start, and told again: known there. */
    s->bytes -= s->segments[i].size;
    s->n_segments--;
    memmove(&s->segments[i], &s->segments[i + 1], (s->n_segments - i) * sizeof(s->segments[0]));
}

/* Stands before the first frame of the head that has not arrived. */
static int open_head(struct spool *s)
{
    struct segment *g = &s->segments[0];
    struct frame f;
    char path[PATH_SIZE];

    path_of(s, g->number, path);
    s->head_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->head_fd < 0)
        return -errno;
    s->acked.offset = SEGMENT_HEADER;
    while (s->acked_epoch == g->epoch &&
           read_frame(s->head_fd, s->acked.offset, &f, &s->frame) == 0 &&
           f.sequence <= s->acked.sequence)
        s->acked.offset += FRAME_HEADER + f.size;
    s->at = s->acked;
    s->n_window = 0;
    return 0;
}

static void leave_head(struct spool *s)
{
    fd_closep(&s->head_fd);
    s->head_fd = -1;
    if (s->n_segments == 1) {
        fd_closep(&s->tail_fd); /* It was the tail, too. */
        s->tail_fd = -1;
    }
    forget_segment(s, 0);
    s->n_window = 0;
}

bool spool_next(struct spool *s, struct spool_batch *ret_b)
{
    struct frame f;

    while (s->n_window < SPOOL_WINDOW && s->n_segments) {
        const struct segment *g = &s->segments[0];
        int r = s->head_fd < 0 ? open_head(s) : 0;

        if (r == 0)
            r = s->at.offset < g->size ? read_frame(s->head_fd, s->at.offset, &f, &s->frame)
                                       : -ENODATA;
        if (r == 0) {
            *ret_b = (struct spool_batch){
                .epoch = g->epoch,
                .sequence = f.sequence,
                .lost = f.position > s->at.position ? f.position - s->at.position : 0,
                .interrupted = g->interrupted && s->at.offset == SEGMENT_HEADER,
                .columns = s->frame.data,
                .size = f.size};
            s->at = (struct sent){f.sequence, s->at.offset + FRAME_HEADER + f.size,
                                  f.position + f.n_records};
            s->window[s->n_window++] = s->at;
            return true;
        }
        if (s->n_window || (r == -ENODATA && s->n_segments == 1 && s->tail_fd >= 0))
            return false; /* Until it has arrived, or there is more of it. */
        if (r != -ENODATA && r != -EBADMSG && r != -ENOENT)
            return false; /* Perhaps it can be read later. */
        leave_head(s);
    }
    return false;
}

bool spool_acknowledge(struct spool *s, uint64_t epoch, uint64_t sequence)
{
    size_t n = 0;

    if (!s->n_segments || s->segments[0].epoch != epoch)
        return false;
    while (n < s->n_window && s->window[n].sequence <= sequence)
        s->acked = s->window[n++];
    if (!n)
        return false;
    s->acked_epoch = epoch;
    s->n_window -= n;
    memmove(s->window, s->window + n, s->n_window * sizeof(s->window[0]));
    (void)write_cursor(s, false); /* An older one only makes us send again. */
    if (!s->n_window && s->acked.offset == s->segments[0].size &&
        (s->n_segments > 1 || s->segments[0].size >= s->max_bytes / SEGMENTS / 2))
        leave_head(s);
    return true;
}

void spool_rewind(struct spool *s)
{
    s->n_window = 0;
    s->at = s->acked;
}

/* ---- the tail ---- */

static int begin_segment(struct spool *s)
{
    struct segment g = {.number = s->n_segments ? s->segments[s->n_segments - 1].number + 1 : 1,
                        .epoch = s->epoch,
                        .position = s->position,
                        .size = SEGMENT_HEADER,
                        .interrupted = s->interrupted};
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(fd_closep) int fd = -1;
    char path[PATH_SIZE];
    int r;

    buf_add(&b, segment_magic, sizeof(segment_magic));
    buf_be64(&b, g.epoch);
    buf_be64(&b, g.position);
    buf_be32(&b, g.interrupted);
    seal(&b, NULL, 0);
    path_of(s, g.number, path);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : write_at(fd, 0, b.data, b.size);
    if (r < 0) {
        (void)unlink(path);
        return r;
    }
    GROW(s->segments, s->n_segments, s->room);
    s->segments[s->n_segments++] = g;
    s->bytes += g.size;
    s->interrupted = false;
    s->tail_fd = TAKE_FD(fd);
    return 0;
}

/* The oldest goes, but for the head: see spool.h. */
static void drop_oldest(struct spool *s)
{
    while (s->bytes > s->max_bytes && s->n_segments > 2) {
        s->dropped += s->segments[2].position - s->segments[1].position;
        s->segments[2].interrupted |= s->segments[1].interrupted;
        forget_segment(s, 1);
    }
}

static int append(struct spool *s, const void *columns, size_t size, size_t n_records)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct segment *g;
    int r = 0;

    if (s->tail_fd >= 0 && s->segments[s->n_segments - 1].size >= s->max_bytes / SEGMENTS) {
        fd_closep(&s->tail_fd);
        s->tail_fd = -1;
    }
    if (s->tail_fd < 0)
        r = begin_segment(s);
    if (r < 0)
        return r;
    buf_be32(&b, (uint32_t)size);
    buf_be32(&b, (uint32_t)n_records);
    buf_be64(&b, s->sequence);
    buf_be64(&b, s->position);
    seal(&b, columns, size);
    buf_add(&b, columns, size);
    g = &s->segments[s->n_segments - 1];
    r = write_at(s->tail_fd, g->size, b.data, b.size);
    if (r < 0)
        return r; /* The next one is written over what came of it. */
    g->size += b.size;
    s->bytes += b.size;
    s->sequence++;
    return 0;
}

int spool_add(struct spool *s, const void *columns, size_t size, size_t n_records)
{
    int r = size > SPOOL_BATCH_MAX ? -EMSGSIZE : append(s, columns, size, n_records);

    s->position += n_records; /* Added or lost. */
    if (r < 0) {
        s->dropped += n_records;
        (void)write_cursor(s, false);
    }
    drop_oldest(s);
    return r;
}

void spool_lose(struct spool *s, uint64_t n_records)
{
    s->position += n_records;
    s->dropped += n_records;
    (void)write_cursor(s, false); /* Only a kill before the next one would forget it. */
}

/* ---- beginning and end ---- */

static int by_number(const void *a_, const void *b_)
{
    const struct segment *a = a_, *b = b_;

    return a->number < b->number ? -1 : a->number > b->number;
}

static bool number_of(const char *name, uint64_t *ret_n)
{
    uint64_t n = 0;

    for (size_t i = 0; i < NAME_DIGITS; i++) {
        char c = name[i];

        if (!c || !strchr("0123456789abcdef", c))
            return false;
        n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_n = n;
    return strcmp(name + NAME_DIGITS, ".flows") == 0;
}

static void take_up(struct spool *s, uint64_t number)
{
    struct segment g = {.number = number};
    CLEANUP(fd_closep) int fd = -1;
    char path[PATH_SIZE];
    struct stat st;

    path_of(s, number, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || read_segment_header(fd, &g) < 0) {
        (void)unlink(path); /* Torn when it was begun: nothing of worth is in it. */
        return;
    }
    g.size = (uint64_t)st.st_size;
    GROW(s->segments, s->n_segments, s->room);
    s->segments[s->n_segments++] = g;
    s->bytes += g.size;
}

/* Cuts off what is torn at the end of the newest, and learns where counting goes on. */
static void end_of_last(struct spool *s)
{
    struct segment *g = &s->segments[s->n_segments - 1];
    uint64_t whole = SEGMENT_HEADER, end;
    CLEANUP(fd_closep) int fd = -1;
    char path[PATH_SIZE];
    struct frame f;

    path_of(s, g->number, path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    end = g->position;
    while (fd >= 0 && read_frame(fd, whole, &f, &s->frame) == 0) {
        whole += FRAME_HEADER + f.size;
        end = f.position + f.n_records;
    }
    if (s->position < end) /* The cursor's is older. */
        s->position = end;
    if (fd >= 0 && whole < g->size && ftruncate(fd, (off_t)whole) == 0) {
        s->bytes -= g->size - whole;
        g->size = whole;
    }
}

static int list_segments(struct spool *s)
{
    DIR *d = opendir(s->dir);
    const struct dirent *e;
    uint64_t number;

    if (!d)
        return -errno;
    while ((e = readdir(d)))
        if (number_of(e->d_name, &number))
            take_up(s, number);
    (void)closedir(d);
    if (s->n_segments)
        qsort(s->segments, s->n_segments, sizeof(s->segments[0]), by_number);
    return 0;
}

int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret_s)
{
    CLEANUP(spool_freep) struct spool *s = xcalloc(1, sizeof(*s));
    bool ended = false, known;
    int r;

    *s = (struct spool){
        .dir = xstrdup(dir), .max_bytes = max_bytes, .sequence = 1, .tail_fd = -1, .head_fd = -1};
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (getrandom(&s->epoch, sizeof(s->epoch), 0) != sizeof(s->epoch))
        return -EIO;
    r = list_segments(s);
    if (r < 0)
        return r;
    known = read_cursor(s, &ended) == 0;
    if (!known && s->n_segments)
        s->acked.position = s->segments[0].position;
    if (s->n_segments)
        end_of_last(s);
    s->interrupted = known ? !ended : s->n_segments > 0;
    r = write_cursor(s, false);
    if (r < 0)
        return r;
    *ret_s = TAKE_PTR(s);
    return 0;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    fd_closep(&s->tail_fd);
    fd_closep(&s->head_fd);
    free(s->segments);
    free(s->dir);
    buf_done(&s->frame);
    free(s);
}

void spool_close(struct spool *s)
{
    if (!s)
        return;
    if (!s->interrupted) /* Else it has not been said yet. */
        (void)write_cursor(s, true);
    spool_free(s);
}

bool spool_waits(const struct spool *s)
{
    return s->n_window > 0;
}

uint64_t spool_bytes(const struct spool *s)
{
    return s->bytes;
}

uint64_t spool_dropped(const struct spool *s)
{
    return s->dropped;
}
