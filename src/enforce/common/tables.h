/* SPDX-License-Identifier: Apache-2.0 */
/* tables.h - from the tables of a verdict program to frozen kernel maps, for every enforcer
 *
 * A table's rows are written side by side, as the batch call wants them; table_make() makes a map
 * of them that no system call can change any more, root's neither.  The caller puts it into an
 * outer map. */
#pragma once

#include <string.h>

#include "base/base.h"
#include "bpf/abi.h"
#include "core/program.h"

enum table {
    TABLE_ADDRESSES,
    TABLE_PREFIXES,
    TABLE_SERVICES,
    TABLE_ENTRIES,
    TABLE_PROCESSES, /* These two are the host enforcer's. */
    TABLE_USERS,
    TABLES,
};

struct table_types { /* BTF numbers; Linux 6.1 wants them on inner maps too. */
    uint32_t key, value;
};

struct rows {
    char *keys, *values;
    size_t n;
};
void rows_done(struct rows *r);
struct rows rows_of(enum table table, size_t room);
void rows_add(struct rows *r, enum table table, const void *key, const void *value);
size_t rows_key_size(enum table table);
size_t rows_value_size(enum table table);

/* 'with_self': the endpoint's own addresses, and loopback, are known as inside the box. */
void rows_addresses(const struct program *p, bool with_self, struct rows *ret_exact,
                    struct rows *ret_prefixes);
struct rows rows_services(const struct program *p);
struct rows rows_entries(const struct program *p);

const char *table_name(enum table table);

/* A frozen map with these rows; the caller closes '*ret_fd'.  -errno of the kernel. */
int table_make(enum table table, const struct rows *rows, int btf_fd,
               const struct table_types *types, int *ret_fd);

/* Kernel's number of a map; 0: no such descriptor. */
uint32_t table_map_id(int fd);

/* The head of a program as the kernel sees it. */
struct abi_slot table_head(const struct program *p);

/* The numbers of core/program.h and bpf/abi.h are the same. */
#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a)
SAME(ABI_OUT, DIRECTION_OUT);
SAME(ABI_IN, DIRECTION_IN);
SAME(ABI_SUSPECT_SOURCE, SUSPECT_SOURCE);
SAME(ABI_SUSPECT_DESTINATION, SUSPECT_DESTINATION);
SAME(ABI_WORD_DENY, PROGRAM_DENY);
SAME(ABI_WORD_ALLOW, PROGRAM_ALLOW);
SAME(ABI_WORD_DEFAULT, PROGRAM_DEFAULT);
SAME(ABI_DENY, VERDICT_DENY);
SAME(ABI_ALLOW, VERDICT_ALLOW);
SAME(ABI_WOULD_DENY, VERDICT_WOULD_DENY);
SAME(ABI_LAYER_LIFELINE, LAYER_LIFELINE);
SAME(ABI_LAYER_QUARANTINE, LAYER_QUARANTINE);
SAME(ABI_LAYER_DEFAULT, LAYER_DEFAULT);
SAME(ABI_MODE_ENFORCE, MODE_ENFORCE);
SAME(ABI_TRUST_BLACK, TRUST_BLACK);
SAME(ABI_REFINE_PROCESS, REFINE_PROCESS);
SAME(ABI_REFINE_USER, REFINE_USER);
SAME(ABI_REFINE_FUNCTION, REFINE_FUNCTION);
SAME(ABI_FUNCTION, PROGRAM_FUNCTION);
SAME(ABI_PATH_SIZE, PROGRAM_PATH_SIZE);
SAME(ABI_LIFELINE, PROGRAM_MAX_LIFELINE);

static inline struct abi_address abi_address_of(const struct address *a)
{
    struct abi_address out;

    memcpy(&out, a->bytes, sizeof(out));
    return out;
}

static inline struct address address_of_abi(const struct abi_address *a)
{
    struct address out;

    memcpy(out.bytes, a, sizeof(out.bytes));
    return out;
}
