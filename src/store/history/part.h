/* SPDX-License-Identifier: Apache-2.0 */
/* part.h - a sealed file of records of one day
 *
 * Layout (numbers big-endian; docs/history.md has it byte by byte):
 *
 *     "SMPART1\n"  blocks ...  tables  totals  footer  trailer
 *
 * A block holds up to PART_BLOCK_ROWS rows, which follow in time from block to block and are sorted
 * by edge within it, as columns (planes.h).  The tables (tables.h) are loaded whole when the part
 * is first asked.  Totals sum the rows of each edge over the part, in a fixed width, so that one
 * edge costs one small read.  Everything has a checksum: a block that does not agree is left out
 * and counted; a part whose footer or tables do not agree, whole. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/buf.h"
#include "store/history/planes.h"
#include "store/history/tables.h"

enum {
    PART_BLOCK_ROWS = 65536,
    PART_TABLES_SIZE_MAX = 256 << 20,
    PART_BLOCK_SIZE_MAX = 8 << 20,
    PART_BLOCKS_MAX = 1 << 16,
    PART_TOTALS_PAGE = 256, /* Edges. */
    PART_TOTALS_WIDTHS = 6,
    PART_ROWS_MAX = 1 << 22, /* Of a merged part. */
};

static const uint64_t day_ms = 86400000;

struct part_block {
    uint64_t offset, first_ms, last_ms, checksum;
    uint32_t size, rows;
};

struct part_total { /* Of an edge. */
    uint64_t first_ms, last_ms, records, count, bytes_out, bytes_in;
};

struct part_info {
    uint64_t day; /* Since 1970. */
    uint64_t id;
    uint64_t rows, size, first_ms, last_ms;
    uint32_t n_ends, n_manners, n_edges, n_blocks;
};

struct part {
    _Atomic unsigned refs;
    int fd;
    struct part_info info;
    struct part_block *blocks;
    _Atomic unsigned char *damaged; /* By block, then the tables, then the totals: counted. */
    uint64_t tables_offset, tables_size, tables_checksum;
    uint64_t totals_offset, totals_size;
    uint8_t widths[PART_TOTALS_WIDTHS];
    bool whole_only; /* Damaged or full: not to be merged. */
    uint64_t *of;    /* Numbers of those it was merged from, in this run; else NULL. */
    size_t n_of;
    bool not_rolled; /* Damaged: not for the roll-up, under whose lock this is. */
    struct part_tables *tables;
};

/* Opens a file and checks its footer.  -EUCLEAN: not such a file, or damaged. */
int part_open(int folder, const char *name, struct part **ret_p);
struct part *part_get(struct part *p);
void part_put(struct part *p);
static inline void part_putp(struct part **p)
{
    part_put(*p);
}

struct part_tables {
    _Atomic unsigned refs;
    size_t size; /* Bytes of memory. */
    struct tables tables;
};

/* Reads and checks the tables.  -EUCLEAN, -EIO. */
int part_load_tables(const struct part *p, struct planes *planes, struct part_tables **ret_t);
void part_tables_put(struct part_tables *t);

/* The columns of a block. */
struct part_columns {
    uint64_t *edge, *first_ms, *span_ms, *count, *bytes_out, *bytes_in; /* PART_BLOCK_ROWS each. */
    uint32_t n;
    struct buf bytes;
    struct reader rest; /* Behind the edges. */
};

void part_columns_init(struct part_columns *c);
void part_columns_done(struct part_columns *c);

/* Reads a block and its edges, and then the rest.  -EUCLEAN, -EIO. */
int part_read_edges(const struct part *p, size_t block, struct planes *planes,
                    struct part_columns *c);
int part_read_rest(const struct part *p, size_t block, struct planes *planes,
                   struct part_columns *c);

struct part_totals_page {
    size_t page; /* SIZE_MAX: none read yet. */
    struct buf bytes;
};

/* The sums of one edge; 'page' remembers what was read last. */
int part_total(const struct part *p, uint32_t edge, struct part_totals_page *page,
               struct part_total *ret_total);

/* Writing: tables first, then rows or blocks, then the end. */
struct part_writer;

/* Makes "NAME.new" in the folder.  'tables' are sorted, borrowed until the end. */
int part_writer_new(int folder, const char *name, const struct part_info *info,
                    const struct tables *tables, struct part_writer **ret_w);
void part_writer_free(struct part_writer *w); /* Removes the file, unless it was finished. */
DEFINE_CLEANUP(struct part_writer, part_writer_free)

/* Up to PART_BLOCK_ROWS rows, by edge. */
int part_writer_rows(struct part_writer *w, const struct row *rows, size_t n);

/* A block of another part, whose rows' edges are now 'edges'; 'c' holds it after
 * part_read_edges(). */
int part_writer_block(struct part_writer *w, const struct part_block *block, const uint64_t *edges,
                      const struct part_columns *c);

/* Flushes, renames.  '*ret_info' is what was written. */
int part_writer_finish(struct part_writer *w, const struct part_total *totals,
                       struct part_info *ret_info);
