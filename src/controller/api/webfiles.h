/* SPDX-License-Identifier: Apache-2.0 */
/* webfiles.h - the web console's files, read once and kept in memory
 *
 * The daemon reads a folder when it starts, and answers from memory by exact name: no request ever
 * becomes a path of the machine's, and a file that changes meanwhile is not half old, half new.
 * Each file has a strong ETag, the SHA-256 of its content, and is compressed once, when that makes
 * it smaller.  Names with a hash in them, "app-3XZ5QK7A.js" as esbuild writes them, never change
 * their content and may be kept by browsers for ever; all others are asked for again each time.
 *
 * Hidden files and symbolic links are left out.  Errors name the file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "base/buf.h"
#include "controller/api/http.h"

enum {
    WEBFILES_MAX = 1000,
    WEBFILES_MAX_SIZE = 32 << 20, /* All together. */
    WEBFILES_MAX_DEPTH = 8,
    WEBFILES_NAME_SIZE = HTTP_PARAM_SIZE,
};

struct webfile {
    char name[WEBFILES_NAME_SIZE]; /* "assets/app-3XZ5QK7A.js" */
    const char *type;
    struct buf plain, gzip; /* 'gzip' empty: would not be smaller. */
    char etag[HTTP_ETAG_SIZE], gzip_etag[HTTP_ETAG_SIZE];
    bool is_immutable;
};

struct webfiles;

/* -ENOENT: no such folder.  -E2BIG: over a limit.  Else as open(2).  'what' gets the name. */
int webfiles_load(const char *folder, struct webfiles **ret_w, struct buf *what);
void webfiles_free(struct webfiles *w);
DEFINE_CLEANUP(struct webfiles, webfiles_free)

size_t webfiles_size(const struct webfiles *w);
const struct webfile *webfiles_find(const struct webfiles *w, const char *name); /* NULL: none. */

/* Answers with a file: 200, or 304 when the asker has it. */
void webfile_answer(const struct webfile *f, const struct http_request *q, struct http_response *a);
