/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, columns, and what a stranger's must satisfy; see flows.h. */
#include "wire/flows.h"

#include <errno.h>

#include "base/reader.h"
#include "base/utf8.h"

enum {
    VARINT_MAX = 10,
    KIND_COLUMNS = 11,
    RECORD_COLUMNS = 7,
    V4_AT = 12, /* Where an IPv4 address begins in its sixteen bytes. */
    V4_SIZE = 4,
    V6_SIZE = 16,
};

void flow_batch_done(struct flow_batch *b)
{
    buf_done(&b->bytes);
    free(b->texts);
    free(b->addresses);
    free(b->kinds);
    free(b->records);
    table_done(&b->text_index);
    table_done(&b->address_index);
    table_done(&b->kind_index);
    *b = (struct flow_batch){.texts = NULL};
}

/* ---- building ---- */

static bool same_text(const void *batch, uint32_t number, const void *text)
{
    return strcmp(flow_batch_text(batch, number), text) == 0;
}

static bool same_address(const void *batch, uint32_t number, const void *address)
{
    return address_compare(&((const struct flow_batch *)batch)->addresses[number], address) == 0;
}

static bool same_kind(const void *batch, uint32_t number, const void *kind)
{
    return memcmp(&((const struct flow_batch *)batch)->kinds[number], kind,
                  sizeof(struct flow_kind)) == 0;
}

/* As it may stand in a batch: whole characters only, at most FLOWS_TEXT_SIZE - 1 bytes. */
static size_t put_clean(const char *text, char clean[FLOWS_TEXT_SIZE])
{
    CLEANUP(buf_done) struct buf safe = BUF_INIT;
    size_t len = strlen(text), at = 0;

    if (!utf8_valid(text, len, &at)) {
        buf_escape(&safe, text, len, FLOWS_TEXT_SIZE);
        text = buf_str(&safe);
        len = safe.size;
    }
    if (len >= FLOWS_TEXT_SIZE)
        len = FLOWS_TEXT_SIZE - 1;
    while (!utf8_valid(text, len, &at)) /* Cut inside of a character. */
        len--;
    memcpy(clean, text, len);
    clean[len] = 0;
    return len;
}

static uint32_t append_text(struct flow_batch *b, const char *text, size_t len)
{
    GROW(b->texts, b->n_texts, b->texts_room);
    b->texts[b->n_texts++] = (uint32_t)b->bytes.size;
    buf_add(&b->bytes, text, len);
    buf_putc(&b->bytes, 0);
    return (uint32_t)b->n_texts;
}

uint32_t flow_batch_add_text(struct flow_batch *b, const char *text)
{
    char clean[FLOWS_TEXT_SIZE];
    size_t len = put_clean(text, clean);
    uint32_t hash = table_hash(clean, len, 0), n;

    if (!len)
        return 0;
    n = table_find(&b->text_index, hash, same_text, b, clean);
    if (n != TABLE_NONE)
        return n;
    n = append_text(b, clean, len);
    table_add(&b->text_index, hash, n);
    return n;
}

uint32_t flow_batch_add_address(struct flow_batch *b, const struct address *a)
{
    uint32_t hash = table_hash(a->bytes, sizeof(a->bytes), 0);
    uint32_t n = table_find(&b->address_index, hash, same_address, b, a);

    if (n != TABLE_NONE)
        return n;
    GROW(b->addresses, b->n_addresses, b->addresses_room);
    n = (uint32_t)b->n_addresses++;
    b->addresses[n] = *a;
    table_add(&b->address_index, hash, n);
    return n;
}

void flow_batch_add(struct flow_batch *b, const struct flow_kind *kind,
                    const struct flow_record *record)
{
    uint32_t hash = table_hash(kind, sizeof(*kind), 0);
    uint32_t n = table_find(&b->kind_index, hash, same_kind, b, kind);

    if (n == TABLE_NONE) {
        GROW(b->kinds, b->n_kinds, b->kinds_room);
        n = (uint32_t)b->n_kinds++;
        b->kinds[n] = *kind;
        table_add(&b->kind_index, hash, n);
    }
    GROW(b->records, b->n_records, b->records_room);
    b->records[b->n_records] = *record;
    b->records[b->n_records++].kind = n;
}

/* ---- encoding ---- */

static uint64_t zigzag(uint64_t now, uint64_t before)
{
    uint64_t difference = now - before;

    return difference << 1 ^ (0 - (difference >> 63));
}

static uint64_t unzigzag(uint64_t coded, uint64_t before)
{
    return before + (coded >> 1 ^ (0 - (coded & 1)));
}

size_t flow_batch_size_max(const struct flow_batch *b)
{
    return 1 + VARINT_MAX * 6 + b->bytes.size + b->n_texts * 2 + b->n_addresses * V6_SIZE +
           b->n_kinds * KIND_COLUMNS * VARINT_MAX + b->n_records * RECORD_COLUMNS * VARINT_MAX;
}

/* IPv4 first; 'order' gets the number that each address has on the wire. */
static void encode_addresses(const struct flow_batch *b, uint32_t *order, struct buf *out)
{
    uint32_t n4 = 0, next4 = 0, next6;

    for (size_t i = 0; i < b->n_addresses; i++)
        n4 += address_is_v4(&b->addresses[i]);
    next6 = n4;
    buf_varint(out, n4);
    for (size_t i = 0; i < b->n_addresses; i++)
        if (address_is_v4(&b->addresses[i])) {
            buf_add(out, b->addresses[i].bytes + V4_AT, V4_SIZE);
            order[i] = next4++;
        }
    buf_varint(out, b->n_addresses - n4);
    for (size_t i = 0; i < b->n_addresses; i++)
        if (!address_is_v4(&b->addresses[i])) {
            buf_add(out, b->addresses[i].bytes, V6_SIZE);
            order[i] = next6++;
        }
}

#define EACH(n, value)                                                                             \
    for (size_t i = 0; i < (n); i++)                                                               \
    buf_varint(out, (value))

static void encode_kinds(const struct flow_batch *b, const uint32_t *order, struct buf *out)
{
    const struct flow_kind *k = b->kinds;

    buf_varint(out, b->n_kinds);
    EACH(b->n_kinds, order[k[i].local]);
    EACH(b->n_kinds, k[i].protocol);
    EACH(b->n_kinds, k[i].port);
    EACH(b->n_kinds, (uint64_t)(k[i].direction & 1) | (uint64_t)(k[i].enforced & 1) << 1 |
                         (uint64_t)k[i].verdict << 2 | (uint64_t)k[i].layer << 4);
    EACH(b->n_kinds, k[i].process);
    EACH(b->n_kinds, k[i].script);
    EACH(b->n_kinds, k[i].user);
    EACH(b->n_kinds, (uint32_t)(k[i].uid + 1));
    EACH(b->n_kinds, k[i].rule);
    EACH(b->n_kinds, k[i].rule_name);
    EACH(b->n_kinds, zigzag(k[i].revision, i ? k[i - 1].revision : 0));
}

static void encode_records(const struct flow_batch *b, const uint32_t *order, struct buf *out)
{
    const struct flow_record *r = b->records;
    uint64_t base = b->n_records ? r[0].first_ms : 0;

    buf_varint(out, b->n_records);
    buf_varint(out, base);
    EACH(b->n_records, zigzag(r[i].kind, i ? r[i - 1].kind : 0));
    EACH(b->n_records, order[r[i].remote]);
    EACH(b->n_records, zigzag(r[i].first_ms, i ? r[i - 1].first_ms : base));
    EACH(b->n_records, r[i].last_ms - r[i].first_ms);
    EACH(b->n_records, r[i].count);
    EACH(b->n_records, r[i].bytes_out);
    EACH(b->n_records, r[i].bytes_in);
}

void flow_batch_encode(const struct flow_batch *b, struct buf *out)
{
    CLEANUP(free_voidp) uint32_t *order = xcalloc(b->n_addresses, sizeof(*order));

    buf_u8(out, FLOWS_FORMAT);
    buf_varint(out, b->n_texts);
    for (size_t i = 0; i < b->n_texts; i++) {
        const char *text = b->bytes.data + b->texts[i];
        size_t len = strlen(text);

        buf_varint(out, len);
        buf_add(out, text, len);
    }
    encode_addresses(b, order, out);
    encode_kinds(b, order, out);
    encode_records(b, order, out);
}

/* ---- decoding ---- */

/* A count of things of which each takes at least 'least' bytes of what is left. */
static int read_n(struct reader *r, size_t max, size_t least, size_t *ret_n)
{
    uint64_t n = reader_varint(r);

    if (!reader_ok(r))
        return -EINVAL;
    if (n > max)
        return -E2BIG;
    if (n * least > r->left)
        return -EINVAL;
    *ret_n = (size_t)n;
    return 0;
}

static int decode_texts(struct reader *r, struct flow_batch *b)
{
    size_t n, at;
    int e = read_n(r, FLOWS_MAX_TEXTS, 2, &n);

    if (e < 0)
        return e;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = reader_varint(r);
        const char *text = len && len < FLOWS_TEXT_SIZE ? reader_bytes(r, (size_t)len) : NULL;

        if (!text || memchr(text, 0, (size_t)len) || !utf8_valid(text, (size_t)len, &at))
            return -EINVAL;
        (void)append_text(b, text, (size_t)len);
    }
    return 0;
}

static int decode_addresses(struct reader *r, struct flow_batch *b)
{
    size_t n4, n6;
    const void *all;
    int e = read_n(r, FLOWS_MAX_ADDRESSES, V4_SIZE, &n4);

    if (e < 0)
        return e;
    b->addresses = xcalloc(n4, sizeof(*b->addresses));
    for (; b->n_addresses < n4; b->n_addresses++) {
        struct address *a = &b->addresses[b->n_addresses];

        a->bytes[10] = a->bytes[11] = 0xff;
        memcpy(a->bytes + V4_AT, reader_bytes(r, V4_SIZE), V4_SIZE);
    }
    e = read_n(r, FLOWS_MAX_ADDRESSES - n4, V6_SIZE, &n6);
    if (e < 0)
        return e;
    b->addresses = xreallocarray(b->addresses, n4 + n6, sizeof(*b->addresses));
    all = reader_bytes(r, n6 * V6_SIZE);
    memcpy(b->addresses + n4, all, n6 * V6_SIZE);
    b->n_addresses += n6;
    return 0;
}

#define DIFFERENCE_MAX (4 * FLOWS_MAX_AMOUNT) /* Zigzag, of numbers up to FLOWS_MAX_AMOUNT. */

/* One column: each value is at most 'max'. */
#define COLUMN(n, max, store)                                                                      \
    for (size_t i = 0; i < (n); i++) {                                                             \
        uint64_t v = reader_varint(r);                                                             \
                                                                                                   \
        if (v > (max))                                                                             \
            return -EINVAL;                                                                        \
        store;                                                                                     \
    }

static int decode_kinds(struct reader *r, struct flow_batch *b)
{
    uint64_t before = 0, addresses_max = b->n_addresses ? b->n_addresses - 1 : 0;
    struct flow_kind *k;
    size_t n;
    int e = read_n(r, FLOWS_MAX_RECORDS, KIND_COLUMNS, &n);

    if (e < 0)
        return e;
    if (n && !b->n_addresses)
        return -EINVAL;
    k = b->kinds = xcalloc(n, sizeof(*b->kinds));
    b->n_kinds = n;
    COLUMN(n, addresses_max, k[i].local = (uint32_t)v)
    COLUMN(n, UINT8_MAX, k[i].protocol = (uint8_t)v)
    COLUMN(n, UINT16_MAX, k[i].port = (uint16_t)v)
    COLUMN(n, 0x7f, k[i].direction = v & 1; k[i].enforced = v >> 1 & 1; k[i].verdict = v >> 2 & 3;
           k[i].layer = (uint8_t)(v >> 4))
    COLUMN(n, b->n_texts, k[i].process = (uint32_t)v)
    COLUMN(n, b->n_texts, k[i].script = (uint32_t)v)
    COLUMN(n, b->n_texts, k[i].user = (uint32_t)v)
    COLUMN(n, UINT32_MAX, k[i].uid = (uint32_t)v - 1)
    COLUMN(n, PROGRAM_MAX_RULES, k[i].rule = (uint32_t)v)
    COLUMN(n, b->n_texts, k[i].rule_name = (uint32_t)v)
    COLUMN(n, DIFFERENCE_MAX, before = k[i].revision = unzigzag(v, before))
    for (size_t i = 0; i < n; i++)
        if (k[i].revision > FLOWS_MAX_AMOUNT || k[i].verdict > VERDICT_WOULD_DENY ||
            k[i].layer > LAYER_DEFAULT)
            return -EINVAL;
    return 0;
}

static int decode_records(struct reader *r, struct flow_batch *b)
{
    uint64_t before = 0, kinds_max = b->n_kinds ? b->n_kinds - 1 : 0;
    struct flow_record *f;
    size_t n;
    int e = read_n(r, FLOWS_MAX_RECORDS, RECORD_COLUMNS, &n);

    if (e < 0)
        return e;
    if (n && !b->n_kinds)
        return -EINVAL;
    f = b->records = xcalloc(n, sizeof(*b->records));
    b->n_records = n;
    f->first_ms = reader_varint(r); /* The base, kept where there is always room. */
    COLUMN(n, DIFFERENCE_MAX, before = unzigzag(v, before); if (before > kinds_max) return -EINVAL;
           f[i].kind = (uint32_t)before)
    COLUMN(n, b->n_addresses - 1, f[i].remote = (uint32_t)v)
    before = f->first_ms;
    COLUMN(n, DIFFERENCE_MAX, before = f[i].first_ms = unzigzag(v, before))
    COLUMN(n, FLOW_MINUTE_MS - 1, f[i].last_ms = f[i].first_ms + v)
    COLUMN(n, FLOWS_MAX_AMOUNT, f[i].count = v)
    COLUMN(n, FLOWS_MAX_AMOUNT, f[i].bytes_out = v)
    COLUMN(n, FLOWS_MAX_AMOUNT, f[i].bytes_in = v)
    for (size_t i = 0; i < n; i++)
        if (f[i].first_ms > FLOWS_MAX_AMOUNT ||
            f[i].first_ms / FLOW_MINUTE_MS != f[i].last_ms / FLOW_MINUTE_MS)
            return -EINVAL;
    return 0;
}

int flow_batch_decode(const void *data, size_t size, struct flow_batch *b, const char **ret_what)
{
    struct reader r = reader_of(data, size);
    int e;

    *ret_what = "the format of a batch of flows";
    if (reader_u8(&r) != FLOWS_FORMAT)
        return -EINVAL;
    *ret_what = "the texts of a batch of flows";
    e = decode_texts(&r, b);
    if (e < 0)
        return e;
    *ret_what = "the addresses of a batch of flows";
    e = decode_addresses(&r, b);
    if (e < 0)
        return e;
    *ret_what = "the kinds of a batch of flows";
    e = decode_kinds(&r, b);
    if (e < 0)
        return e;
    *ret_what = "the records of a batch of flows";
    e = decode_records(&r, b);
    if (e < 0)
        return e;
    *ret_what = "the end of a batch of flows";
    return reader_ok(&r) && r.left == 0 ? 0 : -EINVAL;
}
