/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into lines or objects, and what is common to all clouds; see cloud.h. */
#include "collect/cloud.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "collect/cloud_internal.h"

enum { SHOWN = 40 };

struct cloud *cloud_new(enum cloud_format format)
{
    struct cloud *c = xcalloc(1, sizeof(*c));

    c->format = format;
    c->line = c->column = 1;
    c->pairs = pairs_new(CLOUD_HELD + 1);
    (void)cloud_teller_of(c, "(other)", 7);
    return c;
}

void cloud_free(struct cloud *c)
{
    if (!c)
        return;
    buf_done(&c->piece);
    pairs_free(c->pairs);
    free(c->ready);
    free(c->tellers);
    table_done(&c->teller_index);
    free(c);
}

int cloud_format_parse(const char *name, enum cloud_format *ret_format)
{
    static const struct {
        const char *name;
        enum cloud_format format;
    } known[] = {{"aws-vpc", CLOUD_AWS},
                 {"azure-nsg", CLOUD_AZURE},
                 {"azure-vnet", CLOUD_AZURE},
                 {"gcp-vpc", CLOUD_GCP}};

    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(name, known[i].name) == 0) {
            *ret_format = known[i].format;
            return 0;
        }
    return -EINVAL;
}

const struct cloud_counts *cloud_counts(const struct cloud *c)
{
    return &c->counts;
}

size_t cloud_problems(const struct cloud *c, const struct cloud_problem **ret_problems)
{
    *ret_problems = c->problems;
    return c->n_problems;
}

/* ---- problems ---- */

/* Where in the file a byte of the piece stands. */
static void place_of(const struct cloud *c, size_t at, size_t *ret_line, size_t *ret_column)
{
    size_t line = c->piece_line, column = c->piece_column;

    for (size_t i = 0; i < at && i < c->piece.size; i++) {
        column++;
        if (c->piece.data[i] == '\n') {
            line++;
            column = 1;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

void cloud_wrong(struct cloud *c, size_t at, const char *what, const char *found, size_t len,
                 const char *expected)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct cloud_problem *p;

    c->counts.malformed++;
    if (c->n_problems == CLOUD_PROBLEMS_MAX)
        return;
    p = &c->problems[c->n_problems++];
    place_of(c, at, &p->line, &p->column);
    buf_puts(&b, what);
    if (found) {
        buf_puts(&b, ": found \"");
        buf_escape(&b, found, len, SHOWN);
        buf_putc(&b, '"');
    }
    buf_printf(&b, "; expected %s", expected);
    (void)snprintf(p->text, sizeof(p->text), "%s", buf_str(&b));
}

/* ---- tellers ---- */

struct teller_key {
    const char *name;
    size_t len;
};

static bool same_teller(const void *tellers, uint32_t number, const void *key)
{
    const char *name = (const char *)tellers + (size_t)number * CLOUD_TELLER_SIZE;
    const struct teller_key *k = key;

    return strlen(name) == k->len && memcmp(name, k->name, k->len) == 0;
}

uint32_t cloud_teller_of(struct cloud *c, const char *name, size_t len)
{
    CLEANUP(buf_done) struct buf safe = BUF_INIT;
    struct teller_key k;
    uint32_t hash, found;

    buf_escape(&safe, name, len, CLOUD_TELLER_SIZE / 4 - 1); /* Each byte may become four. */
    k = (struct teller_key){buf_str(&safe), safe.size};
    hash = table_hash(k.name, k.len, 0);
    found = table_find(&c->teller_index, hash, same_teller, c->tellers, &k);
    if (found != TABLE_NONE)
        return found;
    if (c->n_tellers == CLOUD_TELLERS_MAX)
        return 0;
    GROW(c->tellers, c->n_tellers, c->tellers_room);
    (void)snprintf(c->tellers[c->n_tellers], CLOUD_TELLER_SIZE, "%s", k.name);
    table_add(&c->teller_index, hash, (uint32_t)c->n_tellers);
    return (uint32_t)c->n_tellers++;
}

const char *cloud_teller(const struct cloud *c, uint32_t teller)
{
    return c->tellers[teller];
}

size_t cloud_tellers(const struct cloud *c)
{
    return c->n_tellers;
}

/* ---- sightings ---- */

void cloud_ports(struct sighting *s, uint64_t protocol, uint64_t source_port, uint64_t port)
{
    s->protocol = protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : (uint8_t)protocol;
    if (s->protocol == IPPROTO_TCP || s->protocol == IPPROTO_UDP) {
        s->source_port = (uint16_t)source_port;
        s->port = (uint16_t)port;
    } else if (s->protocol == IPPROTO_ICMP) {
        s->port = SIGHTING_ECHO;
        s->marks |= FLOW_GUESSED;
    }
}

static void make_ready(struct cloud *c, size_t keep)
{
    struct cloud_ready r;

    while (pairs_next(c->pairs, 0, keep, &r.s, &r.teller)) {
        GROW(c->ready, c->n_ready, c->ready_room);
        c->ready[c->n_ready++] = r;
    }
}

void cloud_hear(struct cloud *c, struct heard *h)
{
    struct sighting *s = &h->s;

    c->counts.told++;
    if (s->last_ms < s->first_ms)
        s->last_ms = s->first_ms;
    if (s->last_ms - s->first_ms > SIGHTING_MAX_SPAN_MS) {
        s->first_ms = s->last_ms - SIGHTING_MAX_SPAN_MS;
        s->marks |= FLOW_RETIMED;
    }
    if (s->bytes_out > SIGHTING_MAX_AMOUNT)
        s->bytes_out = SIGHTING_MAX_AMOUNT;
    if (s->bytes_in > SIGHTING_MAX_AMOUNT)
        s->bytes_in = SIGHTING_MAX_AMOUNT;
    (void)pairs_add(c->pairs, h, UINT64_MAX); /* There is room for one more. */
    make_ready(c, CLOUD_HELD);
}

bool cloud_next(struct cloud *c, struct sighting *ret_s, uint32_t *ret_teller)
{
    if (c->first_ready == c->n_ready) {
        c->first_ready = c->n_ready = 0;
        return false;
    }
    *ret_s = c->ready[c->first_ready].s;
    *ret_teller = c->ready[c->first_ready++].teller;
    return true;
}

/* ---- cutting ---- */

static void take_piece(struct cloud *c)
{
    const char *text = buf_str(&c->piece);

    if (c->too_long)
        cloud_wrong(c, 0, "a line or entry", NULL, 0, "at most 16 MiB");
    else if (c->format == CLOUD_AWS)
        aws_line(c, text, c->piece.size);
    else if (c->format == CLOUD_AZURE)
        azure_record(c, text, c->piece.size);
    else
        gcp_entry(c, text, c->piece.size);
    buf_reset(&c->piece);
    c->too_long = false;
}

static void add_byte(struct cloud *c, char b)
{
    if (!c->piece.size && !c->too_long) {
        c->piece_line = c->line;
        c->piece_column = c->column;
    }
    if (c->piece.size >= CLOUD_PIECE_MAX)
        c->too_long = true;
    else
        buf_putc(&c->piece, b);
}

static void cut_line(struct cloud *c, char b)
{
    if (b != '\n')
        add_byte(c, b);
    else if (c->piece.size)
        take_piece(c);
}

/* An Azure file is one object; its records are what is wanted. */
static bool is_list_of_records(const struct buf *piece)
{
    static const char wanted[] = "{\"records\":[";
    size_t n = 0;

    for (size_t i = 0; i < piece->size; i++) {
        char b = piece->data[i];

        if (b == ' ' || b == '\t' || b == '\r' || b == '\n')
            continue;
        if (n >= sizeof(wanted) - 1 || b != wanted[n++])
            return false;
    }
    return n == sizeof(wanted) - 1;
}

static void cut_structure(struct cloud *c, char b)
{
    if (b == '{' || b == '[') {
        c->depth++;
        if (b == '[' && c->format == CLOUD_AZURE && c->depth == 2 &&
            is_list_of_records(&c->piece)) {
            buf_reset(&c->piece);
            c->depth = 0;
            c->inside = true;
        }
    } else if (--c->depth == 0) {
        take_piece(c);
    }
}

/* Objects one after the other; between them may stand commas, white space, and the brackets of an
 * array around them. */
static void cut_object(struct cloud *c, char b)
{
    if (c->depth == 0) {
        if (b == '{') {
            add_byte(c, b);
            c->depth = 1;
        } else if (!strchr(" \t\r\n,[]", b) && !(b == '}' && c->inside)) {
            c->piece_line = c->line;
            c->piece_column = c->column;
            if (!c->in_text) /* Said once, until an object begins. */
                cloud_wrong(c, 0, "between entries", &b, 1, "objects of JSON");
            c->in_text = true;
            return;
        }
        c->in_text = c->escaped = false;
        return;
    }
    add_byte(c, b);
    if (c->in_text) {
        c->in_text = b != '"' || c->escaped;
        c->escaped = b == '\\' && !c->escaped;
    } else if (b == '"') {
        c->in_text = true;
    } else if (strchr("{}[]", b)) {
        cut_structure(c, b);
    }
}

void cloud_feed(struct cloud *c, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char b = data[i];

        if (!b)
            b = ' '; /* NUL is no text. */
        if (c->format == CLOUD_AWS)
            cut_line(c, b);
        else
            cut_object(c, b);
        c->column++;
        if (b == '\n') {
            c->line++;
            c->column = 1;
        }
    }
}

void cloud_end(struct cloud *c)
{
    if (c->format == CLOUD_AWS && c->piece.size)
        take_piece(c);
    else if (c->format != CLOUD_AWS && c->depth)
        cloud_wrong(c, 0, "the file ends inside of an entry", NULL, 0, "its end");
    make_ready(c, 0);
}
