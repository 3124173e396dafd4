/* SPDX-License-Identifier: Apache-2.0 */
/* history_lines.h - records as lines of CSV or JSON, and back
 *
 * CSV is RFC 4180 with a header; the columns' names are JSON's keys.  Times are RFC 3339 with
 * milliseconds, in UTC.  An unknown uid is empty, or null. */
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "store/history.h"

enum lines_format { LINES_CSV, LINES_JSON };

void lines_header(struct buf *out, enum lines_format format); /* Nothing for JSON. */
void lines_put(struct buf *out, enum lines_format format, const struct history *h,
               const struct flow *f);

/* Reads records from a file, one after the other. */
struct lines_reader {
    FILE *file;
    enum lines_format format;
    struct history *h; /* NULL: only to see whether the lines are well. */
    size_t line;
    uint64_t bytes;     /* Read so far. */
    struct buf text;    /* Of the line. */
    struct buf problem; /* What is wrong: "line 3: verdict: \"x\"; expected ...". */
    size_t columns[32]; /* CSV: which field stands where. */
    size_t n_columns;
};

void lines_reader_done(struct lines_reader *r);

/* 1: a record.  0: the end.  -EINVAL: 'problem' says what was found and what was expected.  -EIO.
 */
int lines_read(struct lines_reader *r, struct flow *ret_f);
