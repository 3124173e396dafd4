/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h - nodes into structs, driven by a table of fields
 *
 * One table says which keys a mapping may have, what type each value has, in which grammar, and
 * where it goes; the decoder, and every document that describes the language, follow it.  A key
 * that is not in the table is E-UNKNOWN with the nearest one that is.  Scalars take their type from
 * the table and from nothing else: `no` is a name where a name belongs, 010 is refused where a
 * number belongs.
 *
 * Decoded text is still words with places; resolving names is its reader's task (text/policy.c). */
#pragma once

#include "base/arena.h"
#include "core/diagnostics.h"
#include "text/node.h"

struct word {
    const char *text; /* NULL: absent. */
    struct place place;
    bool quoted;
};

struct words {
    struct word *items;
    size_t n;
    bool given;
    struct place place;
};

struct number {
    int64_t value;
    bool given;
    struct place place;
};

struct numbers {
    struct number *items;
    size_t n;
    bool given;
    struct place place;
};

struct objects { /* Structs of the field's schema, in a row. */
    void *items;
    size_t n;
    bool given;
    struct place place;
};

enum grammar {
    GRAMMAR_NAME,      /* Letters, digits, . _ -; begins with a letter or digit. */
    GRAMMAR_USER,      /* As a name, also with '@' inside. */
    GRAMMAR_USER_REF,  /* A user, or "@" and a name. */
    GRAMMAR_PORT_NAME, /* A switch's port: letters, digits, / . : -; begins as a name. */
    GRAMMAR_REF,       /* A name that is looked up later; addresses get their own error. */
    GRAMMAR_VALUE,     /* A label's value. */
    GRAMMAR_TEXT,      /* A sentence: printable, one line. */
    GRAMMAR_PATH,      /* An absolute path without "..", "//". */
    GRAMMAR_ANY,       /* Checked by its reader, like all that follow. */
    GRAMMAR_PORT,      /* proto/port, proto/low-high, icmp/type. */
    GRAMMAR_SERVICE,   /* A service's name, or a port. */
    GRAMMAR_DAY,       /* YYYY-MM-DD. */
    GRAMMAR_PREFIX,    /* A network. */
    GRAMMAR_ADDRESS,   /* An address. */
    GRAMMAR_END,       /* An endpoint's name, or an address. */
    GRAMMAR_INTERFACE, /* A network interface of Linux. */
    GRAMMAR_MAC,       /* 02:00:5e:10:00:01 */
};

enum field_kind {
    FIELD_WORD,    /* struct word */
    FIELD_WORDS,   /* struct words: one or a list */
    FIELD_NUMBER,  /* struct number, within low..high */
    FIELD_NUMBERS, /* struct numbers: one or a list */
    FIELD_CHOICE,  /* struct word: one of 'choices' */
    FIELD_BOOL,    /* struct number: true, false, yes, no */
    FIELD_OBJECT,  /* pointer to the sub-schema's struct; NULL: absent */
    FIELD_OBJECTS, /* struct objects: a list of mappings */
    FIELD_MAP,     /* struct objects: a mapping of names; each struct begins with its key, a word */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    enum grammar grammar; /* Of words, and of the keys of FIELD_MAP. */
    bool required;
    bool may_be_empty;           /* A list or mapping without values is fine. */
    int64_t low, high;           /* Of numbers. */
    const char *const *choices;  /* NULL-terminated. */
    const char *const *reserved; /* Words that are no names here; NULL-terminated. */
    const char *keyword;         /* A word that, without quotes, has a meaning of its own. */
    const struct schema *sub;
    const char *expected; /* "a group, a list of groups, or any"; NULL: told by kind and grammar. */
    const char *about;    /* A sentence for the reference and for editors. */
};

struct schema {
    const char *title;   /* "an allow rule" */
    size_t size;         /* Of its struct. */
    size_t place_offset; /* Where its struct place is, never first; 0: it has none. */
    const struct field *fields;
    size_t n_fields;
    const struct field *brief; /* A value that is no mapping is this field; NULL: not allowed. */
    const char *const *one_of; /* Exactly one of these fields; NULL: no such rule. */
    const char *one_of_fix;    /* What to do when it is none or more. */
    bool at_least_one;         /* Not an empty mapping. */
    bool block;                /* `policy fmt` writes one field a line. */
    const char *about;
};

struct decoder {
    struct arena *arena;
    struct diagnostics *d;
    const struct schema *root; /* Where to look for a key that stands in the wrong mapping. */
};

/* Fills 'to' (zeroed, of the schema's size) from 'n'.  Findings go to the decoder's list; what was
 * wrong is left absent. */
void decode(const struct decoder *dec, const struct schema *schema, const struct node *n, void *to);

/* True when 's' is within the grammar; else '*ret_why' says what is wrong. */
bool grammar_accepts(enum grammar grammar, const char *s, const char **ret_why);

/* False, with a finding, when the document begins as one of 'other': its first field is there, and
 * that of 'wanted' is not. */
bool decode_is_of(const struct decoder *dec, const struct node *root, const struct schema *wanted,
                  const struct schema *other);

/* True when two structs that decode() filled say the same, wherever their words stood. */
bool decoded_same(const struct schema *schema, const void *a, const void *b);
