/* SPDX-License-Identifier: Apache-2.0 */
#include "enforce/edge/guard.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include <openssl/evp.h>

#include "sys/child.h"

#define NFT_PATH "/usr/sbin/nft"
#define TABLE_NAME "suimitsu_edge"
#define DROP_IN "\"prerouting\",\"prio\":-300"
#define DROP_OUT "\"postrouting\",\"prio\":300"

enum { MAX_SAID = 1 << 20, TIMEOUT_MS = 60000 };

static const char *const families[] = {"bridge", "inet"};

static bool name_is_fine(const char *name, bool pattern)
{
    size_t len = strlen(name);

    if (pattern && len && name[len - 1] == '*')
        len--;
    if (!len || len >= IF_NAMESIZE)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]))
            return false;
    return true;
}

static void put_object(struct buf *json, const char *verb, const char *kind, const char *family)
{
    buf_printf(json, "{\"%s\":{\"%s\":{\"family\":\"%s\",", verb, kind, family);
}

static void put_rule(struct buf *json, const char *family, const char *chain, const char *name_key,
                     const char *name, const char *number_key)
{
    put_object(json, "add", "rule", family);
    buf_printf(
        json,
        "\"table\":\"" TABLE_NAME "\",\"chain\":\"%s\",\"expr\":["
        "{\"match\":{\"op\":\"==\",\"left\":{\"meta\":{\"key\":\"%s\"}},\"right\":\"%s\"}},"
        "{\"match\":{\"op\":\"!=\",\"left\":{\"meta\":{\"key\":\"%s\"}},\"right\":\"@open\"}},"
        "{\"counter\":null},{\"drop\":null}]}}},",
        chain, name_key, name, number_key);
}

static void put_open(struct buf *json, const char *verb, const char *family, uint32_t ifindex)
{
    put_object(json, verb, "element", family);
    buf_printf(json, "\"table\":\"" TABLE_NAME "\",\"name\":\"open\",\"elem\":[%u]}}},", ifindex);
}

static void put_chain(struct buf *json, const char *family, const char *name, const char *hook)
{
    put_object(json, "add", "chain", family);
    buf_printf(json,
               "\"table\":\"" TABLE_NAME "\",\"name\":\"%s\",\"type\":\"filter\",\"hook\":%s,"
               "\"policy\":\"accept\"}}},",
               name, hook);
}

/* Also what a former agent covered and this one has not been told of yet. */
static bool is_covered(const struct port *p)
{
    return p->used && p->kernel.ifindex && (p->attached || !p->bound) &&
           if_nametoindex(p->binding.interface) == p->kernel.ifindex;
}

static void put_table(struct edge *e, const char *family, struct buf *json)
{
    const struct edge_options *o = &e->options;
    bool is_bridge = strcmp(family, "bridge") == 0;

    /* Added first so that there is one to delete: all of this is one transaction. */
    for (int i = 0; i < 3; i++) {
        put_object(json, i == 1 ? "delete" : "add", "table", family);
        buf_puts(json, "\"name\":\"" TABLE_NAME "\"}}},");
    }
    put_object(json, "add", "set", family);
    buf_puts(json, "\"table\":\"" TABLE_NAME "\",\"name\":\"open\",\"type\":\"iface_index\"}}},");
    put_chain(json, family, "from_guests", DROP_IN);
    put_chain(json, family, "to_guests", DROP_OUT);
    for (size_t i = 0; i < o->n_guarded; i++) {
        put_rule(json, family, "from_guests", "iifname", o->guarded[i], "iif");
        put_rule(json, family, "to_guests", "oifname", o->guarded[i], "oif");
    }
    for (size_t i = 0; is_bridge && i < o->n_guarded_bridges; i++) {
        put_rule(json, family, "from_guests", "ibrname", o->guarded_bridges[i], "iif");
        put_rule(json, family, "to_guests", "obrname", o->guarded_bridges[i], "oif");
    }
    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (is_covered(&e->ports[number]))
            put_open(json, "add", family, e->ports[number].kernel.ifindex);
    for (size_t i = 0; i < o->n_trunks; i++)
        if (if_nametoindex(o->trunks[i]))
            put_open(json, "add", family, if_nametoindex(o->trunks[i]));
}

static bool is_guarding(const struct edge *e)
{
    return e->options.n_guarded || e->options.n_guarded_bridges;
}

/* Both tables as nft lists them, without their counters. */
static int digest_of_tables(unsigned char digest[POOL_DIGEST])
{
    CLEANUP(buf_done) struct buf said = BUF_INIT, ignored = BUF_INIT;
    unsigned size = POOL_DIGEST;

    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        const char *const argv[] = {NFT_PATH, "-j",        "-s",       "list",
                                    "table",  families[i], TABLE_NAME, NULL};

        if (child_run(argv, NULL, MAX_SAID, TIMEOUT_MS, &said, &ignored) < 0)
            return -ENOENT;
    }
    return EVP_Digest(said.data, said.size, digest, &size, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

/* One transaction; what stands afterwards is remembered. */
static int run(struct edge *e, const struct buf *items, struct buf *why)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT, said = BUF_INIT, complaint = BUF_INIT;
    const char *const argv[] = {NFT_PATH, "-j", "-f", "-", NULL};
    int r;

    buf_puts(&json, "{\"nftables\":[");
    buf_add(&json, items->data, items->size ? items->size - 1 : 0); /* Without the last comma. */
    buf_puts(&json, "]}");
    r = child_run(argv, &json, MAX_SAID, TIMEOUT_MS, &said, &complaint);
    if (r == -EIO)
        buf_printf(why, "nft refused the guard's table: %.*s",
                   (int)strcspn(buf_str(&complaint), "\n"), buf_str(&complaint));
    else if (r < 0)
        buf_printf(why, "cannot run %s: %s", NFT_PATH, strerror(-r));
    if (r == 0 && e)
        r = digest_of_tables(e->guard_digest);
    return r;
}

static bool names_are_fine(const struct edge_options *o)
{
    for (size_t i = 0; i < o->n_guarded; i++)
        if (!name_is_fine(o->guarded[i], true))
            return false;
    for (size_t i = 0; i < o->n_guarded_bridges; i++)
        if (!name_is_fine(o->guarded_bridges[i], false))
            return false;
    return o->n_guarded + o->n_guarded_bridges + o->n_trunks <= EDGE_MAX_GUARDED;
}

int guard_set(struct edge *e, struct buf *why)
{
    CLEANUP(buf_done) struct buf items = BUF_INIT;
    int r;

    if (!is_guarding(e))
        return 0;
    if (!names_are_fine(&e->options)) {
        buf_printf(why, "the guard takes at most %d names of interfaces, '*' at their end only",
                   EDGE_MAX_GUARDED);
        return -EINVAL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        put_table(e, families[i], &items);
    r = run(e, &items, why);
    e->guard_stands = r == 0;
    return r;
}

static void change_port(struct edge *e, const char *verb, uint32_t ifindex)
{
    CLEANUP(buf_done) struct buf items = BUF_INIT, why = BUF_INIT;

    if (!is_guarding(e) || !ifindex || !e->guard_stands)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        if (strcmp(verb, "delete") == 0) /* So that there is one to delete. */
            put_open(&items, "add", families[i], ifindex);
        put_open(&items, verb, families[i], ifindex);
    }
    if (run(e, &items, &why) < 0)
        edge_notice(e, NOTICE_TAMPER, "interface %u: %s", ifindex, buf_str(&why));
}

void guard_open_port(struct edge *e, uint32_t ifindex)
{
    change_port(e, "add", ifindex);
}

void guard_close_port(struct edge *e, uint32_t ifindex)
{
    change_port(e, "delete", ifindex);
}

void guard_verify(struct edge *e)
{
    CLEANUP(buf_done) struct buf why = BUF_INIT;
    unsigned char now[POOL_DIGEST];

    if (!is_guarding(e) || (e->guard_stands && digest_of_tables(now) == 0 &&
                            memcmp(now, e->guard_digest, sizeof(now)) == 0))
        return;
    if (guard_set(e, &why) < 0)
        edge_notice(e, NOTICE_TAMPER, "%s", buf_str(&why));
    else
        edge_notice(e, NOTICE_TAMPER, "the guard's table of nftables was edited; put back");
}

void guard_remove(void)
{
    CLEANUP(buf_done) struct buf items = BUF_INIT, why = BUF_INIT;

    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        for (int k = 0; k < 2; k++) {
            put_object(&items, k ? "delete" : "add", "table", families[i]);
            buf_puts(&items, "\"name\":\"" TABLE_NAME "\"}}},");
        }
    (void)run(NULL, &items, &why); /* Without nft there was no table. */
}
