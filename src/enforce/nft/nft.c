/* SPDX-License-Identifier: Apache-2.0 */
/* Slots, listings, repairs; see nft.h. */
#include "enforce/nft/nft.h"

#include <errno.h>
#include <unistd.h>

#include <jansson.h>

#include "core/edge_view.h"
#include "core/nft_rules.h"
#include "enforce/nft/run.h"

#define NFT_BINARY "/usr/sbin/nft"
#define DELETE_TABLE "{\"delete\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE "\"}}}"
#define ADD_TABLE "{\"add\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE "\"}}}"

enum { MAX_TRIES = 4 };

struct nft {
    const char *binary;
    int netlink;
    struct program *view; /* In force; NULL: nothing. */
    struct buf listing;   /* Of the table, as it was right after it was loaded. */
    uint32_t generation;
};

int nft_new(const struct nft_options *o, struct nft **ret_n)
{
    struct nft *n;
    int fd = generation_open();

    if (fd < 0)
        return fd;
    n = xcalloc(1, sizeof *n);
    n->binary = o->binary ? o->binary : NFT_BINARY;
    n->netlink = fd;
    *ret_n = n;
    return 0;
}

void nft_free(struct nft *n)
{
    if (!n)
        return;
    close(n->netlink);
    program_free(n->view);
    buf_done(&n->listing);
    free(n);
}

uint64_t nft_revision(const struct nft *n)
{
    return n->view ? n->view->revision : 0;
}

/* ---- what is there ---- */

struct found {
    bool used[2];     /* By slot: rules of the base chains point to it. */
    bool strange;     /* Not what we leave behind: it goes away whole. */
    unsigned n_bases; /* Our two base chains. */
    struct {
        json_t *chains, *maps; /* Names. */
    } slots[2];
};

static const char *text_at(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static bool is_base(const json_t *chain)
{
    const char *name = text_at(chain, "name");
    bool out = strcmp(name, "out") == 0;

    return (out || strcmp(name, "in") == 0) && strcmp(text_at(chain, "type"), "filter") == 0 &&
           strcmp(text_at(chain, "hook"), out ? "output" : "input") == 0 &&
           strcmp(text_at(chain, "policy"), "drop") == 0 &&
           json_integer_value(json_object_get(chain, "prio")) == 0;
}

/* A rule of a base chain. */
static void find_use(struct found *f, const json_t *rule)
{
    const char *chain = text_at(rule, "chain");
    char *text = NULL;

    if (strcmp(chain, "in") == 0 || strcmp(chain, "out") == 0)
        text = json_dumps(json_object_get(rule, "expr"), JSON_COMPACT);
    f->used[0] = f->used[0] || (text && (strstr(text, "\"@g0_") || strstr(text, "\"g0_")));
    f->used[1] = f->used[1] || (text && (strstr(text, "\"@g1_") || strstr(text, "\"g1_")));
    free(text);
}

static void find_one(struct found *f, const char *kind, const json_t *object)
{
    const char *name = text_at(object, "name");
    bool chain = strcmp(kind, "chain") == 0, map = strcmp(kind, "map") == 0;

    if (chain && is_base(object)) {
        f->n_bases++;
    } else if ((chain || map) && name[0] == 'g' && (name[1] == '0' || name[1] == '1') &&
               name[2] == '_' && !json_object_get(object, "hook")) {
        (void)json_array_append_new(chain ? f->slots[name[1] - '0'].chains
                                          : f->slots[name[1] - '0'].maps,
                                    json_string(name));
    } else if (strcmp(kind, "rule") == 0) {
        find_use(f, object);
    } else if (strcmp(kind, "metainfo") != 0 && strcmp(kind, "table") != 0) {
        f->strange = true;
    }
}

static void found_done(struct found *f)
{
    for (int i = 0; i < 2; i++) {
        json_decref(f->slots[i].chains);
        json_decref(f->slots[i].maps);
    }
}

static bool has_something(const struct found *f, unsigned slot)
{
    return json_array_size(f->slots[slot].chains) || json_array_size(f->slots[slot].maps);
}

/* Of a listing; an empty one, or one that cannot be read, is strange. */
static void find_all(struct found *f, const struct buf *listing)
{
    json_t *root = listing->size ? json_loadb(listing->data, listing->size, 0, NULL) : NULL;
    json_t *all = json_object_get(root, "nftables"), *item = NULL, *object = NULL;
    const char *kind = NULL;
    size_t i = 0;

    *f = (struct found){.slots = {{json_array(), json_array()}, {json_array(), json_array()}}};
    json_array_foreach(all, i, item) json_object_foreach(item, kind, object)
        find_one(f, kind, object);
    f->strange = f->strange || !root || f->n_bases != 2 || f->used[0] == f->used[1];
    json_decref(root);
}

static void add_command(struct buf *b, const char *verb, const char *kind, const json_t *name)
{
    json_t *command = json_pack("{s{s{ss ss sO}}}", verb, kind, "family", "inet", "table",
                                NFT_TABLE, "name", name);
    char *text = json_dumps(command, JSON_COMPACT);

    buf_printf(b, "%s,\n", text);
    free(text);
    json_decref(command);
}

/* Rules before maps before chains: nothing is deleted while something points to it. */
static void add_removals(struct buf *b, const struct found *f, unsigned slot)
{
    const json_t *chains = f->slots[slot].chains, *maps = f->slots[slot].maps;
    const json_t *name = NULL;
    size_t i = 0;

    json_array_foreach(chains, i, name) add_command(b, "flush", "chain", name);
    json_array_foreach(maps, i, name) add_command(b, "delete", "map", name);
    json_array_foreach(chains, i, name) add_command(b, "delete", "chain", name);
}

/* ---- loading ---- */

static int list(const struct nft *n, struct buf *to)
{
    CLEANUP(buf_done) struct buf ignored = BUF_INIT; /* "No such file": there is no table. */
    int r;

    buf_reset(to);
    r = run_nft(n->binary, NFT_LIST, NULL, to, &ignored);
    return r == -EIO ? 0 : r;
}

enum step {
    REPLACE, /* Everything at once, the table itself: for a moment closed. */
    PREPARE, /* The other slot, and nothing uses it. */
    SWITCH,
    CLEAN, /* The former slot. */
};

static int write_step(struct buf *b, const struct program *view, const struct found *f,
                      enum step step)
{
    unsigned former = f->used[1], slot = step == REPLACE ? 0 : !former;
    int r = 0;

    buf_puts(b, "{\"nftables\":[\n");
    if (step == REPLACE)
        buf_puts(b, ADD_TABLE "," DELETE_TABLE ",\n");
    else if (step == PREPARE) /* What somebody else left, or we when we were interrupted. */
        add_removals(b, f, slot);
    if (step == CLEAN) {
        add_removals(b, f, former);
        buf_puts(b, ADD_TABLE); /* It is there; without a comma behind it. */
    } else {
        r = nft_rules(b, view, slot,
                      step == REPLACE   ? NFT_RULES_ALL
                      : step == PREPARE ? NFT_RULES_SLOT
                                        : NFT_RULES_BASES);
    }
    buf_puts(b, "\n]}\n");
    return r;
}

static int take_step(const struct nft *n, const struct program *view, const struct found *f,
                     enum step step, struct buf *why)
{
    CLEANUP(buf_done) struct buf document = BUF_INIT, said = BUF_INIT;
    int r = write_step(&document, view, f, step);

    return r < 0 ? r : run_nft(n->binary, NFT_LOAD, &document, &said, why);
}

/* The number of transactions, or 0 when the former slot did not go away.  -EAGAIN: what was
 * prepared was not put in force, and 'why' tells what nft said; another look may show the cause. */
static int take_steps(const struct nft *n, const struct program *view, const struct found *f,
                      struct buf *why)
{
    CLEANUP(buf_done) struct buf said = BUF_INIT;
    bool whole = f->strange;
    int r = 0;

    if (!whole) {
        r = take_step(n, view, f, PREPARE, &said);
        whole = r == -EIO && has_something(f, !f->used[1]); /* Used where we did not look. */
    }
    if (whole) {
        r = take_step(n, view, f, REPLACE, why);
        return r < 0 ? r : 1;
    }
    if (r < 0) {
        buf_puts(why, buf_str(&said));
        return r;
    }
    r = take_step(n, view, f, SWITCH, why);
    if (r < 0)
        return r == -EIO ? -EAGAIN : r;
    r = take_step(n, view, f, CLEAN, &said);
    return r == -EIO ? 0 : r < 0 ? r : CLEAN - PREPARE + 1;
}

/* One attempt: 0, or 1 when it is in force, but somebody else changed the ruleset in between, so
 * that what is listed afterwards need not be what was loaded.  -EAGAIN as take_steps(). */
static int load_once(struct nft *n, const struct program *view, struct buf *why)
{
    CLEANUP(buf_done) struct buf before = BUF_INIT;
    bool unchanged = false; /* By anybody since we listed it. */
    uint32_t first, last;
    struct found f;
    int r, steps;

    r = ruleset_generation(n->netlink, &first);
    if (r == 0)
        unchanged = n->listing.size && first == n->generation;
    if (r == 0 && !unchanged)
        r = list(n, &before);
    if (r < 0)
        return r;
    find_all(&f, unchanged ? &n->listing : &before);
    steps = take_steps(n, view, &f, why);
    found_done(&f);
    if (steps < 0)
        return steps;
    r = list(n, &n->listing);
    if (r == 0)
        r = ruleset_generation(n->netlink, &last);
    if (r < 0)
        return r;
    n->generation = last;
    return last != first + (uint32_t)steps;
}

static int load_view(struct nft *n, const struct program *view, struct buf *why)
{
    int r = 0;

    for (int i = 0; i < MAX_TRIES; i++) {
        buf_reset(why);
        r = load_once(n, view, why);
        if (r <= 0 && r != -EAGAIN)
            return r;
    }
    /* What was listed need not be what we loaded: the next nft_check() looks again. */
    buf_reset(&n->listing);
    n->generation--;
    if (r == -EAGAIN)
        return -EIO; /* It is not in force, and 'why' has the reason. */
    buf_puts(why, "the ruleset is changed by others all the time");
    return -EBUSY;
}

int nft_load(struct nft *n, const struct program *p, struct buf *why)
{
    CLEANUP(program_freep) struct program *view = edge_view(p);
    struct program *former = n->view;
    int r = load_view(n, view, why);

    if (r < 0 && r != -EBUSY)
        return r;
    n->view = TAKE_PTR(view); /* It is in force, also where we cannot vouch for it. */
    program_free(former);
    return r;
}

int nft_try(struct nft *n, const struct program *p, struct buf *why)
{
    CLEANUP(program_freep) struct program *view = edge_view(p);
    CLEANUP(buf_done) struct buf document = BUF_INIT, said = BUF_INIT;
    int r = nft_rules_document(&document, view);

    return r < 0 ? r : run_nft(n->binary, NFT_CHECK, &document, &said, why);
}

int nft_found(struct nft *n)
{
    CLEANUP(buf_done) struct buf now = BUF_INIT;
    struct found f;
    int r = list(n, &now);

    if (r < 0)
        return r;
    find_all(&f, &now);
    found_done(&f);
    return !now.size ? NFT_NONE : f.strange ? NFT_STRANGE : NFT_OURS;
}

int nft_check(struct nft *n, struct buf *why)
{
    CLEANUP(buf_done) struct buf now = BUF_INIT;
    uint32_t generation;
    int r;

    if (!n->view)
        return -ENOENT;
    r = ruleset_generation(n->netlink, &generation);
    if (r < 0 || generation == n->generation)
        return r;
    r = list(n, &now);
    if (r < 0)
        return r;
    if (now.size && now.size == n->listing.size &&
        memcmp(now.data, n->listing.data, now.size) == 0) {
        n->generation = generation;
        return 0;
    }
    r = load_view(n, n->view, why);
    return r < 0 ? r : 1;
}

int nft_detach(struct nft *n, struct buf *why)
{
    CLEANUP(buf_done) struct buf document = BUF_INIT, said = BUF_INIT;
    int r;

    buf_puts(&document, "{\"nftables\":[" ADD_TABLE "," DELETE_TABLE "]}\n");
    r = run_nft(n->binary, NFT_LOAD, &document, &said, why);
    if (r < 0)
        return r;
    program_free(n->view);
    n->view = NULL;
    return 0;
}
