/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - the lines of a file, one after the other, without their ends (LF or CR LF) */
#pragma once

#include "text/policy.h"

struct lines {
    const struct source *source;
    size_t at;
    uint32_t number; /* Of the last one given; the first is 1. */
};

/* False: there is no more. */
bool lines_next(struct lines *l, const char **ret_s, size_t *ret_len);
