/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, operators and values of libnftables-json(5); see nft_match.h. */
#include "import/nft_match.h"

#include <netinet/in.h>

#include "base/number.h"
#include "import/wellknown.h"

enum key {
    KEY_OTHER,
    KEY_SOURCE,
    KEY_DESTINATION,
    KEY_SPORT,
    KEY_DPORT,
    KEY_PROTOCOL,
    KEY_FAMILY,
    KEY_TYPE,
    KEY_TYPE6,
    KEY_IN,
    KEY_OUT,
    KEY_STATE,
    KEY_FLAGS,
};

static const char *text_of(const json_t *object, const char *field)
{
    const char *s = json_string_value(json_object_get(object, field));

    return s ? s : "";
}

const json_t *nft_value(const json_t *element)
{
    const json_t *elem = json_object_get(element, "elem");

    return elem ? json_object_get(elem, "val") : element;
}

/* ---- sets ---- */

const json_t *nft_elements(const struct nft_scope *s, const json_t *right, bool *ret_dynamic)
{
    const char *name = json_string_value(right);
    const json_t *elements = json_object_get(right, "set");

    for (size_t i = 0; name && name[0] == '@' && i < s->sets->n; i++) {
        const struct nft_set *set = &s->sets->items[i];

        if (strcmp(set->name, name + 1) != 0 || strcmp(set->table, s->table) != 0 ||
            strcmp(set->family, s->family) != 0)
            continue;
        *ret_dynamic = set->is_dynamic;
        return set->is_dynamic ? NULL : set->elements;
    }
    *ret_dynamic = !json_is_array(elements); /* Or one that is not there: nobody knows. */
    return *ret_dynamic ? NULL : elements;
}

static bool is_set(const json_t *right)
{
    const char *name = json_string_value(right);

    return json_object_get(right, "set") || (name && name[0] == '@');
}

/* ---- keys ---- */

static enum key payload_key(struct match_parts *m, const char *protocol, const char *field)
{
    uint8_t number;

    if (strcmp(protocol, "ip") == 0 || strcmp(protocol, "ip6") == 0) {
        m->families &= protocol[2] ? FAMILY_V6 : FAMILY_V4;
        if (strcmp(field, "saddr") == 0)
            return KEY_SOURCE;
        if (strcmp(field, "daddr") == 0)
            return KEY_DESTINATION;
        return strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0 ? KEY_PROTOCOL
                                                                               : KEY_OTHER;
    }
    if (strcmp(protocol, "th") != 0) {
        if (wellknown_protocol(protocol, &number) < 0)
            return KEY_OTHER;
        match_protocols(m, ranges_one(m->rs->arena, number, number), false);
    }
    if (strcmp(field, "sport") == 0)
        return KEY_SPORT;
    if (strcmp(field, "dport") == 0)
        return KEY_DPORT;
    if (strcmp(field, "flags") == 0)
        return KEY_FLAGS;
    if (strcmp(field, "type") == 0 && strncmp(protocol, "icmp", 4) == 0) {
        m->families &= protocol[4] ? FAMILY_V6 : FAMILY_V4;
        return protocol[4] ? KEY_TYPE6 : KEY_TYPE;
    }
    return KEY_OTHER;
}

static enum key meta_key(const char *key)
{
    static const struct {
        const char *name;
        enum key key;
    } keys[] = {{"l4proto", KEY_PROTOCOL}, {"nfproto", KEY_FAMILY}, {"protocol", KEY_FAMILY},
                {"iifname", KEY_IN},       {"iif", KEY_IN},         {"oifname", KEY_OUT},
                {"oif", KEY_OUT}};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i].name, key) == 0)
            return keys[i].key;
    return KEY_OTHER;
}

static enum key key_of(struct match_parts *m, const json_t *left)
{
    const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta");
    const json_t *ct = json_object_get(left, "ct");

    if (payload)
        return payload_key(m, text_of(payload, "protocol"), text_of(payload, "field"));
    if (meta)
        return meta_key(text_of(meta, "key"));
    return ct && strcmp(text_of(ct, "key"), "state") == 0 ? KEY_STATE : KEY_OTHER;
}

/* ---- values ---- */

static int number_of(const json_t *v, enum key key, unsigned *ret)
{
    const char *s = json_string_value(v);
    uint64_t n = 0;
    uint8_t protocol = 0;
    int r = 0;

    if (json_is_integer(v)) {
        json_int_t i = json_integer_value(v);

        *ret = (unsigned)i;
        return i < 0 || i > 65535 ? -1 : 0;
    }
    if (!s)
        return -1;
    if (key == KEY_PROTOCOL) {
        r = wellknown_protocol(s, &protocol);
        *ret = protocol;
        return r;
    }
    if (key == KEY_TYPE || key == KEY_TYPE6)
        return wellknown_icmp(s, key == KEY_TYPE6, ret);
    r = number_parse(s, strlen(s), 65535, &n);
    if (r < 0)
        r = wellknown_port(s, &n);
    *ret = (unsigned)n;
    return r;
}

static int address_range(struct match_parts *m, const json_t *v, struct range *ret)
{
    const json_t *prefix = json_object_get(v, "prefix"), *range = json_object_get(v, "range");
    const char *s = json_string_value(v);
    bool host = false;

    if (prefix)
        s = ruleset_text(m->rs, "%s/%d", text_of(prefix, "addr"),
                         (int)json_integer_value(json_object_get(prefix, "len")));
    else if (range && json_string_value(json_array_get(range, 0)) &&
             json_string_value(json_array_get(range, 1)))
        s = ruleset_text(m->rs, "%s-%s", json_string_value(json_array_get(range, 0)),
                         json_string_value(json_array_get(range, 1)));
    if (!s || parse_addresses(m->rs, s, ret, &host) < 0)
        return -1;
    if (host)
        m->host_network = s;
    return 0;
}

static int value_range(struct match_parts *m, const json_t *v, enum key key, struct range *ret)
{
    const json_t *range = json_object_get(v, "range");
    unsigned low, high;

    if (key == KEY_SOURCE || key == KEY_DESTINATION)
        return address_range(m, v, ret);
    if (number_of(range ? json_array_get(range, 0) : v, key, &low) < 0 ||
        number_of(range ? json_array_get(range, 1) : v, key, &high) < 0 || low > high)
        return -1;
    *ret = (struct range){low, high};
    return 0;
}

struct value_list {
    struct range *items;
    size_t n, room;
};

static bool add_value(struct match_parts *m, struct value_list *l, const json_t *v, enum key key)
{
    GROW(l->items, l->n, l->room);
    if (l->n == IMPORT_MAX_RANGES || value_range(m, nft_value(v), key, &l->items[l->n]) < 0)
        return false;
    l->n++;
    return true;
}

/* All values of the right side.  False: it is of a kind that we do not know. */
static bool values_of(const struct nft_scope *s, struct match_parts *m, const json_t *right,
                      enum key key, struct ranges *ret)
{
    struct value_list l = {.items = NULL};
    const json_t *v, *elements;
    bool dynamic, ok = true;
    size_t i;

    if (is_set(right)) {
        elements = nft_elements(s, right, &dynamic);
        ok = !dynamic;
        json_array_foreach(elements, i, v) ok = ok && add_value(m, &l, v, key);
    } else {
        ok = add_value(m, &l, right, key);
    }
    *ret = ranges_of(m->rs->arena, l.items, l.n);
    free(l.items);
    return ok;
}

/* ---- words: states, flags, interfaces ---- */

enum { MAX_WORDS = 256 };

struct words_read {
    const char *items[MAX_WORDS];
    size_t n;
    bool ok;
};

static void add_words(const struct nft_scope *s, const json_t *v, struct words_read *to,
                      unsigned depth)
{
    const json_t *list = json_is_array(v) ? v : json_object_get(v, "|");
    const json_t *x;
    bool dynamic = false;
    size_t i;

    if (!list && is_set(v))
        list = nft_elements(s, v, &dynamic);
    if (dynamic || depth > 16) {
        to->ok = false;
        return;
    }
    json_array_foreach(list, i, x) add_words(s, nft_value(x), to, depth + 1);
    if (list || is_set(v))
        return;
    if (!json_is_string(v) || to->n == MAX_WORDS)
        to->ok = false;
    else
        to->items[to->n++] = json_string_value(v);
}

static bool states_of(const struct words_read *w, unsigned *ret)
{
    *ret = 0;
    for (size_t i = 0; i < w->n; i++) {
        unsigned state = state_of_name(w->items[i]);

        if (!state)
            return false;
        *ret |= state;
    }
    return true;
}

static bool flags_of(const struct words_read *w, unsigned *ret)
{
    *ret = 0;
    for (size_t i = 0; i < w->n; i++) {
        int flag = flags_of_name(w->items[i]);

        if (flag < 0)
            return false;
        *ret |= (unsigned)flag;
    }
    return true;
}

static void family_condition(struct match_parts *m, const struct words_read *w, bool negated)
{
    enum family families = FAMILY_NONE;

    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->items[i], "ipv4") == 0 || strcmp(w->items[i], "ip") == 0)
            families |= FAMILY_V4;
        else if (strcmp(w->items[i], "ipv6") == 0 || strcmp(w->items[i], "ip6") == 0)
            families |= FAMILY_V6;
        else
            match_inexact(m, "the family %s", w->items[i]);
    }
    m->families &= negated ? FAMILY_BOTH & ~families : families;
}

static void interface_condition(struct match_parts *m, const struct words_read *w, bool outgoing,
                                bool negated)
{
    const char *copies[MAX_WORDS];

    for (size_t i = 0; i < w->n; i++)
        copies[i] = arena_text(m->rs->arena, w->items[i], strlen(w->items[i]));
    match_interface(m, outgoing, copies, w->n, negated);
}

static void word_condition(const struct nft_scope *s, struct match_parts *m, enum key key,
                           const json_t *right, bool negated)
{
    struct words_read w = {.ok = true};
    unsigned bits;

    add_words(s, right, &w, 0);
    if (!w.ok || (key == KEY_STATE && !states_of(&w, &bits)))
        match_inexact(m, "a value that is not known here");
    else if (key == KEY_STATE)
        match_states(m, bits, negated);
    else if (key == KEY_FAMILY)
        family_condition(m, &w, negated);
    else
        interface_condition(m, &w, key == KEY_OUT, negated);
}

/* `tcp flags & (fin|syn) == syn`, `tcp flags syn`, `tcp flags == syn`. */
static void flags_condition(const struct nft_scope *s, struct match_parts *m, const json_t *masks,
                            const char *op, const json_t *right)
{
    struct words_read mask = {.ok = true}, value = {.ok = true};
    unsigned mask_bits = 0xff, value_bits;

    if (masks)
        add_words(s, masks, &mask, 0);
    if (!json_is_integer(right) || json_integer_value(right) != 0)
        add_words(s, right, &value, 0);
    if (!mask.ok || !value.ok || (masks && !flags_of(&mask, &mask_bits)) ||
        !flags_of(&value, &value_bits) || is_set(right))
        match_inexact(m, "TCP flags that are not known here");
    else if (strcmp(op, "in") == 0)
        match_flags(m, value_bits, 0, true); /* Any of them. */
    else
        match_flags(m, mask_bits, value_bits, strcmp(op, "!=") == 0);
}

/* ---- conditions ---- */

/* "<" and so on, as the range that it means. */
static struct ranges compared(struct match_parts *m, struct ranges set, const char *op)
{
    point low = set.n ? set.items[0].low : 0, most = ~(point)0;
    bool less = op[0] == '<', equal = op[1] == '=';

    if (less)
        return low || equal ? ranges_one(m->rs->arena, 0, equal ? low : low - 1)
                            : (struct ranges){.n = 0};
    return ranges_one(m->rs->arena, equal ? low : low + 1, most);
}

static void range_condition(const struct nft_scope *s, struct match_parts *m, enum key key,
                            const char *op, const json_t *right)
{
    bool negated = strcmp(op, "!=") == 0;
    struct ranges set;

    if (!values_of(s, m, right, key, &set)) {
        match_inexact(m, "a value that is not known here, or a set that changes by itself");
        return;
    }
    if (op[0] == '<' || op[0] == '>')
        set = compared(m, set, op);
    if (key == KEY_SOURCE || key == KEY_DESTINATION)
        match_address(m, key == KEY_SOURCE, set, negated);
    else if (key == KEY_PROTOCOL)
        match_protocols(m, set, negated);
    else if (key == KEY_TYPE || key == KEY_TYPE6)
        match_types(m, key == KEY_TYPE6, set, negated);
    else
        match_ports(m, key == KEY_SPORT, set, negated);
}

void nft_condition(const struct nft_scope *s, struct match_parts *m, const json_t *left,
                   const char *op, const json_t *right)
{
    const json_t *masked = json_object_get(left, "&");
    enum key key = key_of(m, masked ? json_array_get(masked, 0) : left);

    if (masked && key != KEY_FLAGS)
        key = KEY_OTHER;
    switch (key) {
    case KEY_OTHER: {
        char *text = json_dumps(left, JSON_COMPACT | JSON_ENCODE_ANY);

        match_inexact(m, "%s", text ? text : "a condition");
        free(text);
        break;
    }
    case KEY_FLAGS:
        flags_condition(s, m, masked ? json_array_get(masked, 1) : NULL, op, right);
        break;
    case KEY_STATE:
    case KEY_FAMILY:
    case KEY_IN:
    case KEY_OUT:
        word_condition(s, m, key, right, strcmp(op, "!=") == 0);
        break;
    case KEY_SOURCE:
    case KEY_DESTINATION:
    case KEY_SPORT:
    case KEY_DPORT:
    case KEY_PROTOCOL:
    case KEY_TYPE:
    case KEY_TYPE6:
        range_condition(s, m, key, op, right);
        break;
    }
}
