/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - reading fields of JSON objects without a null check at each; jansson itself has
 * json_decrefp() */
#pragma once

#include "base/buf.h"

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"

/* The text of a field; "" when it is absent or no text.  Borrowed. */
static inline const char *json_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

/* The number of a field; 0 when it is absent, negative or no integer. */
static inline uint64_t json_uint(const json_t *object, const char *key)
{
    json_int_t i = json_integer_value(json_object_get(object, key));

    return i > 0 ? (uint64_t)i : 0;
}

/* A text that may not be UTF-8: then "?" stands for it. */
static inline json_t *json_any_text(const char *s)
{
    json_t *j = json_string(s ? s : "");

    return j ? j : json_string("?");
}

/* A report that was written twice: its object (empty, when it is none), with the words as "text".
 */
static inline json_t *json_of_report(const struct buf *object, const struct buf *words)
{
    json_t *j = json_loadb(buf_str(object), object->size, 0, NULL);

    if (!j)
        j = json_object();
    (void)json_object_set_new(j, "text", json_any_text(buf_str(words)));
    return j;
}

/* For json_pack("I"), which takes no other type. */
static inline json_int_t as_json(int64_t n)
{
    return (json_int_t)n;
}
