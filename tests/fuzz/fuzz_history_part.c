/* SPDX-License-Identifier: Apache-2.0 */
/* A sealed part whose checksums all fit, and whose content is anybody's: whatever is asked of it,
 * the reader stays within it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/history/match.h"
#include "store/history/part.h"
#include "sys/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_blocks(const struct part *p, const struct tables *t, struct planes *planes)
{
    struct part_columns c;
    struct flow f;

    part_columns_init(&c);
    for (size_t i = 0; i < p->info.n_blocks && i < 4; i++) {
        if (part_read_edges(p, i, planes, &c) < 0 || part_read_rest(p, i, planes, &c) < 0)
            continue;
        for (size_t j = 0; j < c.n; j++)
            tables_flow(t, (uint32_t)c.edge[j], &f);
    }
    part_columns_done(&c);
}

static void ask(const struct part *p, const struct tables *t)
{
    struct history_query q = HISTORY_QUERY_ALL;
    struct part_totals_page page = {.page = SIZE_MAX};
    struct part_total total;
    struct match m;

    q.endpoint = t->ends.n ? tables_end(t, (uint32_t)t->ends.n / 2)->text : 1;
    match_init(&m, &q, t, &(struct match_extent){t->ends.n, t->manners.n, t->edges.n});
    for (size_t i = 0; i < m.n && i < 1000; i++)
        (void)part_total(p, m.edges[i], &page, &total);
    match_done(&m);
    buf_done(&page.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(fd_closep) int fd = memfd_create("part", MFD_CLOEXEC);
    CLEANUP(part_putp) struct part *p = NULL;
    CLEANUP(planes_freep) struct planes *planes = planes_new();
    struct part_tables *t = NULL;
    char path[64];

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (part_open(AT_FDCWD, path, &p) < 0)
        return 0;
    if (p->info.n_ends > 100000 || p->info.n_manners > 100000 || p->info.n_edges > 100000)
        return 0; /* Only slow. */
    if (part_load_tables(p, planes, &t) < 0)
        return 0;
    ask(p, &t->tables);
    read_blocks(p, &t->tables, planes);
    part_tables_put(t);
    return 0;
}
