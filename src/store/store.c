/* SPDX-License-Identifier: Apache-2.0 */
/* store.h over SQLite: one table of documents, tombstones included. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "store/sqlite_error.h"

struct operation {
    enum { EXPECT, PUT, DELETE } kind;
    char *key;
    char *data;
    size_t size;
    uint64_t revision;
};

struct store_transaction {
    struct operation *operations;
    size_t n, room;
    bool too_big;
};

struct watcher {
    char *prefix; /* NULL: free. */
    void (*changed)(const struct store_item *item, void *user);
    void *user;
};

enum statement { GET, NEWER, UPSERT, BEGIN, COMMIT, ROLLBACK, LIST_UP, LIST_DOWN, N_STATEMENTS };

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    uint64_t revision;
    struct watcher watchers[STORE_MAX_WATCHES];
    struct store_transaction *rider; /* One put that goes with the next commit; NULL: none. */
    bool rider_went;
};

static const char *const sql[N_STATEMENTS] = {
    [GET] = "SELECT key, data, revision, deleted FROM documents WHERE key = ?1",
    [NEWER] = "SELECT key, data, revision, deleted FROM documents"
              " WHERE revision > ?3 AND key >= ?1 AND key < ?2 ORDER BY revision, key",
    [UPSERT] = "INSERT INTO documents (key, data, revision, deleted) VALUES (?1, ?2, ?3, ?4)"
               " ON CONFLICT (key) DO UPDATE SET data = ?2, revision = ?3, deleted = ?4",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [LIST_UP] = "SELECT key, data, revision, deleted FROM documents INDEXED BY living"
                " WHERE key > ?1 AND key >= ?3 AND key < ?2 AND NOT deleted ORDER BY key LIMIT ?4",
    [LIST_DOWN] =
        "SELECT key, data, revision, deleted FROM documents INDEXED BY living"
        " WHERE key < ?1 AND key >= ?3 AND key < ?2 AND NOT deleted ORDER BY key DESC LIMIT ?4",
};

static void reset(sqlite3_stmt **statement)
{
    if (*statement) {
        (void)sqlite3_reset(*statement); /* Repeats the error of the step before. */
        (void)sqlite3_clear_bindings(*statement);
    }
}

static int run(struct store *s, enum statement which)
{
    CLEANUP(reset) sqlite3_stmt *statement = s->statements[which];

    return sqlite_error(sqlite3_step(statement));
}

static void item_of_row(sqlite3_stmt *row, struct store_item *item)
{
    const void *data = sqlite3_column_blob(row, 1);

    item->key = xstrdup((const char *)sqlite3_column_text(row, 0));
    item->size = (size_t)sqlite3_column_bytes(row, 1);
    item->data = xcalloc(item->size + 1, 1);
    if (item->size)
        memcpy(item->data, data, item->size);
    item->revision = (uint64_t)sqlite3_column_int64(row, 2);
    item->deleted = sqlite3_column_int(row, 3) != 0;
}

void store_item_done(struct store_item *i)
{
    free(i->key);
    free(i->data);
    *i = (struct store_item){.key = NULL};
}

void store_list_done(struct store_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        store_item_done(&l->items[i]);
    free(l->items);
    *l = (struct store_list){.items = NULL};
}

/* 1: another row.  0: the end. */
static int next_row(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);

    return code == SQLITE_ROW ? 1 : sqlite_error(code);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT) != SQLITE_OK)
        abort(); /* Out of memory. */
}

/* The first string behind all that begin with 'prefix', which is ASCII. */
static void bind_end(sqlite3_stmt *statement, int at, const char *prefix)
{
    char end[STORE_KEY_SIZE + 4];

    (void)snprintf(end, sizeof(end), "%s\x7f", prefix);
    bind_text(statement, at, end);
}

static bool good_key(const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++)
        if (key[i] < 0x21 || key[i] > 0x7e)
            return false;
    return len < STORE_KEY_SIZE;
}

int store_get(struct store *s, const char *key, struct store_item *ret_item)
{
    CLEANUP(reset) sqlite3_stmt *row = s->statements[GET];
    int r;

    if (!good_key(key))
        return -ENOENT;
    bind_text(row, 1, key);
    r = next_row(row);
    if (r < 0)
        return r;
    if (r == 0 || sqlite3_column_int(row, 3))
        return -ENOENT;
    item_of_row(row, ret_item);
    return 0;
}

int store_list(struct store *s, const char *prefix, const char *after, bool backwards, size_t max,
               struct store_list *ret_list)
{
    CLEANUP(store_list_done) struct store_list list = {.items = NULL};
    CLEANUP(reset) sqlite3_stmt *row = s->statements[backwards ? LIST_DOWN : LIST_UP];
    int r;

    if (!good_key(prefix) || (after && !good_key(after)))
        return -ENOENT;
    bind_text(row, 1, after ? after : backwards ? "\x7f" : "");
    bind_end(row, 2, prefix);
    bind_text(row, 3, prefix);
    (void)sqlite3_bind_int64(row, 4, (sqlite3_int64)max);
    while ((r = next_row(row)) > 0) {
        GROW(list.items, list.n, list.room);
        item_of_row(row, &list.items[list.n++]);
    }
    if (r < 0)
        return r;
    ret_list->n = list.n;
    ret_list->room = list.room;
    ret_list->items = TAKE_PTR(list.items);
    list.n = 0;
    return 0;
}

struct store_transaction *store_transaction_new(void)
{
    return xcalloc(1, sizeof(struct store_transaction));
}

void store_transaction_free(struct store_transaction *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++) {
        free(t->operations[i].key);
        free(t->operations[i].data);
    }
    free(t->operations);
    free(t);
}

static struct operation *add(struct store_transaction *t, int kind, const char *key)
{
    struct operation *o;

    if (!good_key(key) || !key[0] || t->n >= STORE_MAX_OPERATIONS)
        t->too_big = true;
    GROW(t->operations, t->n, t->room);
    o = &t->operations[t->n++];
    *o = (struct operation){.key = xstrdup(key)};
    o->kind = (__typeof__(o->kind))kind;
    return o;
}

void store_expect(struct store_transaction *t, const char *key, uint64_t revision)
{
    add(t, EXPECT, key)->revision = revision;
}

void store_put(struct store_transaction *t, const char *key, const void *data, size_t size)
{
    struct operation *o = add(t, PUT, key);

    if (size > STORE_VALUE_MAX) {
        t->too_big = true;
        return;
    }
    o->data = xcalloc(size + 1, 1);
    if (size)
        memcpy(o->data, data, size);
    o->size = size;
}

void store_delete(struct store_transaction *t, const char *key)
{
    (void)add(t, DELETE, key);
}

static int expected(struct store *s, const struct operation *o)
{
    CLEANUP(reset) sqlite3_stmt *row = s->statements[GET];
    uint64_t revision = 0;
    int r;

    bind_text(row, 1, o->key);
    r = next_row(row);
    if (r < 0)
        return r;
    if (r > 0 && !sqlite3_column_int(row, 3))
        revision = (uint64_t)sqlite3_column_int64(row, 2);
    return revision == o->revision ? 0 : -ESTALE;
}

static int carry_out(struct store *s, const struct operation *o, uint64_t revision)
{
    CLEANUP(reset) sqlite3_stmt *statement = s->statements[UPSERT];

    if (o->kind == EXPECT)
        return expected(s, o);
    bind_text(statement, 1, o->key);
    if (sqlite3_bind_blob64(statement, 2, o->data ? o->data : "", o->size, SQLITE_STATIC) !=
        SQLITE_OK)
        abort(); /* Out of memory. */
    (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)revision);
    (void)sqlite3_bind_int(statement, 4, o->kind == DELETE);
    return sqlite_error(sqlite3_step(statement));
}

static int commit(struct store *s, const struct store_transaction *t)
{
    int r = run(s, BEGIN);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < t->n; i++)
        r = carry_out(s, &t->operations[i], s->revision + 1);
    if (r == 0 && s->rider)
        r = carry_out(s, &s->rider->operations[0], s->revision + 1);
    if (r == 0)
        r = run(s, COMMIT);
    if (r < 0)
        (void)run(s, ROLLBACK); /* SQLite may have done so by itself. */
    return r;
}

static void tell(struct store *s, const struct store_item *item)
{
    for (size_t i = 0; i < STORE_MAX_WATCHES; i++) {
        const struct watcher *w = &s->watchers[i];

        if (w->prefix && strncmp(item->key, w->prefix, strlen(w->prefix)) == 0)
            w->changed(item, w->user);
    }
}

static void tell_all(struct store *s, const struct store_transaction *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct operation *o = &t->operations[i];
        struct store_item item = {.key = o->key,
                                  .data = o->data,
                                  .size = o->size,
                                  .revision = s->revision,
                                  .deleted = o->kind == DELETE};

        if (o->kind != EXPECT)
            tell(s, &item);
    }
}

int store_commit(struct store *s, const struct store_transaction *t, uint64_t *ret_revision)
{
    int r;

    if (t->too_big)
        return -E2BIG;
    r = commit(s, t);
    if (r < 0)
        return r;
    s->revision++;
    if (ret_revision)
        *ret_revision = s->revision;
    tell_all(s, t);
    if (s->rider) {
        CLEANUP(store_transaction_freep) struct store_transaction *rider = TAKE_PTR(s->rider);

        s->rider_went = true;
        tell_all(s, rider);
    }
    return 0;
}

void store_ride(struct store *s, const char *key, const void *data, size_t size)
{
    store_transaction_free(s->rider);
    s->rider = store_transaction_new();
    s->rider_went = false;
    store_put(s->rider, key, data, size);
    assert(!s->rider->too_big);
}

bool store_unride(struct store *s)
{
    bool went = s->rider_went;

    store_transaction_free(s->rider);
    s->rider = NULL;
    s->rider_went = false;
    return went;
}

int store_watch(struct store *s, const char *prefix, uint64_t revision,
                void (*changed)(const struct store_item *item, void *user), void *user)
{
    CLEANUP(reset) sqlite3_stmt *row = s->statements[NEWER];
    int handle = 0, r;

    while (handle < STORE_MAX_WATCHES && s->watchers[handle].prefix)
        handle++;
    if (handle == STORE_MAX_WATCHES)
        return -ENOSPC;
    if (!good_key(prefix))
        return -ENOENT;
    bind_text(row, 1, prefix);
    bind_end(row, 2, prefix);
    (void)sqlite3_bind_int64(row, 3, (sqlite3_int64)revision);
    while ((r = next_row(row)) > 0) {
        CLEANUP(store_item_done) struct store_item item;

        item_of_row(row, &item);
        changed(&item, user);
    }
    if (r < 0)
        return r;
    s->watchers[handle] =
        (struct watcher){.prefix = xstrdup(prefix), .changed = changed, .user = user};
    return handle;
}

void store_unwatch(struct store *s, int handle)
{
    free(s->watchers[handle].prefix);
    s->watchers[handle].prefix = NULL;
}

static int run_text(sqlite3 *db, const char *text)
{
    return sqlite_error(sqlite3_exec(db, text, NULL, NULL, NULL));
}

static int note_first(void *said, int n, char **values, char **names)
{
    (void)names;
    if (n == 1 && values[0] && strcmp(values[0], "ok") != 0)
        *(bool *)said = true;
    return 0;
}

static int read_number(sqlite3 *db, const char *text, uint64_t *ret_n)
{
    sqlite3_stmt *row = NULL;
    int r = sqlite_error(sqlite3_prepare_v2(db, text, -1, &row, NULL));

    if (r == 0)
        r = next_row(row);
    if (r > 0)
        *ret_n = (uint64_t)sqlite3_column_int64(row, 0);
    (void)sqlite3_finalize(row);
    return r < 0 ? r : 0;
}

static int prepare_file(struct store *s, const char **ret_what)
{
    bool damaged = false;
    uint64_t format = 0;
    int r;

    *ret_what = "the file cannot be locked; another suimitsud may be using it";
    r = run_text(s->db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
                        "PRAGMA cell_size_check = ON; PRAGMA journal_mode = WAL;"
                        "PRAGMA synchronous = FULL; BEGIN EXCLUSIVE; COMMIT;");
    if (r < 0) {
        if (r != -EBUSY)
            *ret_what = "the file is damaged, or not ours";
        return r;
    }
    *ret_what = "the file is damaged";
    r = sqlite_error(sqlite3_exec(s->db, "PRAGMA quick_check(1)", note_first, &damaged, NULL));
    if (r < 0 || damaged)
        return r < 0 ? r : -EUCLEAN;
    *ret_what = "the file is of another version";
    r = read_number(s->db, "PRAGMA user_version", &format);
    if (r < 0 || format > 1)
        return r < 0 ? r : -EUCLEAN;
    *ret_what = "the file cannot be written";
    return run_text(s->db,
                    "CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY NOT NULL,"
                    " data BLOB NOT NULL, revision INTEGER NOT NULL, deleted INTEGER NOT NULL)"
                    " WITHOUT ROWID;"
                    "CREATE INDEX IF NOT EXISTS by_revision ON documents (revision);"
                    "CREATE INDEX IF NOT EXISTS living ON documents (key) WHERE NOT deleted;"
                    "PRAGMA user_version = 1;");
}

/* Deletions older than any watcher's memory need no tombstone; the newest is kept, since it may
 * hold the highest revision. */
static int forget_tombstones(struct store *s)
{
    char text[160];

    if (s->revision <= STORE_TOMBSTONES)
        return 0;
    (void)snprintf(text, sizeof(text), "DELETE FROM documents WHERE deleted AND revision < %llu",
                   (unsigned long long)(s->revision - STORE_TOMBSTONES));
    return run_text(s->db, text);
}

int store_open(const char *path, struct store **ret_s, const char **ret_what)
{
    CLEANUP(store_freep) struct store *s = xcalloc(1, sizeof(*s));
    int r;

    *ret_what = "the file cannot be opened";
    r = sqlite_error(sqlite3_open_v2(path, &s->db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                         SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                                     NULL));
    if (r < 0)
        return r;
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, STORE_VALUE_MAX + 4096);
    r = prepare_file(s, ret_what);
    if (r < 0)
        return r;
    for (int i = 0; i < N_STATEMENTS; i++) {
        r = sqlite_error(sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                            &s->statements[i], NULL));
        if (r < 0)
            return r;
    }
    r = read_number(s->db, "SELECT coalesce(max(revision), 0) FROM documents", &s->revision);
    if (r < 0)
        return r;
    r = forget_tombstones(s);
    if (r < 0)
        return r;
    *ret_s = TAKE_PTR(s);
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(s->statements[i]);
    for (size_t i = 0; i < STORE_MAX_WATCHES; i++)
        free(s->watchers[i].prefix);
    store_transaction_free(s->rider);
    (void)sqlite3_close(s->db);
    free(s);
}

uint64_t store_revision(const struct store *s)
{
    return s->revision;
}
