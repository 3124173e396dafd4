/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - one question while it is answered; inside flows only
 *
 * The thread reads what flows_ask() filled, and fills the results; it looks at nothing else of the
 * daemon but texts of the history. */
#pragma once

#include "base/table.h"
#include "controller/flows/internal.h"
#include "core/hygiene.h"
#include "core/rare.h"
#include "core/replay.h"

struct known_end {
    text_t text;
    uint32_t group;
};

struct list_key { /* The order of a list: newest first. */
    uint64_t first_ms, tie;
};

struct sum_key {                        /* Compared as bytes. */
    struct address source, destination; /* Of those without a name; else zeroes. */
    text_t from, to;                    /* Or groups. */
    text_t process, user, rule;
    uint16_t port;
    uint8_t protocol, word, layer, direction;
    uint8_t origin; /* Of others; 0 of enforcers. */
    uint8_t pad;
};
_Static_assert(sizeof(struct sum_key) == 60, "no hidden padding");

struct sum {
    struct sum_key key;
    uint64_t first_ms, last_ms, bytes_out, bytes_in;
    uint64_t counts[FLOW_WORDS];
    uint64_t n; /* Edges in it, when they are grouped. */
};

struct flows_job {
    struct worker_task task; /* First: one is the other. */
    struct flows *f;
    bool done, abandoned;

    enum flows_kind kind;
    size_t max;
    bool by, by_port, has_cursor;
    uint64_t since_ms, until_ms, oldest_ms, newest_ms;
    struct asked asked;
    struct list_key cursor;
    struct history_snapshot *snapshot;
    struct known_end *ends; /* By text. */
    size_t n_ends;
    json_t *groups; /* Names by number; the loop's. */

    struct history_progress progress;
    int result;
    struct flow *rows;
    size_t n_rows, rows_room;
    uint64_t window_from, window_to; /* Of first_ms, while a list is made. */
    bool more;
    struct sum *sums;
    size_t n_sums, sums_room;
    struct table index;
    struct flows_trial *trial;
    struct replay *replay;
    struct flows_evidence *evidence;
    struct world *world; /* Of 'trial'. */
    struct hygiene *hygiene;
    struct rare *rare;
    const struct rare_line *rare_lines; /* In 'rare'. */
    size_t n_rare;
    unsigned rare_kinds;
    bool in_window;
    char *rule; /* The only one that is told; NULL: all. */
};

/* In the thread.  Errors as history_scan(). */
int job_list(struct flows_job *j);
int job_sum(struct flows_job *j);
int job_try(struct flows_job *j);
int job_hygiene(struct flows_job *j);
int job_rare(struct flows_job *j);

/* On the loop, when it is done. */
json_t *job_list_json(struct flows_job *j);
json_t *job_edges_json(struct flows_job *j);
json_t *job_rules_json(struct flows_job *j);
json_t *job_try_json(struct flows_job *j);
json_t *job_hygiene_json(struct flows_job *j);
json_t *job_rare_json(struct flows_job *j);
