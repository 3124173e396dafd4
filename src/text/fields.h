/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - how the tables of language.h write a field: kind, key, where it goes, its grammar
 *
 * For text/language*.c only.  'type' and 'member' are the struct that the schema fills. */
#pragma once

#include "text/decode.h"

#define AT(type, member) .offset = offsetof(struct type, member)
#define FIELDS(table) .fields = (table), .n_fields = ARRAY_SIZE(table)
#define SCHEMA(type, table)                                                                        \
    .size = sizeof(struct type), .place_offset = offsetof(struct type, place), FIELDS(table)

#define WORD(key, type, member, grammar_)                                                          \
    .name = (key), .kind = FIELD_WORD, AT(type, member), .grammar = (grammar_)
#define WORDS(key, type, member, grammar_)                                                         \
    .name = (key), .kind = FIELD_WORDS, AT(type, member), .grammar = (grammar_)
#define NUMBER(key, type, member, low_, high_)                                                     \
    .name = (key), .kind = FIELD_NUMBER, AT(type, member), .low = (low_), .high = (high_)
#define NUMBERS(key, type, member, low_, high_)                                                    \
    .name = (key), .kind = FIELD_NUMBERS, AT(type, member), .low = (low_), .high = (high_)
#define CHOICE(key, type, member, choices_)                                                        \
    .name = (key), .kind = FIELD_CHOICE, AT(type, member), .choices = (choices_)
#define BOOL(key, type, member) .name = (key), .kind = FIELD_BOOL, AT(type, member)
#define OBJECT(key, type, member, sub_)                                                            \
    .name = (key), .kind = FIELD_OBJECT, AT(type, member), .sub = (sub_)
#define OBJECTS(key, type, member, sub_)                                                           \
    .name = (key), .kind = FIELD_OBJECTS, AT(type, member), .sub = (sub_)
#define MAP(key, type, member, grammar_, sub_)                                                     \
    .name = (key), .kind = FIELD_MAP, AT(type, member), .grammar = (grammar_), .sub = (sub_)
