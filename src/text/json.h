/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - texts as JSON strings, for output that is built line by line */
#pragma once

#include "base/buf.h"

/* Adds 's' in quotes; bytes that are not UTF-8 become U+FFFD. */
void json_quote(struct buf *b, const char *s);

/* "key": "s", or "key": null. */
void json_text(struct buf *b, const char *key, const char *s);
