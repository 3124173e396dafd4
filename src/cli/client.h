/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - asking the controller: by its unix socket as root, or over HTTPS with a token
 *
 *   (nothing)                                      /run/suimitsu/api.sock, or $SUIMITSU_SOCKET
 *   --socket PATH                                  another unix socket
 *   --controller https://HOST:7442 --token-file FILE --ca FILE
 *                                                  or $SUIMITSU_CONTROLLER, _TOKEN_FILE, _CA
 *
 * A token never stands in the command line, which every user of the machine can read. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/command.h"

/* For the options tables of online commands; keep them first. */
#define CLIENT_OPTIONS                                                                             \
    {"socket", 0, "PATH", "the controller's unix socket (default /run/suimitsu/api.sock)"},        \
        {"controller", 0, "URL", "the controller's API, https://host:7442"},                       \
        {"token-file", 0, "FILE", "file with the API token"},                                      \
    {                                                                                              \
        "ca", 0, "FILE", "certificate of the controller's authority"                               \
    }

/* For questions that can be asked of the past; put it behind CLIENT_OPTIONS. */
#define CLIENT_AT_OPTION                                                                           \
    {                                                                                              \
        "at", 0, "TIME", "as of then: 2026-11-03T14:05 (UTC), or an age like 2h"                   \
    }

struct answer {
    bool is_repeat;      /* Set by who asks: the findings of a good answer were told before. */
    struct meter *meter; /* Set by who can wait for longer (operation_get()): how long it has been
                          * is said there, and what takes too long is answered by 202. */
    int status;          /* Of HTTP. */
    json_t *json;        /* NULL: none. */
    char etag[64];
};
void answer_done(struct answer *a);

/* Asks.  EXIT_OK with any status below 400; else the exit code that fits the problem, which has
 * been told on standard error, findings included.  'body' NULL: none; 'if_match' NULL: none. */
int client_ask(const struct invocation *in, const char *method, const char *path,
               const json_t *body, const char *if_match, struct answer *ret_a);

/* What client_ask() makes of an answer: tells the problem, and gives the exit code. */
int client_judge(const struct answer *a);

/* As client_ask() with GET, for a list: asks for page after page, and gives it whole, as an array,
 * or as "rules" of the object that is answered. */
int client_ask_list(const struct invocation *in, const char *path, struct answer *ret_a);

/* The same, by another who asks for each page. */
typedef int client_get(const struct invocation *in, const char *path, struct answer *ret_a);
int client_ask_list_by(const struct invocation *in, const char *path, client_get *get,
                       struct answer *ret_a);

/* What --scope LABEL=VALUE gives, as "scope" of the body; nothing without it.
 * EXIT_USAGE: complained about. */
int client_add_scope(const struct invocation *in, json_t *body);

/* A field's text, "" when there is none; and its number, else 0. */
const char *text_of(const json_t *object, const char *key);
json_int_t number_of(const json_t *object, const char *key);

/* Appends the query of the options that stand in 'names', as far as they were given. */
void url_add_options(struct buf *url, const struct invocation *in, const char *const names[],
                     size_t n);

/* 'text' percent-encoded into a path or query. */
void url_add(struct buf *url, const char *text);

/* ---- printing ---- */

struct column {
    const char *title;
    const char *key; /* Of the row's object. */
    bool wide_only;
};

/* Foreign text is escaped.  json and yaml print the document as it is. */
void print_table(const struct invocation *in, const json_t *rows, const struct column *columns,
                 size_t n_columns);
/* One object: "key: value" lines. */
void print_object(const struct invocation *in, const json_t *object);
/* True for -o json and -o yaml. */
bool wants_document(const struct invocation *in);

/* Foreign text, line by line, escaped; not more than 'max'.  Returns how many are left. */
size_t print_lines(FILE *f, const char *text, size_t max);

/* An answer that has lines for people as "text": these, or the document without them. */
void print_answer(const struct invocation *in, json_t *answer);

/* As print_document(), for a document that was written as text. */
void print_json_text(const struct invocation *in, const char *text);

/* json or yaml: prints and returns true. */
bool print_document(const struct invocation *in, const json_t *document);
