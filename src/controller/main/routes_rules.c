/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the policy in force, each with its sentence. */
#include "base/date.h"
#include "controller/api/page.h"
#include "controller/json.h"
#include "controller/main/view.h"
#include "text/sentence.h"

/* The groups of one end; none: anybody. */
static json_t *groups_json(const struct policy *p, const struct selector *s)
{
    json_t *names = json_array();

    for (size_t i = 0; s->given && !s->any && i < s->n_groups; i++)
        (void)json_array_append_new(names, json_any_text(p->groups[s->groups[i]].name));
    return names;
}

/* 'number': its place among the rules, from 1 on. */
static json_t *rule_json(const struct policy *p, const struct rule *r, size_t number,
                         enum language language)
{
    CLEANUP(buf_done) struct buf sentence = BUF_INIT;
    char expires[DATE_TEXT_SIZE] = "";

    if (language == LANGUAGE_JA)
        sentence_of_rule_ja(&sentence, p, r);
    else
        sentence_of_rule(&sentence, p, r);
    if (r->expires_s != MODEL_NEVER_EXPIRES) /* The last day, as the policy says it. */
        (void)date_format(r->expires_s - DATE_DAY_S, expires);
    return json_pack("{s:I,s:s,s:s,s:o,s:o,s:o,s:s,s:o,s:I,s:b,s:o,s:o}", "number",
                     (json_int_t)number, "layer", layer_name(r->layer), "id", r->id, "sentence",
                     json_any_text(buf_str(&sentence)), "why", json_any_text(r->why ? r->why : ""),
                     "owner", json_any_text(r->owner ? r->owner : ""), "expires", expires, "file",
                     json_any_text(r->place.file ? r->place.file : ""), "line",
                     (json_int_t)r->place.line, "learned", r->learned != NULL, "from",
                     groups_json(p, &r->match.from), "to", groups_json(p, &r->match.to));
}

void get_rules(void *user, const struct http_request *q, struct http_response *a)
{
    const struct policy *p;
    const char *asked = http_query(q, "language");
    enum language language = LANGUAGE_EN;
    struct page page;
    struct view v;
    json_t *list;

    if (asked && language_parse(asked, &language) < 0) {
        http_problem(a, 400, "language: expected en or ja");
        return;
    }
    if (!page_read(q, &page, a) || !view_open(user, q, a, &v))
        return;
    p = v.world->policy;
    list = json_array();
    for (size_t i = 0; i < p->n_rules; i++)
        if (page_wants_number(&page, i + 1, json_array_size(list)))
            (void)json_array_append_new(list, rule_json(p, &p->rules[i], i + 1, language));
    http_ok(a, list);
}
