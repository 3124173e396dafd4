/* SPDX-License-Identifier: Apache-2.0 */
/* operation.h - a long question to the controller, asked as an operation (docs/api.md): it says how
 * far it is while it waits, and Ctrl-C ends it there, not only here
 *
 * What takes long in any case is asked so from the beginning: operation_ask().  What mostly takes
 * milliseconds is asked as a request, which waits for no long question and is none of the few that
 * one asker may have; when that was too short, the controller makes an operation of what it has
 * begun: operation_get(). */
#pragma once

#include "cli/client.h"

/* As client_ask(): a GET of 'path' and query, or for 'body' a POST whose route takes "operation".
 * EXIT_UNREACHABLE: also when it failed, or was ended. */
int operation_ask(const struct invocation *in, const char *path, const json_t *body,
                  struct answer *ret_a);

/* As client_ask() with GET, and as operation_ask() when that takes too long. */
int operation_get(const struct invocation *in, const char *path, struct answer *ret_a);

/* Asks about one that has begun: 'part' is "" or, with POST, "/cancel".  As client_ask(). */
int operation_about(const struct invocation *in, const char *method, const char *id,
                    const char *part, struct answer *ret_a);
