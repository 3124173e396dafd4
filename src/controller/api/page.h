/* SPDX-License-Identifier: Apache-2.0 */
/* page.h - long lists, piece by piece
 *
 * No answer of a route that knows limit and cursor has more than a page of its list.  A list that
 * is not longer than PAGE_DEFAULT comes whole, as an array; a longer one, and any when limit or
 * cursor is given, as {"items": [...], "next": CURSOR}, "next" being "" behind the last piece.
 * Whoever takes the one for the other meets an error, and no list that lacks its end.  An answer
 * that is an object with "rules" stays one: "rules" is cut, and "next" stands beside it.
 *
 * A cursor is opaque to clients; it holds the key of the last item that was given, and not a
 * position: what is added or removed meanwhile neither repeats nor hides anything else.
 *
 * Keys: "name", "id", "session", "rule" (text) and "number", all of which lists have in rising
 * order; "seq" and "version" in falling order.  Items of the same key stay together. */
#pragma once

#include "controller/api/http.h"

enum { PAGE_MAX = 5000, PAGE_DEFAULT = 1000, PAGE_KEY_SIZE = 160 };

struct page {
    bool is_asked;             /* Limit or cursor was given: pieces, however short the list. */
    size_t limit;              /* 0: no list in pieces. */
    char after[PAGE_KEY_SIZE]; /* Key of the last item given; "": from the beginning. */
};

/* What a request asks for.  False, with a problem: limit or cursor is none. */
bool page_read(const struct http_request *q, struct page *ret_p, struct http_response *a);

/* For handlers of lists that are costly to make, sorted by name: whether the item is needed, with
 * 'n' taken before it. */
bool page_wants(const struct page *p, const char *name, size_t n);
/* The same for lists by "number". */
bool page_wants_number(const struct page *p, uint64_t number, size_t n);

/* Whether a list of 'n' items comes in pieces. */
bool page_is_cut(const struct page *p, size_t n);

/* Cuts the list of a good answer to what was asked for.  Handlers may have left out what is before
 * it, and what is beyond 'limit' + 2 items. */
void page_cut(const struct page *p, struct http_response *a);
