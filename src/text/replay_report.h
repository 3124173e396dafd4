/* SPDX-License-Identifier: Apache-2.0 */
/* replay_report.h - what a candidate would have changed (core/replay.h), in lines and as JSON
 *
 * Whose change it is: of what would be blocked, the owner of the rule that allowed it; of what
 * would be opened, the owner of the rule that would. */
#pragma once

#include "base/buf.h"
#include "core/replay.h"

struct replay_told {
    const struct replay *replay;
    const struct policy *current, *candidate; /* For owners. */
    const char *(*text)(const void *keeper, text_t number);
    const void *keeper;
    int64_t since_s, until_s; /* The window, Unix time. */
    size_t max;               /* Changes that are shown; more are only counted. */
};

void replay_report_text(struct buf *b, const struct replay_told *t);
void replay_report_json(struct buf *b, const struct replay_told *t);
