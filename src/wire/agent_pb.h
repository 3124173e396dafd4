/* SPDX-License-Identifier: Apache-2.0 */
/* agent_pb.h - verdict programs as columns: the inside of wire/agent.c
 *
 * Not for users of the protocol, who see wire/agent.h only. */
#pragma once

#include "wire/agent.h"
#include "wire/agent.pb-c.h"

/* Memory that lives as long as one call of the encoder. */
struct scratch {
    void **blocks;
    size_t n_blocks;
    size_t room;
};

void scratch_done(struct scratch *s);
void *scratch_new(struct scratch *s, size_t n, size_t size); /* Zeroed. */

/* Borrows from 'p' and 's'; writing through the result is not allowed, its type notwithstanding. */
Suimitsu__Program *program_to_pb(struct scratch *s, const struct program *p);
Suimitsu__Entries *entries_to_pb(struct scratch *s, const struct program_entry *e, size_t n);
Suimitsu__Addresses *addresses_to_pb(struct scratch *s, const struct program_address *a, size_t n);

Suimitsu__Delta *delta_to_pb(struct scratch *s, const struct agent_delta *m);

/* Columns of equal length, numbers that fit their fields; program_check() is up to the caller.
 * -EINVAL, -E2BIG with '*ret_what' as in agent_decode(). */
int program_from_pb(const Suimitsu__Program *pb, struct program **ret_p, const char **ret_what);
int entries_from_pb(const Suimitsu__Entries *pb, struct program_entry **ret_e, size_t *ret_n,
                    const char **ret_what);
int addresses_from_pb(const Suimitsu__Addresses *pb, struct program_address **ret_a, size_t *ret_n,
                      const char **ret_what);

/* Copies UTF-8 of at most size - 1 bytes.  -EINVAL: longer, or not UTF-8. */
int text_from_pb(const char *from, char *to, size_t size);
int address_from_pb(const ProtobufCBinaryData *from, struct address *to);
ProtobufCBinaryData address_to_pb(const struct address *a);

/* The generated structs want pointers to char that they never write through. */
static inline char *lend(const char *s)
{
    union {
        const char *in;
        char *out;
    } u = {.in = s};

    return u.out;
}
