/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history/texts.h"

#include <xxhash.h>

#include "store/history.h"

static const char other[] = "(other)";

struct key {
    const char *text;
    size_t len;
};

void texts_init(struct texts *t)
{
    *t = (struct texts){.arena = arena_new()};
    pile_init(&t->pile, sizeof(const char *));
    texts_add(t, "", 0);
    texts_add(t, other, sizeof(other) - 1);
}

void texts_done(struct texts *t)
{
    pile_done(&t->pile);
    table_done(&t->index);
    arena_free(t->arena);
}

static uint32_t hash_of(const char *text, size_t len)
{
    return (uint32_t)XXH3_64bits(text, len);
}

static bool same(const void *context, uint32_t number, const void *key)
{
    const struct key *k = key;
    const char *text = texts_of(context, number);

    return strncmp(text, k->text, k->len) == 0 && !text[k->len];
}

const char *texts_of(const struct texts *t, text_t number)
{
    if (number >= atomic_load_explicit(&t->n, memory_order_acquire))
        return "";
    return *(const char *const *)pile_at(&t->pile, number);
}

static text_t add(struct texts *t, const char *text)
{
    text_t number = (text_t)t->pile.n;

    *(const char **)pile_add(&t->pile) = text;
    atomic_store_explicit(&t->n, number + 1, memory_order_release);
    return number;
}

void texts_pad(struct texts *t, uint32_t n)
{
    while (t->pile.n < n && t->pile.n < PILE_MAX)
        (void)add(t, "");
}

void texts_add(struct texts *t, const char *text, size_t len)
{
    text_t number = add(t, arena_text(t->arena, text, len));

    t->bytes += len + 1;
    table_add(&t->index, hash_of(text, len), number);
}

/* As much of the text as fits, without cutting a character of UTF-8, up to a NUL. */
static size_t cut(const char *text, size_t len)
{
    len = strnlen(text, len);
    if (len < HISTORY_TEXT_SIZE)
        return len;
    len = HISTORY_TEXT_SIZE - 1;
    while (len > HISTORY_TEXT_SIZE - 4 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static uint32_t find(const struct texts *t, const char *text, size_t len)
{
    struct key key = {text, len};

    return table_find(&t->index, hash_of(text, len), same, t, &key);
}

text_t texts_find(const struct texts *t, const char *text, size_t len)
{
    uint32_t number;

    len = cut(text, len);
    if (!len)
        return 0;
    number = find(t, text, len);
    return number == TABLE_NONE ? 0 : number;
}

text_t texts_number(struct texts *t, const char *text, size_t len)
{
    uint32_t number;

    len = cut(text, len);
    if (!len)
        return 0;
    number = find(t, text, len);
    if (number != TABLE_NONE)
        return number;
    if (t->pile.n >= HISTORY_TEXTS_MAX || t->bytes + len >= TEXTS_BYTES_MAX) {
        t->n_other++;
        return find(t, other, sizeof(other) - 1);
    }
    texts_add(t, text, len);
    return (text_t)t->pile.n - 1;
}
