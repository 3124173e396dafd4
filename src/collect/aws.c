/* SPDX-License-Identifier: Apache-2.0 */
/* AWS VPC flow logs: words on lines, in the order that a first line tells, or that of version 2. */
#include <errno.h>
#include <netinet/in.h>

#include "base/number.h"
#include "collect/cloud_internal.h"

enum aws_field {
    AWS_VERSION,
    AWS_ACCOUNT,
    AWS_INTERFACE,
    AWS_SOURCE,
    AWS_DESTINATION,
    AWS_SOURCE_PORT,
    AWS_DESTINATION_PORT,
    AWS_PROTOCOL,
    AWS_PACKETS,
    AWS_BYTES,
    AWS_START,
    AWS_END,
    AWS_ACTION,
    AWS_STATUS,
    AWS_DEFAULT_FIELDS, /* Up to here: version 2, in this order. */
    AWS_TCP_FLAGS = AWS_DEFAULT_FIELDS,
    AWS_PACKET_SOURCE,
    AWS_PACKET_DESTINATION,
    AWS_FIELDS,
    AWS_UNREAD = -1,
};

static const char *const aws_names[AWS_FIELDS] = {
    "version", "account-id", "interface-id", "srcaddr",     "dstaddr",    "srcport",
    "dstport", "protocol",   "packets",      "bytes",       "start",      "end",
    "action",  "log-status", "tcp-flags",    "pkt-srcaddr", "pkt-dstaddr"};

struct word {
    const char *text; /* NULL: not told. */
    size_t len, at;
};

struct aws_words {
    struct word of[AWS_FIELDS];
};

/* The next word, and its place in the line. */
static bool next_word(const char *line, size_t len, size_t *at, struct word *ret_w)
{
    size_t begin = *at;

    while (begin < len && (line[begin] == ' ' || line[begin] == '\t' || line[begin] == '\r'))
        begin++;
    *at = begin;
    while (*at < len && line[*at] != ' ' && line[*at] != '\t' && line[*at] != '\r')
        (*at)++;
    *ret_w = (struct word){line + begin, *at - begin, begin};
    return *at > begin;
}

static bool word_is(const struct word *w, const char *text)
{
    return w->text && w->len == strlen(text) && memcmp(w->text, text, w->len) == 0;
}

static bool is_told(const struct word *w)
{
    return w->text && !word_is(w, "-");
}

static int aws_field_of(const struct word *w)
{
    for (int i = 0; i < AWS_FIELDS; i++)
        if (word_is(w, aws_names[i]))
            return i;
    return AWS_UNREAD;
}

/* ---- the first line ---- */

static void default_columns(struct cloud *c)
{
    for (int i = 0; i < AWS_DEFAULT_FIELDS; i++)
        c->columns[i] = i;
    c->n_columns = AWS_DEFAULT_FIELDS;
}

static bool has_column(const struct cloud *c, int field)
{
    for (size_t i = 0; i < c->n_columns; i++)
        if (c->columns[i] == field)
            return true;
    return false;
}

/* Names of fields: then that is what it is.  Values never are names of fields. */
static bool take_columns(struct cloud *c, const char *line, size_t len)
{
    size_t at = 0;
    struct word w;
    bool known = false;

    c->n_columns = 0;
    while (next_word(line, len, &at, &w)) {
        int field = aws_field_of(&w);

        known = known || field != AWS_UNREAD;
        if (c->n_columns == AWS_COLUMNS_MAX) {
            cloud_wrong(c, w.at, "the first line", NULL, 0, "at most 64 names of fields");
            break;
        }
        c->columns[c->n_columns++] = field;
    }
    if (!known) {
        default_columns(c);
        return false;
    }
    if ((!has_column(c, AWS_SOURCE) && !has_column(c, AWS_PACKET_SOURCE)) ||
        (!has_column(c, AWS_DESTINATION) && !has_column(c, AWS_PACKET_DESTINATION)) ||
        !has_column(c, AWS_START) || !has_column(c, AWS_ACTION) || !has_column(c, AWS_PROTOCOL) ||
        !has_column(c, AWS_DESTINATION_PORT) || !has_column(c, AWS_SOURCE_PORT))
        cloud_wrong(
            c, 0, "the first line", NULL, 0,
            "srcaddr, dstaddr, srcport, dstport, protocol, start and action among its names");
    return true;
}

/* ---- lines ---- */

static bool take_number(struct cloud *c, const struct aws_words *words, enum aws_field field,
                        uint64_t max, uint64_t *ret_v)
{
    const struct word *w = &words->of[field];

    *ret_v = 0;
    if (!is_told(w) || number_parse(w->text, w->len, max, ret_v) == 0)
        return true;
    cloud_wrong(c, w->at, aws_names[field], w->text, w->len, "a number that fits, or -");
    return false;
}

static bool take_end(struct cloud *c, const struct aws_words *words, enum aws_field field,
                     enum aws_field packet, struct address *ret_a)
{
    const struct word *w = is_told(&words->of[packet]) ? &words->of[packet] : &words->of[field];
    char text[ADDRESS_TEXT_SIZE];

    if (is_told(w) && w->len < sizeof(text)) {
        memcpy(text, w->text, w->len);
        text[w->len] = 0;
        if (address_parse(text, ret_a) == 0)
            return true;
    }
    cloud_wrong(c, w->at, aws_names[field], w->text ? w->text : "", w->len,
                "an IPv4 or IPv6 address");
    return false;
}

static bool take_action(struct cloud *c, const struct aws_words *words, uint8_t *ret_verdict)
{
    const struct word *w = &words->of[AWS_ACTION];

    *ret_verdict = word_is(w, "ACCEPT") ? VERDICT_ALLOW : VERDICT_DENY;
    if (word_is(w, "ACCEPT") || word_is(w, "REJECT"))
        return true;
    cloud_wrong(c, w->at, "action", w->text ? w->text : "", w->len, "ACCEPT or REJECT");
    return false;
}

static bool take_amounts(struct cloud *c, const struct aws_words *words, struct heard *h)
{
    struct sighting *s = &h->s;
    uint64_t protocol, source_port, port, start, end, flags;

    if (!take_number(c, words, AWS_PROTOCOL, UINT8_MAX, &protocol) ||
        !take_number(c, words, AWS_SOURCE_PORT, UINT16_MAX, &source_port) ||
        !take_number(c, words, AWS_DESTINATION_PORT, UINT16_MAX, &port) ||
        !take_number(c, words, AWS_BYTES, UINT64_MAX, &s->bytes_out) ||
        !take_number(c, words, AWS_START, UINT32_MAX, &start) ||
        !take_number(c, words, AWS_END, UINT32_MAX, &end) ||
        !take_number(c, words, AWS_TCP_FLAGS, UINT16_MAX, &flags))
        return false;
    s->first_ms = start * 1000;
    s->last_ms = end * 1000;
    cloud_ports(s, protocol, source_port, port);
    if (protocol == IPPROTO_TCP) /* AWS tells ACK with SYN alone: 18 is the server's. */
        h->client = (int8_t)pairs_client_by_flags((uint8_t)flags, true);
    return true;
}

static bool split(struct cloud *c, const char *line, size_t len, struct aws_words *ret_words)
{
    size_t at = 0, n = 0;
    struct word w;

    while (next_word(line, len, &at, &w)) {
        if (n == 0 && w.len > 20 && w.text[w.len - 1] == 'Z' && memchr(w.text, 'T', w.len))
            continue; /* CloudWatch's own time, when it was exported from there. */
        if (n < c->n_columns && c->columns[n] != AWS_UNREAD)
            ret_words->of[c->columns[n]] = w;
        n++;
    }
    if (n == c->n_columns)
        return true;
    cloud_wrong(c, n < c->n_columns ? len : 0, "a line", NULL, 0,
                "as many words as the first line, or as version 2 has (14)");
    return false;
}

void aws_line(struct cloud *c, const char *line, size_t len)
{
    struct aws_words words = {.of = {{0}}};
    struct heard h = {.s = {.count = 1, .origin = FLOW_AWS}};
    const struct word *teller;

    if (!c->n_columns && take_columns(c, line, len))
        return;
    if (len == 0 || line[strspn(line, " \t\r")] == 0)
        return;
    if (!split(c, line, len, &words))
        return;
    if (word_is(&words.of[AWS_STATUS], "NODATA")) {
        c->counts.no_data++;
        return;
    }
    if (word_is(&words.of[AWS_STATUS], "SKIPDATA")) {
        c->counts.skip_data++;
        return;
    }
    if (!take_end(c, &words, AWS_SOURCE, AWS_PACKET_SOURCE, &h.s.source) ||
        !take_end(c, &words, AWS_DESTINATION, AWS_PACKET_DESTINATION, &h.s.destination) ||
        !take_action(c, &words, &h.s.verdict) || !take_amounts(c, &words, &h))
        return;
    teller = is_told(&words.of[AWS_INTERFACE]) ? &words.of[AWS_INTERFACE] : &words.of[AWS_ACCOUNT];
    h.teller = is_told(teller) ? cloud_teller_of(c, teller->text, teller->len)
                               : cloud_teller_of(c, "aws", 3);
    cloud_hear(c, &h);
}
