/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h - the one small file that says which files a history is made of
 *
 * Replaced as a whole (sys/sealed.h): parts take the place of a journal, and streams move on, in
 * the same instant.  It begins with the parts, and ends with what the history knew when the journal
 * of its generation began: counters, streams, uses of rules. */
#pragma once

#include "store/history/kind.h"
#include "store/history/part.h"

enum { MANIFEST_SIZE_MAX = 512 << 20, PART_NAME_SIZE = 64 };

struct manifest {
    uint64_t generation; /* Of the first journal that is not in the parts. */
    uint64_t next_id;    /* Of a part. */
    struct part_info *parts;
    size_t n_parts, room;
};

void manifest_done(struct manifest *m);
void manifest_add(struct manifest *m, const struct part_info *info);

/* "2026-11-22-000000000000002a.part".  Returns 'name'. */
const char *part_name(const struct part_info *info, char name[PART_NAME_SIZE]);

/* What the history knows, for manifest_write(). */
void manifest_put_tail(const struct history *h, struct buf *tail);

/* Errors as sealed_write(). */
int manifest_write(const char *path, const struct manifest *m, const struct buf *tail);

/* Fills both.  -ENOENT.  -EBADMSG: damaged. */
int manifest_read(const char *path, struct manifest *m, struct history *h);
