/* SPDX-License-Identifier: Apache-2.0 */
/* notes.h - what people and drills say about a moment, beside the timeline's events
 *
 *     timeline-note/<number>    {time, revision, actor, comment [, detect_ms] [, contain_ms]}
 *
 * A note changes nothing and makes no revision; 'revision' is the one that was in force.  A drill
 * writes what it measured into its note, so that the console can show a number that somebody has
 * measured, and say who did and when.  At most NOTES_KEPT: the oldest one goes. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/base.h"
#include "store/store.h"

enum { NOTES_KEPT = 1000, NOTE_MEASURED_MAX_MS = 86400000 };

struct note {
    int64_t time_s;
    uint64_t revision;
    const char *actor, *comment;
    int64_t detect_ms;  /* From the first attempt to the first alarm; -1: not measured. */
    int64_t contain_ms; /* From the command to the cut of a living connection; -1: likewise. */
};

/* Writes the note, and an entry of the audit.  Errors as store_commit(). */
int notes_add(struct store *s, const struct note *n);

/* Those of [since_s, until_s] with a revision below 'before', newest first, at most 'max', as an
 * array that the caller owns: {time (seconds), revision, actor, comment, measured: {detect_ms,
 * contain_ms}}.  Errors as store_list(). */
int notes_list(struct store *s, int64_t since_s, int64_t until_s, uint64_t before, size_t max,
               json_t **ret_array);
