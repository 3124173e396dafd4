/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/dist/snapshots.h"

#include <errno.h>
#include <uthash.h>

struct kin_part {
    UT_hash_handle hh;
    identity_t identity;
    struct rope_block *block;
};

static void forget_kin(struct snapshots *s)
{
    struct kin_part *k, *next;

    HASH_ITER (hh, s->kin, k, next) {
        HASH_DEL(s->kin, k);
        rope_block_drop(k->block);
        free(k);
    }
    s->kin_size = 0;
}

void snapshots_done(struct snapshots *s)
{
    forget_kin(s);
    rope_block_drop(TAKE_PTR(s->common));
    rope_block_drop(TAKE_PTR(s->addresses));
    rope_block_drop(TAKE_PTR(s->selves));
}

static void forget_older(struct snapshots *s, const struct compiled *c)
{
    if (s->revision == compiled_revision(c))
        return;
    s->revision = compiled_revision(c);
    forget_kin(s);
    rope_block_drop(TAKE_PTR(s->common));
}

void snapshots_prepare(struct snapshots *s, struct compiled *c)
{
    CLEANUP(buf_done) struct buf columns = BUF_INIT, selves = BUF_INIT;
    size_t n;
    uint64_t stamp;
    const struct program_address *rows = compiled_addresses(c, &n, &stamp);

    if (s->addresses && s->stamp == stamp)
        return;
    if (n != s->n_addresses)
        rope_block_drop(TAKE_PTR(s->selves));
    if (!s->selves) {
        agent_share_selves(n, &selves);
        s->selves = rope_block_new(&selves);
    }
    columns = rope_block_reuse(s->addresses);
    agent_share_addresses(rows, n, &columns);
    s->addresses = rope_block_new(&columns);
    s->n_addresses = n;
    s->stamp = stamp;
    s->n_addresses_made++;
}

static struct rope_block *add_kin(struct snapshots *s, identity_t identity, const struct program *p)
{
    CLEANUP(buf_done) struct buf part = BUF_INIT;
    struct kin_part *k;

    if (s->kin_size >= SNAPSHOTS_KIN_MAX)
        forget_kin(s);
    agent_share_kin(p, &part);
    k = xcalloc(1, sizeof(*k));
    k->identity = identity;
    k->block = rope_block_new(&part);
    s->kin_size += sizeof(*k) + rope_block_size(k->block);
    s->n_kin_made++;
    HASH_ADD(hh, s->kin, identity, sizeof(k->identity), k);
    return k->block;
}

/* What all of the endpoint's identity have, and with it what all have. */
static int find_kin(struct snapshots *s, struct compiled *c, const char *endpoint,
                    identity_t identity, struct rope_block **ret_kin, const char **ret_what)
{
    CLEANUP(program_freep) struct program *p = NULL;
    CLEANUP(buf_done) struct buf common = BUF_INIT;
    struct kin_part *k;
    int r;

    HASH_FIND(hh, s->kin, &identity, sizeof(identity), k);
    if (k) {
        *ret_kin = k->block;
        return 0;
    }
    r = compiled_program_but_addresses(c, endpoint, &p, ret_what);
    if (r < 0)
        return r;
    if (!s->common) {
        agent_share_common(p, &common);
        s->common = rope_block_new(&common);
    }
    *ret_kin = add_kin(s, identity, p);
    return 0;
}

int snapshots_encode(struct snapshots *s, struct compiled *c, const char *endpoint,
                     uint32_t confirm_s, uint64_t trust_sequence, struct rope *out,
                     const char **ret_what)
{
    struct agent_shared_snapshot parts;
    struct agent_own own = {
        .endpoint = endpoint, .confirm_s = confirm_s, .trust_sequence = trust_sequence};
    struct compiled_kin kin;
    struct rope_block *block = NULL;
    CLEANUP(free_voidp) uint32_t *rows = NULL;
    int r;

    forget_older(s, c);
    *ret_what = "no such endpoint";
    r = compiled_own(c, endpoint, &kin, &rows, &own.n_rows);
    if (r < 0)
        return r;
    own.identity = kin.identity;
    own.mode = kin.mode;
    own.trust = kin.trust;
    own.rows = rows;
    r = find_kin(s, c, endpoint, kin.identity, &block, ret_what);
    if (r < 0)
        return r;
    snapshots_prepare(s, c);
    parts = (struct agent_shared_snapshot){.common = s->common,
                                           .kin = block,
                                           .addresses = s->addresses,
                                           .selves = s->selves,
                                           .n_addresses = s->n_addresses};
    return agent_encode_snapshot(&parts, &own, out);
}
