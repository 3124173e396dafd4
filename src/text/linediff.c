/* SPDX-License-Identifier: Apache-2.0 */
/* Myers' O(ND) algorithm on lines; see linediff.h. */
#include "text/linediff.h"

#include <stdbool.h>

enum { CONTEXT = 3, BETWEEN = 2 * CONTEXT, MAX_CHANGES = 2000 };

struct line {
    const char *s;
    size_t len;
};

struct text {
    struct line *lines;
    size_t n, room;
};

struct edit { /* One line of the script: kept (' '), removed ('-'), added ('+'). */
    char kind;
    struct line line;
};

struct script {
    struct edit *edits;
    size_t n, room;
};

static struct text split(const char *s, size_t size)
{
    struct text t = {.lines = NULL};

    GROW(t.lines, t.n, t.room); /* Never NULL. */
    for (size_t at = 0, len; at < size; at += len + 1) {
        const char *newline = memchr(s + at, '\n', size - at);

        len = newline ? (size_t)(newline - (s + at)) : size - at;
        GROW(t.lines, t.n, t.room);
        t.lines[t.n++] = (struct line){s + at, len};
    }
    return t;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static void add(struct script *x, char kind, const struct line *line)
{
    GROW(x->edits, x->n, x->room);
    x->edits[x->n++] = (struct edit){kind, *line};
}

/* One round of the search: how far each diagonal gets with d changes.  Returns true at the end. */
static bool search_round(const struct text *a, const struct text *b, long d, long *v)
{
    for (long k = -d; k <= d; k += 2) {
        long x = k == -d || (k != d && v[k - 1] < v[k + 1]) ? v[k + 1] : v[k - 1] + 1;

        while (x < (long)a->n && x - k >= 0 && x - k < (long)b->n &&
               same(&a->lines[x], &b->lines[x - k]))
            x++;
        v[k] = x;
        if (x >= (long)a->n && x - k >= (long)b->n)
            return true;
    }
    return false;
}

static void reverse(struct edit *edits, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct edit e = edits[i];

        edits[i] = edits[n - 1 - i];
        edits[n - 1 - i] = e;
    }
}

/* From the end back to the beginning, along the rows that the search kept. */
static void walk_back(struct script *to, const struct text *a, const struct text *b, long **rows,
                      long d)
{
    long x = (long)a->n, y = (long)b->n;
    size_t first = to->n;

    for (; d > 0; d--) {
        const long *v = rows[d - 1] + MAX_CHANGES + 1;
        long k = x - y;
        bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);
        long before_x = v[down ? k + 1 : k - 1], before_y = before_x - (down ? k + 1 : k - 1);

        while (x > before_x + !down && y > before_y + down) {
            add(to, ' ', &a->lines[--x]);
            y--;
        }
        if (down)
            add(to, '+', &b->lines[--y]);
        else
            add(to, '-', &a->lines[--x]);
    }
    while (x > 0)
        add(to, ' ', &a->lines[--x]);
    if (to->n > first)
        reverse(to->edits + first, to->n - first);
}

/* The script between two texts that differ in their first and last lines. */
static void compare(struct script *to, const struct text *a, const struct text *b)
{
    enum { ROW = 2 * MAX_CHANGES + 3 };
    CLEANUP(free_voidp) void *memory = xcalloc(MAX_CHANGES + 1, sizeof(long *));
    long **rows = memory, v[ROW] = {0}, d, found = -1;

    for (d = 0; d <= MAX_CHANGES && found < 0; d++) {
        if (search_round(a, b, d, v + MAX_CHANGES + 1))
            found = d;
        rows[d] = xcalloc(ROW, sizeof(long));
        memcpy(rows[d], v, sizeof v);
    }
    if (found >= 0) {
        walk_back(to, a, b, rows, found);
    } else {
        for (size_t i = 0; i < a->n; i++)
            add(to, '-', &a->lines[i]);
        for (size_t i = 0; i < b->n; i++)
            add(to, '+', &b->lines[i]);
    }
    for (long i = 0; i < d; i++)
        free(rows[i]);
}

static void write_hunk(struct buf *b, const struct script *x, size_t from, size_t to, size_t old_at,
                       size_t new_at)
{
    size_t n_old = 0, n_new = 0;

    for (size_t i = from; i < to; i++) {
        n_old += x->edits[i].kind != '+';
        n_new += x->edits[i].kind != '-';
    }
    buf_printf(b, "@@ -%zu,%zu +%zu,%zu @@\n", old_at + (n_old > 0), n_old, new_at + (n_new > 0),
               n_new);
    for (size_t i = from; i < to; i++) {
        buf_putc(b, x->edits[i].kind);
        buf_add(b, x->edits[i].line.s, x->edits[i].line.len);
        buf_putc(b, '\n');
    }
}

/* Changes with at most twice the context between them share a hunk. */
static void write_hunks(struct buf *b, const struct script *x)
{
    size_t old_at = 0, new_at = 0, at = 0;

    while (at < x->n) {
        size_t first = at, end, last, from;

        while (first < x->n && x->edits[first].kind == ' ')
            first++;
        if (first == x->n)
            break;
        for (end = last = first; end < x->n && end <= last + BETWEEN; end++)
            last = x->edits[end].kind == ' ' ? last : end;
        from = first > at + CONTEXT ? first - CONTEXT : at;
        end = last + 1 + CONTEXT < x->n ? last + 1 + CONTEXT : x->n;
        old_at += from - at;
        new_at += from - at;
        write_hunk(b, x, from, end, old_at, new_at);
        for (size_t i = from; i < end; i++) {
            old_at += x->edits[i].kind != '+';
            new_at += x->edits[i].kind != '-';
        }
        at = end;
    }
}

void linediff(struct buf *b, const char *name, const char *old, size_t old_size, const char *new,
              size_t new_size)
{
    struct text a = split(old, old_size), c = split(new, new_size), inner_a, inner_c;
    struct script x = {.edits = NULL};
    size_t head = 0, tail = 0;

    while (head < a.n && head < c.n && same(&a.lines[head], &c.lines[head]))
        add(&x, ' ', &a.lines[head++]);
    while (tail < a.n - head && tail < c.n - head &&
           same(&a.lines[a.n - 1 - tail], &c.lines[c.n - 1 - tail]))
        tail++;
    inner_a = (struct text){.lines = a.lines + head, .n = a.n - head - tail};
    inner_c = (struct text){.lines = c.lines + head, .n = c.n - head - tail};
    if (inner_a.n || inner_c.n) {
        compare(&x, &inner_a, &inner_c);
        for (size_t i = a.n - tail; i < a.n; i++)
            add(&x, ' ', &a.lines[i]);
        buf_printf(b, "--- %s\n+++ %s\n", name, name);
        write_hunks(b, &x);
    }
    free(x.edits);
    free(a.lines);
    free(c.lines);
}
