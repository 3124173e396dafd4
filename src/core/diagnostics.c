/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded list, and the edit distance behind "nearest"; see diagnostics.h. */
#include "core/diagnostics.h"

#include "base/buf.h"

enum { NAME_MAX_COMPARED = 63 };

static const struct code_info {
    const char *name;
    enum severity severity;
} codes[N_CODES] = {
    [CODE_SYNTAX] = {"E-SYNTAX", SEVERITY_ERROR},
    [CODE_STRICT] = {"E-STRICT", SEVERITY_ERROR},
    [CODE_TEXT] = {"E-TEXT", SEVERITY_ERROR},
    [CODE_LIMIT] = {"E-LIMIT", SEVERITY_ERROR},
    [CODE_DUPKEY] = {"E-DUPKEY", SEVERITY_ERROR},
    [CODE_UNKNOWN] = {"E-UNKNOWN", SEVERITY_ERROR},
    [CODE_TYPE] = {"E-TYPE", SEVERITY_ERROR},
    [CODE_VALUE] = {"E-VALUE", SEVERITY_ERROR},
    [CODE_NAME] = {"E-NAME", SEVERITY_ERROR},
    [CODE_MISSING] = {"E-MISSING", SEVERITY_ERROR},
    [CODE_ADDR] = {"E-ADDR", SEVERITY_ERROR},
    [CODE_RANGE] = {"E-RANGE", SEVERITY_ERROR},
    [CODE_WIDEN] = {"E-WIDEN", SEVERITY_ERROR},
    [CODE_TEST] = {"E-TEST", SEVERITY_ERROR},
    [CODE_PROOF] = {"E-PROOF", SEVERITY_ERROR},
    [CODE_EMPTY] = {"W-EMPTY", SEVERITY_WARNING},
    [CODE_EXPIRED] = {"W-EXPIRED", SEVERITY_WARNING},
    [CODE_CROSS] = {"W-CROSS", SEVERITY_WARNING},
    [CODE_DEAD] = {"W-DEAD", SEVERITY_WARNING},
    [CODE_NEVER_HIDES] = {"W-NEVER-HIDES", SEVERITY_WARNING},
    [CODE_MODE_HOLE] = {"W-MODE-HOLE", SEVERITY_WARNING},
    [CODE_PLAIN_SWITCH] = {"W-PLAIN-SWITCH", SEVERITY_WARNING},
    [CODE_WIDE] = {"W-WIDE", SEVERITY_WARNING},
    [CODE_UNUSED] = {"W-UNUSED", SEVERITY_WARNING},
    [CODE_UNTESTED] = {"W-UNTESTED", SEVERITY_WARNING},
    [CODE_UNFINISHED] = {"N-UNFINISHED", SEVERITY_NOTICE},
    [CODE_NO_ALLOW] = {"N-NO-ALLOW", SEVERITY_NOTICE},
};

const char *code_name(enum code code)
{
    return codes[code].name;
}

enum severity code_severity(enum code code)
{
    return codes[code].severity;
}

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"notice", "warning", "error"};

    return names[severity];
}

struct diagnostics *diagnostics_new(void)
{
    return xcalloc(1, sizeof(struct diagnostics));
}

static void clear(struct diagnostic *x)
{
    free((char *)(uintptr_t)x->place.file);
    free(x->message);
    free(x->expected);
    free(x->nearest);
    free(x->fix);
    *x = (struct diagnostic){.code = x->code};
}

void diagnostics_free(struct diagnostics *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        clear(&d->items[i]);
    if (d->n_dropped) /* The scratch finding stands behind the last one. */
        clear(&d->items[d->n]);
    free(d->items);
    free(d);
}

static void set(char **to, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void set(char **to, const char *format, va_list args)
{
    struct buf b = BUF_INIT;

    free(*to);
    buf_vprintf(&b, format, args);
    *to = buf_take(&b);
}

struct diagnostic *diagnostics_add(struct diagnostics *d, enum code code, const struct place *place,
                                   const char *format, ...)
{
    bool full = d->n == DIAGNOSTICS_MAX;
    struct diagnostic *x;
    va_list args;

    GROW(d->items, d->n, d->room);
    x = &d->items[d->n];
    if (d->n_dropped)
        clear(x);
    *x = (struct diagnostic){.code = code};
    if (full)
        d->n_dropped++;
    else
        d->n++;
    if (place && place->line) {
        x->place = *place;
        x->place.file = xstrdup(place->file ? place->file : "");
    }
    va_start(args, format);
    set(&x->message, format, args);
    va_end(args);
    d->n_of[code]++;
    d->n_errors += code_severity(code) == SEVERITY_ERROR;
    d->n_warnings += code_severity(code) == SEVERITY_WARNING;
    return x;
}

void diagnostic_expected(struct diagnostic *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(&x->expected, format, args);
    va_end(args);
}

void diagnostic_nearest(struct diagnostic *x, const char *name)
{
    free(x->nearest);
    x->nearest = xstrdup(name);
}

void diagnostic_fix(struct diagnostic *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set(&x->fix, format, args);
    va_end(args);
}

static int by_number(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a_, const void *b_)
{
    const struct diagnostic *a = a_, *b = b_;
    int c = (a->place.line == 0) - (b->place.line == 0);

    if (c || a->place.line == 0)
        return c ? c : strcmp(a->message, b->message);
    c = strcmp(a->place.file, b->place.file);
    if (!c)
        c = by_number(a->place.line, b->place.line);
    if (!c)
        c = by_number(a->place.column, b->place.column);
    return c ? c : strcmp(a->message, b->message);
}

void diagnostics_sort(struct diagnostics *d)
{
    if (d->n > 1)
        qsort(d->items, d->n, sizeof *d->items, by_place);
}

/* Levenshtein's distance, with a swap of neighbours as one step ("wbe" is one slip from "web"). */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_MAX_COMPARED + 1], la = strlen(a), lb = strlen(b);
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= lb; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *free_row = before;

        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        before = last;
        last = now;
        now = free_row;
    }
    return last[lb];
}

struct nearest nearest_to(const char *wanted)
{
    return (struct nearest){.wanted = wanted};
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t len = strlen(n->wanted), d;

    if (len > NAME_MAX_COMPARED || strlen(candidate) > NAME_MAX_COMPARED)
        return;
    d = distance(n->wanted, candidate);
    if (d > (len < 4 ? 1 : len / 3) || d >= strlen(candidate))
        return; /* Too far to be a slip. */
    if (!n->best || d < n->distance || (d == n->distance && strcmp(candidate, n->best) < 0)) {
        n->best = candidate;
        n->distance = d;
    }
}
