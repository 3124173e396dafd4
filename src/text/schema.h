/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the field table as others read it: JSON Schema for editors, a reference for people
 *
 * Both follow the table that the decoder follows, so they cannot fall behind the language.  The
 * JSON Schema is draft-07, as the YAML language server wants it: it takes exactly the files that
 * the decoder takes, but for what a schema cannot say; docs/reference.md lists that. */
#pragma once

#include "base/buf.h"
#include "text/decode.h"

/* Appends the JSON Schema of policies or inventories, indented. */
void schema_write_json(struct buf *b, const struct schema *s);

/* Appends the tables of all fields of the schema as Markdown. */
void schema_write_reference(struct buf *b, const struct schema *s);
