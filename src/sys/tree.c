/* SPDX-License-Identifier: Apache-2.0 */
/* scandir(3) and file_read(); see tree.h. */
#include "sys/tree.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"

void tree_done(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->files[i].path);
        buf_done(&t->files[i].data);
    }
    free(t->files);
    *t = TREE_INIT;
}

static int read_stream(int fd, size_t max, struct buf *to)
{
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (to->size + (size_t)n > max)
            return -EFBIG;
        buf_add(to, chunk, (size_t)n);
    }
    return 0;
}

/* Takes 'path', also when it fails. */
static int add_file(struct tree *t, char *path, size_t max_files, size_t max_size,
                    const char **ret_path)
{
    struct tree_file *f;

    GROW(t->files, t->n, t->room);
    f = &t->files[t->n++];
    *f = (struct tree_file){.path = path};
    *ret_path = f->path;
    if (t->n > max_files)
        return -E2BIG;
    if (strcmp(path, "-") == 0)
        return read_stream(STDIN_FILENO, max_size, &f->data);
    return file_read(path, max_size, &f->data);
}

static int is_policy_file(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');

    return e->d_name[0] != '.' && dot &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct tree *t, const char *path, size_t max_files, size_t max_size,
                      const char **ret_path)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, is_policy_file, by_name), r = 0;
    size_t before = t->n;

    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        struct buf full = BUF_INIT;
        struct stat st;

        buf_printf(&full, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
                   names[i]->d_name);
        free(names[i]);
        if (r < 0 || (stat(buf_str(&full), &st) == 0 && S_ISDIR(st.st_mode)))
            buf_done(&full);
        else
            r = add_file(t, buf_take(&full), max_files, max_size, ret_path);
    }
    free(names);
    if (r == 0 && t->n == before) {
        *ret_path = path;
        return -ENODATA;
    }
    return r;
}

int tree_read(struct tree *t, const char *path, size_t max_files, size_t max_size,
              const char **ret_path)
{
    struct stat st;

    *ret_path = path;
    if (strcmp(path, "-") != 0 && path[0] && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return add_folder(t, path, max_files, max_size, ret_path);
    return add_file(t, xstrdup(path), max_files, max_size, ret_path);
}
