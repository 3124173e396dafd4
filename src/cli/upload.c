/* SPDX-License-Identifier: Apache-2.0 */
/* See upload.h. */
#include "cli/upload.h"

#include "base/base.h"
#include "cli/command.h"
#include "cli/load.h"
#include "sys/tree.h"
#include "text/policy.h"

int upload_files(json_t *list, const char *path)
{
    CLEANUP(tree_done) struct tree tree = TREE_INIT;
    const char *failed = path;
    int r = tree_read(&tree, path, SOURCE_FILES, SOURCE_MAX, &failed);

    if (r < 0)
        return complain_file(failed, r);
    for (size_t i = 0; i < tree.n; i++) {
        const struct buf *data = &tree.files[i].data;
        json_t *text = json_stringn(buf_str(data), data->size), *file;

        if (!text)
            return complain(EXIT_INVALID, "%s: error E-TEXT: not UTF-8", tree.files[i].path);
        file = json_pack("{s:s,s:o}", "name", tree.files[i].path, "text", text);
        if (!file)
            return complain(EXIT_INVALID, "the name of a file is not UTF-8");
        (void)json_array_append_new(list, file);
    }
    return EXIT_OK;
}
