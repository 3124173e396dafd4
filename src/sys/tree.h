/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - a file, or the files of a folder, read with limits
 *
 * A folder stands for its .yaml, .yml and .json files, in the order of their names, without those
 * that begin with a dot and without folders inside.  "-" is standard input. */
#pragma once

#include <stddef.h>

#include "base/base.h"
#include "base/buf.h"

struct tree_file {
    char *path;
    struct buf data;
};

struct tree {
    struct tree_file *files;
    size_t n, room;
};

#define TREE_INIT ((struct tree){.files = NULL})
void tree_done(struct tree *t);

/* Adds what 'path' stands for; at most 'max_files' in all, each of at most 'max_size' bytes.
 * -EFBIG: a file is larger.  -E2BIG: too many files.  -ENODATA: a folder without such a file.
 * Others as open(2), read(2), opendir(3).  '*ret_path' is the path at fault, borrowed from 't' or
 * from the caller. */
int tree_read(struct tree *t, const char *path, size_t max_files, size_t max_size,
              const char **ret_path);
