/* SPDX-License-Identifier: Apache-2.0 */
/* A hash of open records, and one of what was seen; see collect.h. */
#include "agent/net/collect.h"

#include <uthash.h>

/* Compared and hashed as bytes, but only as many as its texts have. */
struct key {
    struct address local, remote;
    uint64_t minute, revision;
    uint32_t rule, uid;
    uint16_t port;
    uint8_t protocol, direction, verdict, layer;
    uint8_t pad[2];
    char texts[2 * PROGRAM_PATH_SIZE + 2 * PROGRAM_NAME_SIZE]; /* Process, script, user, rule. */
};
_Static_assert(offsetof(struct key, texts) == 64, "no hidden padding");

struct open_record {
    UT_hash_handle hh; /* In order of insertion: the oldest first. */
    struct flow_record sums;
    bool urgent;
    unsigned key_size;
    struct key key; /* The first 'key_size' bytes, and no more memory. */
};

struct seen {
    uint64_t hash, minute;
    UT_hash_handle hh; /* In order of sight. */
};

struct collect {
    struct open_record *records;
    struct seen *seen;
    size_t n_urgent;
};

struct collect *collect_new(void)
{
    return xcalloc(1, sizeof(struct collect));
}

static void forget(struct collect *c, struct seen *s)
{
    HASH_DEL(c->seen, s);
    free(s);
}

static void close_record(struct collect *c, struct open_record *r)
{
    c->n_urgent -= r->urgent;
    HASH_DEL(c->records, r);
    free(r);
}

void collect_free(struct collect *c)
{
    struct open_record *r, *next_record;
    struct seen *s, *next_seen;

    if (!c)
        return;
    HASH_ITER (hh, c->records, r, next_record)
        close_record(c, r);
    HASH_ITER (hh, c->seen, s, next_seen)
        forget(c, s);
    free(c);
}

static size_t add_text(struct key *k, size_t at, const char *text, size_t size)
{
    size_t len = strnlen(text, size - 1);

    memcpy(k->texts + at, text, len);
    k->texts[at + len] = 0;
    return at + len + 1;
}

/* Returns the size of the key; up to 'ret_sight' it says what was seen. */
static unsigned key_of(struct key *k, const struct ipc_flow *f, unsigned *ret_sight)
{
    size_t end;

    memset(k, 0, offsetof(struct key, texts));
    k->local = f->local;
    k->remote = f->remote;
    k->minute = f->first_ms / FLOW_MINUTE_MS;
    k->revision = f->revision;
    k->rule = f->rule;
    k->uid = f->uid;
    k->port = f->port;
    k->protocol = f->protocol;
    k->direction = f->direction;
    k->verdict = f->verdict;
    k->layer = f->layer;
    end = add_text(k, 0, f->process, sizeof(f->process));
    end = add_text(k, end, f->script, sizeof(f->script));
    end = add_text(k, end, f->user, sizeof(f->user));
    *ret_sight = (unsigned)(offsetof(struct key, texts) + end);
    end = add_text(k, end, f->rule_name, sizeof(f->rule_name));
    return (unsigned)(offsetof(struct key, texts) + end);
}

/* What makes it another thing to see: not the time, nor which version of the policy said so. */
static uint64_t sight_of(const struct key *k, unsigned size)
{
    struct {
        struct address local, remote;
        uint32_t uid;
        uint16_t port;
        uint8_t protocol, direction, verdict, layer;
        uint8_t pad[2];
    } what = {k->local,     k->remote,  k->uid,   k->port, k->protocol,
              k->direction, k->verdict, k->layer, {0}};
    size_t texts = size - offsetof(struct key, texts);
    uint32_t low = table_hash(k->texts, texts, table_hash(&what, sizeof(what), 0));

    return (uint64_t)table_hash(k->texts, texts, table_hash(&what, sizeof(what), low)) << 32 | low;
}

static bool is_urgent(struct collect *c, const struct key *k, unsigned size)
{
    uint64_t hash = sight_of(k, size), before;
    struct seen *s;

    HASH_FIND(hh, c->seen, &hash, sizeof(hash), s);
    if (s && s->minute == k->minute)
        return false;
    if (!s && HASH_COUNT(c->seen) >= COLLECT_SEEN)
        forget(c, c->seen);
    if (s) {
        HASH_DEL(c->seen, s); /* And again at the end. */
    } else {
        s = xcalloc(1, sizeof(*s));
        s->hash = hash;
    }
    before = s->minute;
    s->minute = k->minute;
    HASH_ADD(hh, c->seen, hash, sizeof(s->hash), s);
    return k->verdict != VERDICT_ALLOW || !before || k->minute - before > COLLECT_FORGET_MINUTES;
}

bool collect_add(struct collect *c, const struct ipc_flow *f)
{
    uint64_t minute_end = f->first_ms / FLOW_MINUTE_MS * FLOW_MINUTE_MS + FLOW_MINUTE_MS - 1;
    struct open_record *r;
    struct key k;
    unsigned sight, size = key_of(&k, f, &sight);
    bool urgent = is_urgent(c, &k, sight);

    HASH_FIND(hh, c->records, &k, size, r);
    if (!r) {
        r = xcalloc(1, offsetof(struct open_record, key) + size);
        memcpy(&r->key, &k, size);
        r->key_size = size;
        r->sums.first_ms = f->first_ms;
        HASH_ADD_KEYPTR(hh, c->records, &r->key, size, r);
    }
    c->n_urgent += urgent && !r->urgent;
    r->urgent |= urgent;
    if (r->sums.first_ms > f->first_ms)
        r->sums.first_ms = f->first_ms;
    if (r->sums.last_ms < f->last_ms)
        r->sums.last_ms = f->last_ms;
    if (r->sums.last_ms > minute_end)
        r->sums.last_ms = minute_end;
    if (r->sums.last_ms < r->sums.first_ms)
        r->sums.last_ms = r->sums.first_ms;
    r->sums.count += f->count;
    r->sums.bytes_out += f->bytes_out;
    r->sums.bytes_in += f->bytes_in;
    return urgent;
}

bool collect_is_full(const struct collect *c)
{
    return HASH_COUNT(c->records) >= COLLECT_MAX;
}

static uint64_t amount(uint64_t n)
{
    return n < FLOWS_MAX_AMOUNT ? n : FLOWS_MAX_AMOUNT;
}

static void tell(struct open_record *r, struct flow_batch *b)
{
    const struct key *k = &r->key;
    const char *process = k->texts, *script = process + strlen(process) + 1,
               *user = script + strlen(script) + 1, *rule_name = user + strlen(user) + 1;
    struct flow_kind kind = {.revision = k->revision,
                             .local = flow_batch_add_address(b, &k->local),
                             .process = flow_batch_add_text(b, process),
                             .script = flow_batch_add_text(b, script),
                             .user = flow_batch_add_text(b, user),
                             .uid = k->uid,
                             .rule = k->rule,
                             .rule_name = flow_batch_add_text(b, rule_name),
                             .port = k->port,
                             .protocol = k->protocol,
                             .direction = k->direction,
                             .verdict = k->verdict,
                             .layer = k->layer,
                             .enforced = k->verdict != VERDICT_WOULD_DENY};

    r->sums.remote = flow_batch_add_address(b, &k->remote);
    r->sums.count = amount(r->sums.count);
    r->sums.bytes_out = amount(r->sums.bytes_out);
    r->sums.bytes_in = amount(r->sums.bytes_in);
    flow_batch_add(b, &kind, &r->sums);
}

bool collect_take(struct collect *c, uint64_t now_ms, bool all, struct flow_batch *b)
{
    uint64_t ended = now_ms > COLLECT_LATE_MS ? (now_ms - COLLECT_LATE_MS) / FLOW_MINUTE_MS : 0;
    struct open_record *r, *next;

    HASH_ITER (hh, c->records, r, next) {
        if (b->n_records == COLLECT_BATCH || b->bytes.size > COLLECT_BATCH_TEXT)
            break;
        /* A clock that went back leaves minutes of the future, which do not end for long. */
        if (!all && !r->urgent && r->key.minute >= ended && r->key.minute <= ended + 2)
            continue;
        tell(r, b);
        close_record(c, r);
    }
    return b->n_records > 0;
}
