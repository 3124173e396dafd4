/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h - the body of a request as it goes to the controller: a large one by gzip, since it takes
 * eight megabytes of anybody, and more only packed (docs/api.md) */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

enum { PACK_FROM = 4 << 20 }; /* Bytes of JSON; less goes as it is. */

/* Appends 'json', compact; nothing for NULL. */
void pack_body(const json_t *json, struct buf *to);

bool pack_is_packed(const struct buf *body);
