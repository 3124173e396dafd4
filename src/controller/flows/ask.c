/* SPDX-License-Identifier: Apache-2.0 */
/* Questions in the numbers of the history, and the jobs that answer them; see flows.h. */
#include "controller/flows/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "controller/json.h"
#include "sys/clock.h"

enum { JOBS_MAX = 48 };

/* ---- what is asked ---- */

static text_t text_asked(const struct flows *f, const char *text, struct asked *a)
{
    text_t n = text ? history_find_text(f->history, text, strlen(text)) : 0;

    a->nothing = a->nothing || (text && text[0] && !n);
    return n;
}

/* An end is a name or an address. */
static text_t end_asked(const struct flows *f, const char *text, struct address *address,
                        bool *ret_is_address, struct asked *a)
{
    if (text && address_parse(text, address) == 0) {
        *ret_is_address = true;
        a->query.address = address;
        return 0;
    }
    return text_asked(f, text, a);
}

/* What the history keeps as the verdict of such a record. */
static int verdict_of(int word)
{
    return word == FLOW_WORD_SEEN        ? VERDICT_ALLOW
           : word == FLOW_WORD_SEEN_DENY ? VERDICT_DENY
                                         : word;
}

void asked_of(const struct flows *f, const struct flows_question *q, struct asked *ret_a)
{
    struct asked *a = ret_a;
    bool either = false;

    *a = (struct asked){.query = HISTORY_QUERY_ALL, .word = q->word, .denied = q->denied};
    a->query.since_ms = q->since_ms;
    a->query.until_ms = q->until_ms;
    a->query.newest_first = true;
    a->query.endpoint = end_asked(f, q->endpoint, &a->either, &either, a);
    a->query.from = end_asked(f, q->from, &a->from, &a->from_address, a);
    a->query.to = end_asked(f, q->to, &a->to, &a->to_address, a);
    a->either_address = either;
    a->query.rule = text_asked(f, q->rule, a);
    a->query.process = text_asked(f, q->process, a);
    a->query.user = text_asked(f, q->user, a);
    a->query.reporter = text_asked(f, q->reporter, a);
    a->query.port = q->port;
    a->query.protocol = q->protocol;
    a->query.verdict = verdict_of(q->word);
}

static bool same(const struct address *a, const struct address *b)
{
    return address_compare(a, b) == 0;
}

bool asked_matches(const struct asked *a, const struct flow *r)
{
    return (!a->denied || r->verdict != VERDICT_ALLOW) &&
           (a->word < 0 || a->word == (int)flow_word_of(r)) &&
           (!a->from_address || same(&r->source, &a->from)) &&
           (!a->to_address || same(&r->destination, &a->to)) &&
           (!a->either_address || same(&r->source, &a->either) ||
            same(&r->destination, &a->either));
}

bool asked_matches_all(const struct asked *a, const struct flow *r)
{
    const struct history_query *q = &a->query;

    return !a->nothing && asked_matches(a, r) && r->last_ms >= q->since_ms &&
           (!q->until_ms || r->first_ms < q->until_ms) && (!q->from || q->from == r->from) &&
           (!q->to || q->to == r->to) &&
           (!q->endpoint || q->endpoint == r->from || q->endpoint == r->to) &&
           (!q->rule || q->rule == r->rule) && (!q->process || q->process == r->process) &&
           (!q->user || q->user == r->user) && (!q->reporter || q->reporter == r->reporter) &&
           (q->port < 0 || q->port == r->port) && (q->protocol < 0 || q->protocol == r->protocol) &&
           (q->verdict < 0 || q->verdict == r->verdict);
}

json_t *flows_tail(struct flows *f, const struct flows_question *q, uint64_t after)
{
    uint64_t oldest = f->last > FLOWS_TAIL ? f->last - FLOWS_TAIL + 1 : 1;
    json_t *list = json_array();
    struct asked a;

    asked_of(f, q, &a);
    for (uint64_t i = after + 1 > oldest ? after + 1 : oldest;
         i <= f->last && json_array_size(list) < q->max; i++)
        if (asked_matches_all(&a, &f->tail[i % FLOWS_TAIL]))
            (void)json_array_append_new(list, flow_json(f, &f->tail[i % FLOWS_TAIL], i));
    return list;
}

/* ---- jobs ---- */

static void job_free(struct flows_job *j)
{
    history_snapshot_free(j->snapshot);
    free(j->rows);
    free(j->ends);
    free(j->sums);
    table_done(&j->index);
    json_decref(j->groups);
    hygiene_free(j->hygiene);
    rare_free(j->rare);
    world_free(j->world);
    flows_evidence_free(j->evidence);
    free(j->rule);
    replay_free(j->replay);
    trial_free(j->trial);
    free(j);
}

static void run(struct worker_task *t)
{
    struct flows_job *j = (struct flows_job *)t;

    if (j->asked.nothing)
        j->result = 0;
    else if (j->kind == FLOWS_LIST)
        j->result = job_list(j);
    else if (j->kind == FLOWS_TRY)
        j->result = job_try(j);
    else if (j->kind == FLOWS_HYGIENE)
        j->result = job_hygiene(j);
    else if (j->kind == FLOWS_RARE)
        j->result = job_rare(j);
    else
        j->result = job_sum(j);
}

static void done(struct worker_task *t)
{
    struct flows_job *j = (struct flows_job *)t;

    j->f->n_jobs--;
    history_snapshot_free(j->snapshot);
    j->snapshot = NULL;
    j->done = true;
    if (j->abandoned)
        job_free(j);
    else
        j->f->options.news(j->f->options.user);
}

static int by_text(const void *a_, const void *b_)
{
    const struct known_end *a = a_, *b = b_;

    return a->text < b->text ? -1 : a->text > b->text;
}

/* The number of a group of endpoints, by its name. */
static uint32_t group_of(struct flows_job *j, json_t *numbers, const char *name)
{
    json_t *known = json_object_get(numbers, name);

    if (known)
        return (uint32_t)json_integer_value(known);
    (void)json_object_set_new(numbers, name, json_integer((json_int_t)json_array_size(j->groups)));
    (void)json_array_append_new(j->groups, json_any_text(name));
    return (uint32_t)json_array_size(j->groups) - 1;
}

static const char *label_of(const struct endpoint *e, const char *key)
{
    for (size_t i = 0; i < e->n_labels; i++)
        if (strcmp(e->labels[i].key, key) == 0)
            return e->labels[i].value;
    return "";
}

/* Which group each endpoint belongs to.  Groups 0 and 1 are the outside, and endpoints without the
 * label. */
static void know_ends(struct flows_job *j, const char *by)
{
    const struct inventory *inventory = desired_current(j->f->options.desired)->inventory;
    CLEANUP(json_decrefp) json_t *numbers = json_object();

    j->groups = json_pack("[s,s]", "(outside)", "(none)");
    j->ends = xcalloc(inventory->n_endpoints, sizeof(*j->ends));
    for (size_t i = 0; i < inventory->n_endpoints; i++) {
        const struct endpoint *e = &inventory->endpoints[i];
        text_t text = history_find_text(j->f->history, e->name, strlen(e->name));
        const char *label = label_of(e, by);

        if (text)
            j->ends[j->n_ends++] = (struct known_end){
                .text = text, .group = label[0] ? group_of(j, numbers, label) : 1};
    }
    qsort(j->ends, j->n_ends, sizeof(*j->ends), by_text);
}

/* The window of the question, as it is now; the rule is a filter of the answer, not of records. */
static void know_rules(struct flows_job *j, const struct flows_question *q)
{
    uint64_t until_ms = q->until_ms ? q->until_ms : clock_unix_ms();

    j->until_ms = until_ms;
    j->evidence = flows_evidence_new(j->f, q->births, q->trial->policy, q->trial->inventory,
                                     q->since_ms, until_ms);
    j->rare_kinds = q->rare_kinds;
    j->rule = q->rule ? xstrdup(q->rule) : NULL;
    j->asked.query.rule = 0;
    j->asked.nothing = false;
}

static int read_cursor(struct flows_job *j, const char *cursor)
{
    char *end = NULL;

    if (!cursor)
        return 0;
    j->cursor.first_ms = strtoull(cursor, &end, 16);
    if (end == cursor || *end != '-')
        return -EINVAL;
    cursor = end + 1;
    j->cursor.tie = strtoull(cursor, &end, 16);
    if (end == cursor || *end)
        return -EINVAL;
    j->has_cursor = true;
    return 0;
}

int flows_ask(struct flows *f, const struct flows_question *q, struct flows_job **ret_j)
{
    struct flows_job *j;
    struct history_state state;
    int r;

    if (f->n_jobs >= JOBS_MAX) {
        trial_free(q->trial);
        return -EBUSY;
    }
    j = xcalloc(1, sizeof(*j));
    j->task.run = run;
    j->task.done = done;
    j->f = f;
    j->kind = q->kind;
    j->trial = q->trial;
    j->max = q->max;
    j->by = q->by != NULL;
    j->by_port = q->by_port;
    j->since_ms = q->since_ms;
    j->until_ms = q->until_ms;
    asked_of(f, q, &j->asked);
    history_state(f->history, &state);
    j->oldest_ms = state.oldest_ms;
    j->newest_ms = state.newest_ms;
    r = read_cursor(j, q->cursor);
    if (r == 0 && q->by)
        know_ends(j, q->by);
    if (r == 0 && (q->kind == FLOWS_HYGIENE || q->kind == FLOWS_RARE))
        know_rules(j, q);
    if (r == 0) {
        j->snapshot = history_snapshot(f->history);
        r = worker_start(q->may_take_long ? f->long_worker : f->worker, &j->task);
    }
    if (r < 0) {
        job_free(j);
        return r;
    }
    f->n_jobs++;
    *ret_j = j;
    return 0;
}

bool flows_job_is_done(const struct flows_job *j)
{
    return j->done;
}

int flows_job_step_aside(struct flows_job *j)
{
    return worker_step_aside(j->f->worker, &j->task, j->f->long_worker);
}

void flows_job_look(const struct flows_job *j, struct progress *ret_p)
{
    ret_p->done = j->progress.rows_read;
    ret_p->total = j->progress.rows_total;
}

int flows_job_answer(struct flows_job *j, json_t **ret_answer)
{
    if (j->result < 0)
        return j->result;
    *ret_answer = j->kind == FLOWS_LIST      ? job_list_json(j)
                  : j->kind == FLOWS_EDGES   ? job_edges_json(j)
                  : j->kind == FLOWS_TRY     ? job_try_json(j)
                  : j->kind == FLOWS_HYGIENE ? job_hygiene_json(j)
                  : j->kind == FLOWS_RARE    ? job_rare_json(j)
                                             : job_rules_json(j);
    (void)json_object_set_new(*ret_answer, "incomplete",
                              flows_gaps(j->f, j->since_ms, j->until_ms));
    return 0;
}

void flows_job_free(struct flows_job *j)
{
    if (!j)
        return;
    j->abandoned = true;
    j->progress.cancel = true;
    if (j->done)
        job_free(j);
}
