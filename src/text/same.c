/* SPDX-License-Identifier: Apache-2.0 */
/* The same words in the same fields, whatever their places; see decode.h. */
#include <string.h>

#include "text/decode.h"

static bool same_word(const struct field *f, const struct word *a, const struct word *b)
{
    if (!a->text || !b->text)
        return !a->text && !b->text;
    if (f->keyword && strcmp(a->text, f->keyword) == 0 && a->quoted != b->quoted)
        return false;
    return strcmp(a->text, b->text) == 0;
}

static bool same_words(const struct field *f, const struct words *a, const struct words *b)
{
    if (a->given != b->given || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_word(f, &a->items[i], &b->items[i]))
            return false;
    return true;
}

static bool same_numbers(const struct numbers *a, const struct numbers *b)
{
    if (a->given != b->given || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].value != b->items[i].value)
            return false;
    return true;
}

/* Of lists and maps; a map's structs begin with their key. */
static bool same_objects(const struct field *f, const struct objects *a, const struct objects *b)
{
    if (a->given != b->given || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const char *x = (const char *)a->items + i * f->sub->size;
        const char *y = (const char *)b->items + i * f->sub->size;

        if (f->kind == FIELD_MAP && !same_word(f, (const struct word *)(const void *)x,
                                               (const struct word *)(const void *)y))
            return false;
        if (!decoded_same(f->sub, x, y))
            return false;
    }
    return true;
}

static bool same_field(const struct field *f, const void *a_, const void *b_)
{
    const void *a = (const char *)a_ + f->offset, *b = (const char *)b_ + f->offset;

    switch (f->kind) {
    case FIELD_WORD:
    case FIELD_CHOICE:
        return same_word(f, a, b);
    case FIELD_WORDS:
        return same_words(f, a, b);
    case FIELD_NUMBER:
    case FIELD_BOOL:
        return ((const struct number *)a)->given == ((const struct number *)b)->given &&
               ((const struct number *)a)->value == ((const struct number *)b)->value;
    case FIELD_NUMBERS:
        return same_numbers(a, b);
    case FIELD_OBJECT: {
        const void *x = *(const void *const *)a, *y = *(const void *const *)b;

        return x && y ? decoded_same(f->sub, x, y) : !x && !y;
    }
    case FIELD_OBJECTS:
    case FIELD_MAP:
        return same_objects(f, a, b);
    }
    return false;
}

bool decoded_same(const struct schema *schema, const void *a, const void *b)
{
    if (!schema->n_fields)
        return same_field(schema->brief, a, b);
    for (size_t i = 0; i < schema->n_fields; i++)
        if (!same_field(&schema->fields[i], a, b))
            return false;
    return true;
}
