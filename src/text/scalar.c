/* SPDX-License-Identifier: Apache-2.0 */
/* What YAML takes for a number, and what it takes for syntax; see scalar.h. */
#include "text/scalar.h"

#include <stdio.h>

#include "base/utf8.h"

enum { MAX_QUOTES = 4 }; /* In a row: node_read() refuses that many. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Words that YAML 1.1 or 1.2 reads as null or a truth value, in any case. */
static bool is_special_word(const char *s)
{
    static const char *const words[] = {"null", "true", "false", "yes", "no", "on",
                                        "off",  "y",    "n",     "~",   "=",  "<<"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(words[i], s) == 0)
            return true;
    return false;
}

/* Might some reader see a number?  Said too often rather than too seldom; but a day is a text that
 * everybody writes plain. */
static bool looks_like_number(const char *s)
{
    const char *p = s + (*s == '-' || *s == '+');
    bool day = strlen(s) == 10 && s[4] == '-' && s[7] == '-';
    bool digit = false;

    if (day || strcasecmp(p, ".inf") == 0 || strcasecmp(p, ".nan") == 0)
        return !day;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X' || p[1] == 'o' || p[1] == 'b'))
        return strspn(p + 2, "0123456789abcdefABCDEF_") == strlen(p + 2);
    if (strspn(p, "0123456789.,_:eE+-") != strlen(p))
        return false;
    for (const char *q = p; *q; q++)
        digit = digit || is_digit(*q);
    return digit && strcspn(p, "-+") + 1 >= strcspn(p, "eE") + 1 && (is_digit(*p) || *p == '.');
}

static bool is_address(const char *s)
{
    unsigned dots = 0;

    for (; *s && *s != '/'; s++) {
        if (!is_digit(*s) && *s != '.')
            return false;
        dots += *s == '.';
    }
    return dots == 3;
}

/* Can it stand without quotes? */
static bool is_plain(const char *s, size_t len, bool flow)
{
    size_t n;

    if (!len || is_special_word(s) || (looks_like_number(s) && !is_address(s)))
        return false;
    if (strchr("-?:,[]{}#&*!|>'\"%@` ", s[0]) || s[len - 1] == ' ' || s[len - 1] == ':' ||
        strncmp(s, "...", 3) == 0)
        return false;
    for (size_t i = 0; i < len; i += n) {
        n = utf8_printable(s + i, len - i);
        if (!n || (s[i] == ':' && (flow || s[i + 1] == ' ')) || (s[i] == ' ' && s[i + 1] == '#') ||
            (flow && strchr(",[]{}", s[i])) || s[i] == '\t')
            return false;
    }
    return true;
}

static void put_quoted(struct buf *b, const char *s, size_t len)
{
    size_t n, quotes = 0;
    uint32_t c;

    buf_putc(b, '"');
    for (size_t i = 0; i < len; i += n) {
        n = utf8_decode(s + i, len - i, &c);
        if (!n) { /* Cannot happen: the source was UTF-8. */
            n = 1;
            continue;
        }
        quotes = s[i] == '\'' ? quotes + 1 : 0;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", (char)c);
        else if (utf8_printable(s + i, n) && quotes < MAX_QUOTES - 1)
            buf_add(b, s + i, n);
        else if (c < 0x100)
            buf_printf(b, "\\x%02x", c);
        else
            buf_printf(b, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    buf_putc(b, '"');
}

static bool is_keyword(const struct node *n, const struct field *f)
{
    return f->keyword && !n->quoted && strcmp(f->keyword, n->text) == 0;
}

void scalar_write(struct buf *b, const struct node *n, const struct field *f, bool flow)
{
    bool typed = f && n->kind == NODE_SCALAR && f->kind != FIELD_MAP &&
                 (f->kind == FIELD_NUMBER || f->kind == FIELD_NUMBERS || f->kind == FIELD_BOOL ||
                  is_keyword(n, f));

    size_t len = strlen(n->text);

    if (f && f->kind != FIELD_MAP && f->grammar == GRAMMAR_TEXT && len && n->text[len - 1] == '\n')
        len--; /* The end of a block, which is no part of the sentence. */
    if (!f || typed || is_plain(n->text, len, flow))
        buf_add(b, n->text, len);
    else
        put_quoted(b, n->text, len);
}

/* Folding makes one blank of each line's end: words may be parted where there is one blank. */
static bool can_fold(const char *s, size_t len)
{
    size_t n;

    for (size_t i = 0; i < len; i += n) {
        n = utf8_printable(s + i, len - i);
        if (!n)
            return false;
    }
    return len && s[0] != ' ' && memchr(s, ' ', len);
}

static size_t characters(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* The end of the next line of at most 'room' characters: at a single blank, or all of it. */
static size_t line_end(const char *s, size_t len, size_t room)
{
    size_t best = len;

    for (size_t i = 1; i + 1 < len; i++) {
        if (s[i] != ' ' || s[i - 1] == ' ' || s[i + 1] == ' ')
            continue;
        if (best != len && characters(s, i) > room)
            return best;
        best = i;
    }
    return characters(s, len) > room ? best : len;
}

bool scalar_fold(struct buf *b, const struct node *n, size_t indent, size_t column, size_t width,
                 const struct comment *side)
{
    const char *s = n->text;
    size_t len = strlen(s), end;

    if (len && s[len - 1] == '\n')
        len--;
    if (column + characters(s, len) <= width || !can_fold(s, len) ||
        line_end(s, len, width - indent) == len)
        return false;
    buf_puts(b, ">-");
    if (side) {
        buf_puts(b, "  ");
        buf_add(b, side->text, side->len);
    }
    buf_putc(b, '\n');
    while (len) {
        end = line_end(s, len, width - indent);
        for (size_t i = 0; i < indent; i++)
            buf_putc(b, ' ');
        buf_add(b, s, end);
        buf_putc(b, '\n');
        s += end;
        len -= end;
        if (len) { /* The blank that the fold stands for. */
            s++;
            len--;
        }
    }
    return true;
}
