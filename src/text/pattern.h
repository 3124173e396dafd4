/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h - the grammars of words as regular expressions, for JSON Schema
 *
 * In the common part of ECMA 262 (with the u flag) and Python.  Each matches the whole text; $
 * alone would let a line's end stand behind it. */
#pragma once

#include "text/decode.h"

struct pattern {
    const char *regex;   /* NULL: any text. */
    const char *refused; /* What must not match; NULL: nothing. */
    unsigned max_len;    /* 0: no limit. */
    bool text_only;      /* No number or truth value is one. */
};

struct pattern pattern_of(enum grammar grammar);
