/* SPDX-License-Identifier: Apache-2.0 */
/* rare_report.h - connections that stand out (core/rare.h), each with its reasons, in lines and as
 * JSON */
#pragma once

#include "base/buf.h"
#include "core/rare.h"

struct rare_told {
    const struct rare_line *lines;
    size_t n;
    const struct rare_totals *totals;
    const char *(*text)(const void *keeper, text_t number);
    const void *keeper;
    uint64_t since_ms, until_ms, oldest_ms; /* 0: the history is empty. */
    size_t max;                             /* Of each kind; more are only counted. */
    unsigned kinds;                         /* That were asked for. */
};

void rare_report_text(struct buf *b, const struct rare_told *t);
void rare_report_json(struct buf *b, const struct rare_told *t);
