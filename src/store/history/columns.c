/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/columns.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/history/frames.h"
#include "sys/file.h"
#include "sys/sealed.h"

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void columns_free(void *backend)
{
    struct columns *c = backend;

    if (c->seal) {
        seal_wait(c->seal);
        seal_free(c->seal);
    }
    cache_done(&c->cache);
    rollup_free(c->rollup);
    for (size_t i = 0; i < c->n_parts; i++)
        part_put(c->parts[i]);
    free(c->parts);
    memory_put(c->active);
    memory_put(c->sealing);
    fd_closep(&c->journal);
    fd_closep(&c->texts);
    fd_closep(&c->lock);
    fd_closep(&c->folder);
    buf_done(&c->pending);
    buf_done(&c->sealing_tail);
    free(c->path);
    free(c);
}

static int open_folder(struct columns *c, const char **ret_what)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    *ret_what = "the folder cannot be opened";
    if (!c->read_only && mkdir(c->path, 0700) < 0 && errno != EEXIST)
        return -errno;
    c->folder = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->folder < 0)
        return -errno;
    if (c->read_only)
        return 0;
    c->lock = openat(c->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->lock < 0)
        return -errno;
    if (fcntl(c->lock, F_OFD_SETLK, &whole) < 0) {
        *ret_what = "another process has it";
        return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
    }
    *ret_what = "";
    return 0;
}

static int columns_open(struct history *h, const char *where, const char **ret_what)
{
    struct columns *c = xcalloc(1, sizeof(*c));
    int r;

    h->backend = c;
    c->path = xstrdup(where);
    c->folder = c->lock = c->journal = c->texts = -1;
    c->read_only = h->options.read_only;
    c->active = memory_new();
    cache_init(&c->cache, h->options.cache_size);
    c->rollup = rollup_new();
    r = open_folder(c, ret_what);
    if (r < 0)
        return r;
    return columns_recover(h, c, ret_what);
}

static void unlink_part(const struct columns *c, const struct part *p)
{
    char name[PART_NAME_SIZE];

    (void)unlinkat(c->folder, part_name(&p->info, name), 0); /* Or the next start does. */
}

static void forget_part(struct columns *c, size_t i)
{
    cache_forget(&c->cache, c->parts[i]);
    c->changes++;
    part_put(c->parts[i]);
    c->parts[i] = c->parts[--c->n_parts];
}

static void remove_part(struct columns *c, size_t i)
{
    unlink_part(c, c->parts[i]);
    forget_part(c, i);
}

static bool merged(const struct seal *s, const struct part *p)
{
    for (size_t i = 0; i < s->n_merge; i++)
        if (s->merge[i] == p)
            return true;
    return false;
}

/* The seal is durable: its parts take the place of the memory, and of what was merged. */
static void install(struct columns *c, struct seal *s)
{
    c->changes++;
    for (size_t i = c->n_parts; i-- > 0;)
        if (merged(s, c->parts[i]))
            remove_part(c, i);
    for (size_t i = 0; i < s->n_made; i++) {
        GROW(c->parts, c->n_parts, c->parts_room);
        c->parts[c->n_parts++] = part_get(s->made[i]);
        if (s->made[i]->info.day < c->horizon) /* Forgotten meanwhile. */
            remove_part(c, c->n_parts - 1);
    }
    c->next_id = s->manifest.next_id;
    c->sealed = s->manifest.generation;
    memory_put(TAKE_PTR(c->sealing));
    buf_done(&c->sealing_tail);
}

static void start_seal(struct columns *c)
{
    CLEANUP(manifest_done) struct manifest m = {.generation = c->generation, .next_id = c->next_id};
    CLEANUP(buf_done) struct buf tail = BUF_INIT;

    for (size_t i = 0; i < c->n_parts; i++)
        manifest_add(&m, &c->parts[i]->info);
    buf_add(&tail, c->sealing_tail.data, c->sealing_tail.size);
    c->seal = seal_new(c->folder, c->path, c->sealing, &m, &tail);
    c->seal->journals_from = c->sealed;
    c->seal->cache = &c->cache;
    c->seal->rollup = c->rollup;
    c->seal->n_merge = merge_choose(c->parts, c->n_parts, c->seal->merge);
    for (size_t i = 0; i < c->seal->n_merge; i++)
        (void)part_get(c->seal->merge[i]);
    seal_start(c->seal);
}

static void end_seal(struct columns *c)
{
    seal_wait(c->seal);
    c->seal_error = c->seal->error;
    if (c->seal_error == 0)
        install(c, c->seal);
    else
        c->retry_ms = now_ms() + COLUMNS_RETRY_MS;
    seal_free(TAKE_PTR(c->seal));
}

/* Takes over what the thread did; begins what can be begun. */
void columns_poll(struct columns *c)
{
    if (c->seal && atomic_load(&c->seal->done))
        end_seal(c);
    if (!c->seal && c->sealing && !c->rotates && now_ms() >= c->retry_ms)
        start_seal(c);
}

/* Commits make room; where they are made apart, one that is too late refuses. */
static int make_room(struct history *h, struct columns *c)
{
    bool too_many = c->active->rows.n >= COLUMNS_ROWS_MAX - HISTORY_BATCH_MAX;
    int r = 0;

    columns_poll(c);
    if (!columns_are_full(c))
        return 0;
    if (!h->options.apart) {
        if (too_many && c->seal)
            end_seal(c); /* The disk is slower than the agents: they wait. */
        if (!c->sealing)
            r = history_sync(h);
    }
    if (r == 0 && c->sealing && !c->seal)
        r = c->seal_error;
    if (c->active->rows.n < COLUMNS_ROWS_MAX - HISTORY_BATCH_MAX &&
        c->journal_size + c->pending.size < JOURNAL_SIZE_MAX / 2)
        return 0;
    return r < 0 ? r : -EBUSY;
}

/* Without records of days that are forgotten. */
static size_t above_horizon(struct history *h, const struct columns *c, struct flow *flows,
                            size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (flows[i].first_ms / day_ms >= c->horizon)
            flows[kept++] = flows[i];
    h->counters.lost_records += n - kept;
    return kept;
}

static bool has_old(const struct columns *c, const struct history_batch *b)
{
    for (size_t i = 0; i < b->n_flows; i++)
        if (b->flows[i].first_ms / day_ms < c->horizon)
            return true;
    return false;
}

static int columns_append(struct history *h, const struct history_batch *b)
{
    struct columns *c = h->backend;
    CLEANUP(free_voidp) struct flow *kept = NULL;
    struct history_batch batch = *b;
    int r = make_room(h, c);

    if (r == 0 && c->pending.size >= COLUMNS_PENDING_MAX && !h->options.apart)
        r = history_sync(h);
    if (r < 0)
        return r;
    if (has_old(c, b)) {
        kept = xreallocarray(NULL, b->n_flows, sizeof(*kept));
        memcpy(kept, b->flows, b->n_flows * sizeof(*kept));
        batch.n_flows = above_horizon(h, c, kept, b->n_flows);
        batch.flows = kept;
        batch.lost += b->n_flows - batch.n_flows;
    }
    journal_put(&c->pending, &batch, h->texts.n, c->journal_size);
    memory_add(c->active, batch.flows, batch.n_flows);
    return 0;
}

int history_columns_settle(struct history *h)
{
    struct columns *c = h->backend;
    int r = 0;

    for (unsigned i = 0; i < 2; i++) {
        if (c->seal)
            end_seal(c);
        if (c->sealing && !c->rotates) {
            start_seal(c);
            end_seal(c);
        }
        if (c->sealing && !c->rotates)
            return c->seal_error;
        c->settles = true;
        r = history_sync(h);
        c->settles = false;
        if (r < 0)
            return r;
    }
    return 0;
}

static void note_memory(struct columns_memory *to, struct memory *m)
{
    if (m)
        *to = (struct columns_memory){
            memory_get(m), m->rows.n,
            (struct match_extent){m->tables.ends.n, m->tables.manners.n, m->tables.edges.n}};
}

static void *columns_snapshot(struct history *h)
{
    struct columns *c = h->backend;
    struct columns_snapshot *s = xcalloc(1, sizeof(*s));

    columns_poll(c);
    s->cache = &c->cache;
    s->rollup = c->rollup;
    s->changes = c->changes;
    s->parts = xcalloc(c->n_parts, sizeof(struct part *));
    for (size_t i = 0; i < c->n_parts; i++)
        s->parts[s->n_parts++] = part_get(c->parts[i]);
    note_memory(&s->memories[0], c->sealing);
    note_memory(&s->memories[1], c->active);
    return s;
}

static void columns_snapshot_free(void *snapshot)
{
    struct columns_snapshot *s = snapshot;

    for (size_t i = 0; i < s->n_parts; i++)
        part_put(s->parts[i]);
    for (size_t i = 0; i < ARRAY_SIZE(s->memories); i++)
        memory_put(s->memories[i].memory);
    free(s->parts);
    free(s);
}

static uint64_t bytes_of(const struct columns *c)
{
    uint64_t bytes = c->journal_size + c->texts_size;

    for (size_t i = 0; i < c->n_parts; i++)
        bytes += c->parts[i]->info.size;
    return bytes;
}

/* The first day that stays. */
static uint64_t wanted_horizon(const struct columns *c, const struct history_options *o,
                               uint64_t now)
{
    uint64_t horizon = c->horizon, bytes = bytes_of(c);

    if (o->max_age_ms && now > o->max_age_ms && (now - o->max_age_ms) / day_ms > horizon)
        horizon = (now - o->max_age_ms) / day_ms;
    while (o->max_bytes && bytes > o->max_bytes) {
        uint64_t oldest = UINT64_MAX, kept = c->journal_size + c->texts_size;

        for (size_t i = 0; i < c->n_parts; i++)
            if (c->parts[i]->info.day >= horizon && c->parts[i]->info.day < oldest)
                oldest = c->parts[i]->info.day;
        if (oldest >= now / day_ms) /* Today stays in any case. */
            break;
        horizon = oldest + 1;
        for (size_t i = 0; i < c->n_parts; i++)
            if (c->parts[i]->info.day >= horizon)
                kept += c->parts[i]->info.size;
        bytes = kept;
    }
    return horizon;
}

struct retention {
    const struct columns *c; /* Its folder, which stays as it is. */
    uint64_t horizon;
    bool is_new;        /* The horizon is to be saved. */
    struct part **gone; /* References. */
    size_t n;
};

static bool is_gone(const struct retention *k, const struct part *p)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->gone[i] == p)
            return true;
    return false;
}

static void *columns_retain_new(struct history *h, uint64_t now)
{
    struct columns *c = h->backend;
    struct retention *k = xcalloc(1, sizeof(*k));

    columns_poll(c);
    k->c = c;
    k->horizon = wanted_horizon(c, &h->options, now);
    k->is_new = k->horizon > c->horizon;
    k->gone = xcalloc(c->n_parts, sizeof(struct part *));
    for (size_t i = 0; i < c->n_parts; i++)
        if (c->parts[i]->info.day < k->horizon)
            k->gone[k->n++] = part_get(c->parts[i]);
    if (k->is_new || k->n)
        return k;
    free(k->gone);
    free(k);
    return NULL;
}

static int columns_retain_write(void *retention)
{
    const struct retention *k = retention;
    CLEANUP(buf_done) struct buf path = BUF_INIT, b = BUF_INIT;
    int r = 0;

    buf_printf(&path, "%s/horizon", k->c->path);
    buf_be64(&b, k->horizon);
    if (k->is_new)
        r = sealed_write(path.data, b.data, b.size);
    for (size_t i = 0; i < k->n && r == 0; i++)
        unlink_part(k->c, k->gone[i]);
    return r;
}

static uint64_t columns_retain_end(struct history *h, void *retention, bool written)
{
    struct columns *c = h->backend;
    struct retention *k = retention;
    uint64_t forgotten = 0;

    if (written)
        c->horizon = k->horizon;
    for (size_t i = c->n_parts; i-- > 0 && written;)
        if (c->parts[i]->info.day < c->horizon) {
            forgotten += c->parts[i]->info.rows;
            if (is_gone(k, c->parts[i]))
                forget_part(c, i);
            else /* It was sealed meanwhile. */
                remove_part(c, i);
        }
    for (size_t i = 0; i < k->n; i++)
        part_put(k->gone[i]);
    free(k->gone);
    free(k);
    return forgotten;
}

static void state_of_memory(const struct memory *m, struct history_state *s)
{
    if (!m || !m->rows.n)
        return;
    s->rows += m->rows.n;
    s->oldest_ms = m->first_ms < s->oldest_ms ? m->first_ms : s->oldest_ms;
    s->newest_ms = m->last_ms > s->newest_ms ? m->last_ms : s->newest_ms;
}

static void columns_state(const struct history *h, struct history_state *s)
{
    const struct columns *c = h->backend;

    s->oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < c->n_parts; i++) {
        const struct part_info *p = &c->parts[i]->info;

        s->rows += p->rows;
        s->oldest_ms = p->first_ms < s->oldest_ms ? p->first_ms : s->oldest_ms;
        s->newest_ms = p->last_ms > s->newest_ms ? p->last_ms : s->newest_ms;
    }
    state_of_memory(c->sealing, s);
    state_of_memory(c->active, s);
    if (!s->rows)
        s->oldest_ms = 0;
    s->bytes = bytes_of(c);
    s->damaged_blocks = c->damaged + c->cache.damaged;
}

const struct history_kind history_columns = {
    .open = columns_open,
    .free = columns_free,
    .append = columns_append,
    .commit_is_due = columns_commit_is_due,
    .commit_new = columns_commit_new,
    .commit_write = columns_commit_write,
    .commit_end = columns_commit_end,
    .snapshot = columns_snapshot,
    .snapshot_free = columns_snapshot_free,
    .scan = columns_scan,
    .edges = columns_edges,
    .retain_new = columns_retain_new,
    .retain_write = columns_retain_write,
    .retain_end = columns_retain_end,
    .state = columns_state,
};
