/* SPDX-License-Identifier: Apache-2.0 */
#include "import/names.h"

#include "base/buf.h"
#include "core/model.h"

enum { FIRST_ROOM = 256, SUFFIX_LEN = 8 };

void names_done(struct names *set)
{
    free(set->slots);
    *set = (struct names){.slots = NULL};
}

/* FNV-1a. */
static size_t hash(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32);
}

static bool put(struct names *set, const char *s)
{
    size_t i = hash(s) & (set->room - 1);

    while (set->slots[i]) {
        if (strcmp(set->slots[i], s) == 0)
            return false;
        i = (i + 1) & (set->room - 1);
    }
    set->slots[i] = s;
    set->n++;
    return true;
}

static void grow(struct names *set)
{
    struct names larger = {.room = set->room ? set->room * 2 : FIRST_ROOM};

    larger.slots = xcalloc(larger.room, sizeof *larger.slots);
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i])
            (void)put(&larger, set->slots[i]); /* They differ. */
    free(set->slots);
    *set = larger;
}

bool names_add(struct names *set, const char *s)
{
    if ((set->n + 1) * 2 > set->room)
        grow(set);
    return put(set, s);
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

const char *names_new(struct names *set, struct arena *a, const char *wanted)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *name;

    for (const char *s = wanted; *s && b.size < MODEL_NAME_LEN - SUFFIX_LEN; s++)
        buf_putc(&b, (char)(is_name_byte(*s) ? *s : '-'));
    if (!b.size || b.data[0] == '-' || b.data[0] == '.' || b.data[0] == '_') {
        CLEANUP(buf_done) struct buf rest = b;

        b = BUF_INIT;
        buf_printf(&b, "x%s", buf_str(&rest));
    }
    name = arena_text(a, buf_str(&b), b.size);
    for (size_t i = 2; !names_add(set, name); i++) {
        struct buf again = BUF_INIT;

        buf_printf(&again, "%s-%zu", buf_str(&b), i);
        name = arena_text(a, buf_str(&again), again.size);
        buf_done(&again);
    }
    return name;
}
