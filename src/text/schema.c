/* SPDX-License-Identifier: Apache-2.0 */
/* Two walks along the table of fields; see schema.h. */
#include "text/schema.h"

#include <jansson.h>
#include <stdio.h>

#include "text/pattern.h"

enum { MAX_SCHEMAS = 40 };

/* ---- JSON Schema ---- */

static json_t *json_of_schema(const struct schema *s);

static void set_text(json_t *to, const char *key, const char *s)
{
    if (s)
        (void)json_object_set_new(to, key, json_string(s)); /* Fails only without memory. */
}

static void set(json_t *to, const char *key, json_t *value)
{
    (void)json_object_set_new(to, key, value); /* As above. */
}

static json_t *json_list(const char *const *words)
{
    json_t *list = json_array();

    for (size_t i = 0; words[i]; i++)
        (void)json_array_append_new(list, json_string(words[i]));
    return list;
}

static json_t *json_any_of(json_t *a, json_t *b)
{
    json_t *both = json_array();

    (void)json_array_append_new(both, a);
    (void)json_array_append_new(both, b);
    return json_pack("{s:o}", "anyOf", both);
}

/* Another reader of YAML makes numbers and truth values of plain words; the decoder takes them as
 * they are written. */
static json_t *json_of_word(const struct field *f)
{
    struct pattern p = pattern_of(f->grammar);
    json_t *to = json_object(), *refused = json_array();

    if (f->choices) {
        set(to, "enum", json_list(f->choices));
        json_decref(refused);
        return to;
    }
    if (p.text_only)
        set_text(to, "type", "string");
    else
        set(to, "type", json_pack("[s,s,s]", "string", "number", "boolean"));
    set_text(to, "pattern", p.regex);
    if (p.max_len)
        set(to, "maxLength", json_integer(p.max_len));
    if (!p.text_only) /* A name does not begin with a minus; a text or value may. */
        if (f->grammar != GRAMMAR_TEXT && f->grammar != GRAMMAR_VALUE)
            set(to, "minimum", json_integer(0));
    if (f->reserved)
        (void)json_array_append_new(refused, json_pack("{s:o}", "enum", json_list(f->reserved)));
    if (p.refused)
        (void)json_array_append_new(refused,
                                    json_pack("{s:s,s:s}", "type", "string", "pattern", p.refused));
    if (json_array_size(refused))
        set(to, "not", json_pack("{s:o}", "anyOf", refused));
    else
        json_decref(refused);
    return to;
}

static json_t *json_of_number(const struct field *f)
{
    return json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum", (json_int_t)f->low, "maximum",
                     (json_int_t)f->high);
}

/* One value, or a list of them. */
static json_t *json_one_or_list(const struct field *f, json_t *one)
{
    json_t *list = json_pack("{s:s,s:O}", "type", "array", "items", one);

    if (!f->may_be_empty)
        set(list, "minItems", json_integer(1));
    return json_any_of(one, list);
}

static json_t *json_of_map(const struct field *f)
{
    const struct field key = {.grammar = f->grammar, .reserved = f->reserved};
    json_t *to = json_object();

    if (f->may_be_empty)
        set(to, "type", json_pack("[s,s]", "object", "null"));
    else
        set_text(to, "type", "object");
    if (!f->may_be_empty)
        set(to, "minProperties", json_integer(1));
    set(to, "propertyNames", json_of_word(&key));
    set(to, "additionalProperties", json_of_schema(f->sub));
    return to;
}

static json_t *json_of_field(const struct field *f)
{
    json_t *to = NULL;

    switch (f->kind) {
    case FIELD_WORD:
    case FIELD_CHOICE:
        to = json_of_word(f);
        break;
    case FIELD_WORDS:
        to = json_one_or_list(f, json_of_word(f));
        if (f->keyword) /* Only `true` so far. */
            to = json_any_of(json_pack("{s:b}", "const", true), to);
        break;
    case FIELD_NUMBER:
        to = json_of_number(f);
        break;
    case FIELD_NUMBERS:
        to = json_one_or_list(f, json_of_number(f));
        break;
    case FIELD_BOOL:
        to = json_pack("{s:[b,b,s,s]}", "enum", true, false, "yes", "no");
        break;
    case FIELD_OBJECT:
        to = json_of_schema(f->sub);
        break;
    case FIELD_OBJECTS:
        to = json_pack("{s:[s,s],s:o}", "type", "array", "null", "items", json_of_schema(f->sub));
        break;
    case FIELD_MAP:
        to = json_of_map(f);
        break;
    }
    set_text(to, "description", f->about ? f->about : f->expected);
    return to;
}

static json_t *json_one_of(const char *const *fields)
{
    json_t *ways = json_array();

    for (size_t i = 0; fields[i]; i++)
        (void)json_array_append_new(ways, json_pack("{s:[s]}", "required", fields[i]));
    return ways;
}

static json_t *json_of_mapping(const struct schema *s)
{
    json_t *to = json_pack("{s:s}", "type", "object"), *fields = json_object();
    json_t *required = json_array();

    set_text(to, "description", s->about);
    for (size_t i = 0; i < s->n_fields; i++) {
        set(fields, s->fields[i].name, json_of_field(&s->fields[i]));
        if (s->fields[i].required)
            (void)json_array_append_new(required, json_string(s->fields[i].name));
    }
    set(to, "properties", fields);
    if (json_array_size(required))
        set(to, "required", required);
    else
        json_decref(required);
    if (s->one_of)
        set(to, "oneOf", json_one_of(s->one_of));
    if (s->at_least_one)
        set(to, "minProperties", json_integer(1));
    set(to, "additionalProperties", json_false());
    return to;
}

static json_t *json_of_schema(const struct schema *s)
{
    if (!s->n_fields)
        return json_of_field(s->brief);
    if (!s->brief)
        return json_of_mapping(s);
    return json_any_of(json_of_mapping(s), json_of_field(s->brief));
}

void schema_write_json(struct buf *b, const struct schema *s)
{
    json_t *head = json_pack("{s:s,s:s}", "$schema", "http://json-schema.org/draft-07/schema#",
                             "title", s->title);
    json_t *body = json_of_schema(s);
    char *text;

    if (json_object_update(head, body) < 0)
        abort();
    text = json_dumps(head, JSON_INDENT(1));
    if (!text)
        abort();
    buf_puts(b, text);
    buf_putc(b, '\n');
    free(text);
    json_decref(body);
    json_decref(head);
}

/* ---- the reference ---- */

struct queue { /* Schemas whose tables are still to be written, each once. */
    const struct schema *items[MAX_SCHEMAS];
    size_t n;
};

static void enqueue(struct queue *q, const struct schema *s)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->items[i] == s)
            return;
    if (s->n_fields && q->n < MAX_SCHEMAS)
        q->items[q->n++] = s;
}

static void put_choices(struct buf *b, const char *const *choices, const char *last)
{
    for (size_t i = 0; choices[i]; i++)
        buf_printf(b, "%s`%s`", !i ? "" : choices[i + 1] ? ", " : last, choices[i]);
}

/* "a [group](#a-group)" */
static void put_link(struct buf *b, const struct schema *s)
{
    buf_printf(b, "[%s](#", s->title);
    for (const char *p = s->title; *p; p++)
        buf_puts(b, *p == ' ' ? "-" : (char[]){*p, 0});
    buf_putc(b, ')');
}

static void put_value(struct buf *b, const struct field *f)
{
    switch (f->kind) {
    case FIELD_NUMBER:
    case FIELD_NUMBERS:
        if (f->high == INT64_MAX)
            buf_puts(b, "a number");
        else if (f->low == f->high)
            buf_printf(b, "%lld", (long long)f->low);
        else
            buf_printf(b, "%lld to %lld%s", (long long)f->low, (long long)f->high,
                       f->kind == FIELD_NUMBERS ? ", or a list" : "");
        return;
    case FIELD_CHOICE:
        put_choices(b, f->choices, " or ");
        return;
    case FIELD_BOOL:
        buf_puts(b, "`true`, `false`, `yes` or `no`");
        return;
    case FIELD_OBJECTS:
        buf_puts(b, "a list: ");
        put_link(b, f->sub);
        return;
    case FIELD_MAP:
        buf_puts(b, "a mapping of names: ");
        if (f->sub->n_fields)
            put_link(b, f->sub);
        else
            put_value(b, f->sub->brief);
        return;
    case FIELD_OBJECT:
        put_link(b, f->sub);
        if (f->sub->brief)
            buf_puts(b, ", or a path alone");
        return;
    case FIELD_WORD:
    case FIELD_WORDS:
        break;
    }
    buf_puts(b, f->expected ? f->expected : f->grammar == GRAMMAR_NAME ? "a name" : "a text");
}

static void put_table(struct buf *b, const struct schema *s)
{
    buf_printf(b, "\n## %s\n\n%s%s", s->title, s->about ? s->about : "", s->about ? "\n\n" : "");
    if (s->one_of) {
        buf_puts(b, "Exactly one of ");
        put_choices(b, s->one_of, " and ");
        buf_puts(b, ".\n\n");
    }
    if (s->at_least_one)
        buf_puts(b, "At least one field.\n\n");
    if (s->brief) {
        buf_printf(b, "A value alone stands for `%s`.\n\n", s->brief->name);
    }
    buf_puts(b, "| field | value | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < s->n_fields; i++) {
        const struct field *f = &s->fields[i];

        buf_printf(b, "| `%s`%s | ", f->name, f->required ? " (required)" : "");
        put_value(b, f);
        buf_printf(b, " | %s |\n", f->about ? f->about : "");
    }
}

void schema_write_reference(struct buf *b, const struct schema *s)
{
    struct queue q = {.n = 0};

    enqueue(&q, s);
    for (size_t i = 0; i < q.n; i++) {
        put_table(b, q.items[i]);
        for (size_t k = 0; k < q.items[i]->n_fields; k++)
            if (q.items[i]->fields[k].sub)
                enqueue(&q, q.items[i]->fields[k].sub);
    }
}
