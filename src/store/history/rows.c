/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/rows.h"

#include "core/program.h"
#include "core/verdict.h"
#include "store/history/varint.h"

enum field { /* Bits on disk: only ever added. */
             SOURCE,
             SOURCE_V4,
             DESTINATION,
             DESTINATION_V4,
             FIRST,
             SPAN,
             COUNT,
             BYTES_OUT,
             BYTES_IN,
             REVISION,
             FROM,
             TO,
             REPORTER,
             PROCESS,
             SCRIPT,
             USER,
             RULE,
             UID,
             PORT,
             PROTOCOL,
             KIND, /* Direction, verdict, layer, origin, marks: the first by itself. */
             N_FIELDS,
};

enum {
    V4_OFFSET = 12,
    ROW_SIZE_MAX = VARINT_MAX * N_FIELDS + 2 * (int)sizeof(struct address),
};

static const uint64_t last_ms_max = UINT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
static const uint64_t span_ms_max = 86400000;

bool flow_valid(const struct flow *f)
{
    return f->last_ms >= f->first_ms && f->last_ms - f->first_ms <= span_ms_max &&
           f->last_ms <= last_ms_max && f->direction <= DIRECTION_IN &&
           f->marks <= FLOW_MARKS_ALL && f->origin < FLOW_ORIGINS &&
           f->verdict <= VERDICT_WOULD_DENY && f->layer <= LAYER_DEFAULT;
}

static uint64_t kind_of(const struct flow *f)
{
    return f->direction | (uint64_t)(f->marks & FLOW_ENFORCED) << 1 | (uint64_t)f->verdict << 2 |
           (uint64_t)f->origin << 10 | (uint64_t)f->layer << 18 | (uint64_t)(f->marks >> 1) << 26;
}

static void set_kind(struct flow *f, uint64_t kind)
{
    f->direction = kind & 1;
    f->marks = (uint8_t)((kind >> 1 & 1) | (kind >> 26 & 0x7f) << 1);
    f->verdict = (uint8_t)(kind >> 2);
    f->origin = (uint8_t)(kind >> 10);
    f->layer = (uint8_t)(kind >> 18);
}

static unsigned char *put_address(unsigned char *p, const struct address *a, uint32_t *fields,
                                  enum field field)
{
    size_t skip = address_is_v4(a) ? V4_OFFSET : 0;

    *fields |= 1u << (skip ? field + 1 : field);
    memcpy(p, a->bytes + skip, sizeof(a->bytes) - skip);
    return p + sizeof(a->bytes) - skip;
}

static bool same_address(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

#define PUT_IF(field, differs, value)                                                              \
    do {                                                                                           \
        if (differs) {                                                                             \
            fields |= 1u << (field);                                                               \
            p = varint_put(p, (value));                                                            \
        }                                                                                          \
    } while (0)
#define PUT_MEMBER(field, member) PUT_IF(field, f->member != o->member, f->member)

/* Writes the fields of 'f' that differ from 'o' and says which they are. */
static unsigned char *put_fields(unsigned char *p, const struct flow *f, const struct flow *o,
                                 uint32_t *ret_fields)
{
    uint64_t span = f->last_ms - f->first_ms;
    uint32_t fields = 0;

    if (!same_address(&f->source, &o->source))
        p = put_address(p, &f->source, &fields, SOURCE);
    if (!same_address(&f->destination, &o->destination))
        p = put_address(p, &f->destination, &fields, DESTINATION);
    PUT_IF(FIRST, f->first_ms != o->first_ms, zigzag(f->first_ms - o->first_ms));
    PUT_IF(SPAN, span != o->last_ms - o->first_ms, span);
    PUT_MEMBER(COUNT, count);
    PUT_MEMBER(BYTES_OUT, bytes_out);
    PUT_MEMBER(BYTES_IN, bytes_in);
    PUT_MEMBER(REVISION, revision);
    PUT_MEMBER(FROM, from);
    PUT_MEMBER(TO, to);
    PUT_MEMBER(REPORTER, reporter);
    PUT_MEMBER(PROCESS, process);
    PUT_MEMBER(SCRIPT, script);
    PUT_MEMBER(USER, user);
    PUT_MEMBER(RULE, rule);
    PUT_MEMBER(UID, uid);
    PUT_MEMBER(PORT, port);
    PUT_MEMBER(PROTOCOL, protocol);
    PUT_IF(KIND, kind_of(f) != kind_of(o), kind_of(f));
    *ret_fields = fields;
    return p;
}

void rows_put(struct buf *out, const struct flow *flows, size_t n)
{
    unsigned char row[VARINT_MAX + ROW_SIZE_MAX], head[VARINT_MAX];
    struct flow before = {.port = 0};

    buf_add(out, head, (size_t)(varint_put(head, n) - head));
    for (size_t i = 0; i < n; i++) {
        uint32_t fields;
        const unsigned char *end = put_fields(row, &flows[i], &before, &fields);

        buf_add(out, head, (size_t)(varint_put(head, fields) - head));
        buf_add(out, row, (size_t)(end - row));
        before = flows[i];
    }
}

static void take_address(struct reader *r, struct address *a, uint64_t fields, enum field field)
{
    bool v4 = fields >> (field + 1) & 1;
    size_t skip = v4 ? V4_OFFSET : 0;
    const void *bytes;

    if (!v4 && !(fields >> field & 1))
        return;
    bytes = reader_bytes(r, sizeof(a->bytes) - skip);
    if (!bytes)
        return;
    if (v4) {
        memset(a->bytes, 0, sizeof(a->bytes));
        a->bytes[10] = a->bytes[11] = 0xff;
    }
    memcpy(a->bytes + skip, bytes, sizeof(a->bytes) - skip);
}

#define TAKE_IF(field, to)                                                                         \
    do {                                                                                           \
        if (fields >> (field)&1)                                                                   \
            (to) = (typeof(to))varint_take(r);                                                     \
    } while (0)

/* Changes 'f', which is the record before, to the next one. */
static void take_fields(struct reader *r, struct flow *f, uint64_t fields)
{
    uint64_t span = f->last_ms - f->first_ms, step = 0, kind = kind_of(f);

    take_address(r, &f->source, fields, SOURCE);
    take_address(r, &f->destination, fields, DESTINATION);
    TAKE_IF(FIRST, step);
    TAKE_IF(SPAN, span);
    f->first_ms += unzigzag(step);
    f->last_ms = f->first_ms + span;
    TAKE_IF(COUNT, f->count);
    TAKE_IF(BYTES_OUT, f->bytes_out);
    TAKE_IF(BYTES_IN, f->bytes_in);
    TAKE_IF(REVISION, f->revision);
    TAKE_IF(FROM, f->from);
    TAKE_IF(TO, f->to);
    TAKE_IF(REPORTER, f->reporter);
    TAKE_IF(PROCESS, f->process);
    TAKE_IF(SCRIPT, f->script);
    TAKE_IF(USER, f->user);
    TAKE_IF(RULE, f->rule);
    TAKE_IF(UID, f->uid);
    TAKE_IF(PORT, f->port);
    TAKE_IF(PROTOCOL, f->protocol);
    TAKE_IF(KIND, kind);
    set_kind(f, kind);
}

bool rows_take(struct reader *r, size_t max, struct flow **ret_flows, size_t *ret_n)
{
    uint64_t n = varint_take(r);
    CLEANUP(free_voidp) struct flow *flows = NULL;
    struct flow f = {.port = 0};

    if (!reader_ok(r) || n > max || n > r->left)
        return false; /* A record has a byte at least. */
    flows = xreallocarray(NULL, n, sizeof(*flows));
    for (uint64_t i = 0; i < n; i++) {
        uint64_t fields = varint_take(r);

        take_fields(r, &f, fields);
        if (!reader_ok(r) || fields >> N_FIELDS || !flow_valid(&f))
            return false;
        flows[i] = f;
    }
    *ret_flows = TAKE_PTR(flows);
    *ret_n = n;
    return true;
}
