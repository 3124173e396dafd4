/* SPDX-License-Identifier: Apache-2.0 */
/* A hash of open records; see report.h. */
#include "agent/enforce/report.h"

#include <pwd.h>
#include <stdio.h>
#include <uthash.h>

#include "base/base.h"

enum { AGE_MS = 1000, MAX_NAMES = 1024 };

/* Compared and hashed as bytes, but only as many as its texts have: two paths seldom fill their
 * 512 bytes, and hashing those was most of an event's cost. */
struct key {
    struct address local, remote;
    uint64_t revision;
    uint32_t identity, rule, uid;
    uint16_t port;
    uint8_t protocol, direction, verdict, layer;
    uint8_t pad[6];
    char texts[2 * PROGRAM_PATH_SIZE]; /* Process, NUL, script, NUL. */
};
_Static_assert(offsetof(struct key, texts) == 64, "no hidden padding");

struct record {
    struct key key; /* The first 'key_size' bytes. */
    unsigned key_size;
    struct ipc_flow flow;
    UT_hash_handle hh;
};

struct name {
    uint32_t uid;
    char name[PROGRAM_NAME_SIZE];
    UT_hash_handle hh;
};

struct report {
    bool (*give)(void *arg, const struct ipc_flow *flow);
    void *arg;
    struct record *records;
    struct name *names;
    uint64_t lost;
};

struct report *report_new(bool (*give)(void *arg, const struct ipc_flow *flow), void *arg)
{
    struct report *r = xcalloc(1, sizeof *r);

    r->give = give;
    r->arg = arg;
    return r;
}

void report_forget_names(struct report *r)
{
    struct name *n, *next;

    HASH_ITER (hh, r->names, n, next) {
        HASH_DEL(r->names, n);
        free(n);
    }
}

void report_free(struct report *r)
{
    struct record *x, *next;

    if (!r)
        return;
    HASH_ITER (hh, r->records, x, next) {
        HASH_DEL(r->records, x);
        free(x);
    }
    report_forget_names(r);
    free(r);
}

/* Login name of a local account; its number where there is none. */
static const char *name_of(struct report *r, uint32_t uid)
{
    const struct passwd *account = NULL;
    struct name *n;
    FILE *accounts;

    HASH_FIND(hh, r->names, &uid, sizeof(uid), n);
    if (n)
        return n->name;
    if (HASH_COUNT(r->names) >= MAX_NAMES)
        report_forget_names(r);
    n = xcalloc(1, sizeof *n);
    n->uid = uid;
    (void)snprintf(n->name, sizeof(n->name), "%u", uid);
    accounts = fopen("/etc/passwd", "re");
    while (accounts && (account = fgetpwent(accounts)))
        if (account->pw_uid == uid && strlen(account->pw_name) < sizeof(n->name)) {
            (void)snprintf(n->name, sizeof(n->name), "%s", account->pw_name);
            break;
        }
    if (accounts)
        fclose(accounts);
    HASH_ADD(hh, r->names, uid, sizeof(n->uid), n);
    return n->name;
}

static size_t add_text(struct key *k, size_t at, const char *text)
{
    size_t len = strnlen(text, PROGRAM_PATH_SIZE - 1);

    memcpy(k->texts + at, text, len);
    k->texts[at + len] = 0;
    return at + len + 1;
}

/* Returns the size of the key. */
static unsigned key_of(struct key *k, const struct enforcer_flow *f)
{
    size_t end;

    memset(k, 0, offsetof(struct key, texts));
    k->local = f->local;
    k->remote = f->remote;
    k->revision = f->revision;
    k->identity = f->identity;
    k->rule = f->rule;
    k->uid = f->uid;
    k->port = f->port;
    k->protocol = f->protocol;
    k->direction = (uint8_t)f->direction;
    k->verdict = (uint8_t)f->verdict;
    k->layer = (uint8_t)f->layer;
    end = add_text(k, 0, f->process);
    end = add_text(k, end, f->script);
    return (unsigned)(offsetof(struct key, texts) + end);
}

static struct record *open_record(struct report *r, const struct key *k, unsigned key_size,
                                  uint64_t now_ms)
{
    struct record *x = xcalloc(1, sizeof *x);
    const char *script;

    memcpy(&x->key, k, key_size);
    x->key_size = key_size;
    x->flow = (struct ipc_flow){.local = k->local,
                                .remote = k->remote,
                                .revision = k->revision,
                                .first_ms = now_ms,
                                .identity = k->identity,
                                .rule = k->rule,
                                .uid = k->uid,
                                .port = k->port,
                                .protocol = k->protocol,
                                .direction = k->direction,
                                .verdict = k->verdict,
                                .layer = k->layer};
    memcpy(x->flow.process, k->texts, strlen(k->texts)); /* Shorter than its place: add_text(). */
    script = k->texts + strlen(k->texts) + 1;
    memcpy(x->flow.script, script, strlen(script));
    (void)snprintf(x->flow.user, sizeof(x->flow.user), "%s", name_of(r, k->uid));
    HASH_ADD_KEYPTR(hh, r->records, &x->key, x->key_size, x);
    return x;
}

static void drop(struct report *r, struct record *x)
{
    HASH_DEL(r->records, x);
    free(x);
}

static bool give_away(struct report *r, struct record *x)
{
    if (!r->give(r->arg, &x->flow))
        return false;
    drop(r, x);
    return true;
}

static void make_room(struct report *r)
{
    struct record *x;

    while (r->records && give_away(r, r->records))
        continue;
    if (HASH_COUNT(r->records) < REPORT_MAX)
        return;
    for (x = r->records; x && x->flow.verdict == VERDICT_DENY;)
        x = x->hh.next;
    drop(r, x ? x : r->records);
    r->lost++;
}

void report_add(struct report *r, const struct enforcer_flow *f, uint64_t now_ms)
{
    struct record *x;
    struct key k;
    unsigned key_size = key_of(&k, f);

    HASH_FIND(hh, r->records, &k, key_size, x);
    if (!x && HASH_COUNT(r->records) >= REPORT_MAX)
        make_room(r);
    if (!x)
        x = open_record(r, &k, key_size, now_ms);
    x->flow.last_ms = now_ms;
    x->flow.count += f->count;
    x->flow.bytes_out += f->bytes_out;
    x->flow.bytes_in += f->bytes_in;
    if (f->pid)
        x->flow.pid = f->pid;
}

/* Denials first: what follows may find no room. */
static void flush_some(struct report *r, uint64_t now_ms, bool denials)
{
    struct record *next;

    for (struct record *x = r->records; x && r->records; x = next) {
        next = x->hh.next;
        if ((x->flow.verdict != VERDICT_ALLOW) == denials &&
            (denials || now_ms - x->flow.first_ms >= AGE_MS) && !give_away(r, x))
            return;
    }
}

void report_flush(struct report *r, uint64_t now_ms)
{
    flush_some(r, now_ms, true);
    flush_some(r, now_ms, false);
}

void report_name_rules(struct report *r, void (*name)(void *arg, struct ipc_flow *flow))
{
    for (struct record *x = r->records; x; x = x->hh.next)
        name(r->arg, &x->flow);
}

size_t report_waiting(const struct report *r)
{
    return HASH_COUNT(r->records);
}

uint64_t report_lost(const struct report *r)
{
    return r->lost;
}
