/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/api/webfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/gzip.h"

enum { ETAG_BYTES = 16, HASH_LEN = 8 };

struct webfiles {
    struct webfile **files; /* Sorted by name. */
    size_t n, room, size;
};

/* No script, style or font of anybody else, none inline, and no frame around us. */
static const char csp[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".map", "application/json"},
    };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* "...-3XZ5QK7A.js": eight capitals and digits between the last '-' and the first dot behind it. */
static bool has_hash(const char *name)
{
    const char *dash = strrchr(name, '-');
    size_t len = dash ? strspn(dash + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") : 0;

    return len == HASH_LEN && dash[1 + len] == '.';
}

static void make_etag(const struct buf *b, const char *suffix, char etag[HTTP_ETAG_SIZE])
{
    unsigned char sha[EVP_MAX_MD_SIZE];
    size_t at = 1;

    if (EVP_Digest(buf_str(b), b->size, sha, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* Out of memory. */
    etag[0] = '"';
    for (size_t i = 0; i < ETAG_BYTES; i++, at += 2)
        (void)snprintf(etag + at, 3, "%02x", sha[i]);
    (void)snprintf(etag + at, HTTP_ETAG_SIZE - at, "%s\"", suffix);
}

static void compress_file(struct webfile *f)
{
    gzip_pack(f->plain.data, f->plain.size, GZIP_SMALL, &f->gzip);
    if (f->gzip.size >= f->plain.size)
        buf_reset(&f->gzip);
}

static void free_file(struct webfile *f)
{
    buf_done(&f->plain);
    buf_done(&f->gzip);
    free(f);
}

static int add_file(struct webfiles *w, const char *path, const char *name)
{
    struct webfile *f = xcalloc(1, sizeof(*f));
    int r = w->n == WEBFILES_MAX ? -E2BIG : file_read(path, WEBFILES_MAX_SIZE - w->size, &f->plain);

    if (r < 0) {
        free_file(f);
        return r == -EFBIG ? -E2BIG : r;
    }
    w->size += f->plain.size;
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
    f->type = type_of(name);
    f->is_immutable = has_hash(name);
    if (f->plain.size)
        compress_file(f);
    make_etag(&f->plain, "", f->etag);
    make_etag(&f->plain, "-gz", f->gzip_etag);
    GROW(w->files, w->n, w->room);
    w->files[w->n++] = f;
    return 0;
}

static int add_folder(struct webfiles *w, const char *path, const char *prefix, unsigned depth,
                      struct buf *what);

static int add_entry(struct webfiles *w, const char *folder, const char *prefix, const char *entry,
                     unsigned depth, struct buf *what)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT;
    CLEANUP(buf_done) struct buf name = BUF_INIT;
    struct stat st;
    int r = 0;

    buf_printf(&path, "%s/%s", folder, entry);
    buf_printf(&name, "%s%s", prefix, entry);
    if (entry[0] == '.' || lstat(buf_str(&path), &st) < 0 || S_ISLNK(st.st_mode))
        return 0;
    if (S_ISREG(st.st_mode))
        r = name.size < WEBFILES_NAME_SIZE ? add_file(w, buf_str(&path), buf_str(&name)) : -E2BIG;
    if (r < 0) {
        buf_reset(what);
        buf_puts(what, buf_str(&path));
    }
    if (r == 0 && S_ISDIR(st.st_mode)) {
        buf_putc(&name, '/');
        r = add_folder(w, buf_str(&path), buf_str(&name), depth + 1, what);
    }
    return r;
}

static int add_folder(struct webfiles *w, const char *path, const char *prefix, unsigned depth,
                      struct buf *what)
{
    struct dirent *entry;
    DIR *folder;
    int r = 0;

    buf_reset(what);
    buf_puts(what, path);
    if (depth > WEBFILES_MAX_DEPTH)
        return -E2BIG;
    folder = opendir(path);
    if (!folder)
        return -errno;
    while (r == 0 && (entry = readdir(folder)) != NULL)
        r = add_entry(w, path, prefix, entry->d_name, depth, what);
    (void)closedir(folder);
    return r;
}

static int by_name(const void *a, const void *b)
{
    const struct webfile *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

int webfiles_load(const char *folder, struct webfiles **ret_w, struct buf *what)
{
    CLEANUP(webfiles_freep) struct webfiles *w = xcalloc(1, sizeof(*w));
    int r = add_folder(w, folder, "", 0, what);

    if (r < 0)
        return r;
    if (w->n)
        qsort(w->files, w->n, sizeof(struct webfile *), by_name);
    *ret_w = TAKE_PTR(w);
    return 0;
}

void webfiles_free(struct webfiles *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        free_file(w->files[i]);
    free(w->files);
    free(w);
}

size_t webfiles_size(const struct webfiles *w)
{
    return w->n;
}

const struct webfile *webfiles_find(const struct webfiles *w, const char *name)
{
    size_t low = 0, high = w ? w->n : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, w->files[middle]->name);

        if (order == 0)
            return w->files[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* "gzip", and not "gzip;q=0", in a list. */
static bool takes_gzip(const char *accepted)
{
    const char *at = accepted ? strstr(accepted, "gzip") : NULL;
    size_t len = at ? strcspn(at, ",") : 0;
    const char *q = at ? strstr(at, "q=0") : NULL;

    return at && !(q && q < at + len && strspn(q + 3, ".0 ") >= (size_t)(at + len - q) - 3);
}

void webfile_answer(const struct webfile *f, const struct http_request *q, struct http_response *a)
{
    bool gzip = f->gzip.size && takes_gzip(q->accept_encoding);
    const struct buf *content = gzip ? &f->gzip : &f->plain;

    (void)snprintf(a->etag, sizeof(a->etag), "%s", gzip ? f->gzip_etag : f->etag);
    a->csp = csp;
    http_header(a, "Cache-Control",
                f->is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
    http_header(a, "Vary", "Accept-Encoding");
    if (q->if_none_match && strstr(q->if_none_match, a->etag)) {
        a->status = 304;
        return;
    }
    a->status = 200;
    a->type = f->type;
    a->bytes = buf_str(content);
    a->bytes_size = content->size;
    if (gzip)
        http_header(a, "Content-Encoding", "gzip");
}
