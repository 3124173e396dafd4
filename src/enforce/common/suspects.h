/* SPDX-License-Identifier: Apache-2.0 */
/* suspects.h - the kernel's map of endpoints whose trust is not white
 *
 * Every program carries the trust of every address.  An enforcer with several programs, one a port,
 * gets them one after the other; until all agree, who is a suspect for one of them is a suspect.
 * What is new is added before what is old is removed: at no instant does a suspect look white. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"
#include "core/program.h"

/* Who is not white by one program. */
struct suspects {
    struct abi_address *items; /* Sorted. */
    size_t n;
};
void suspects_done(struct suspects *s);
struct suspects suspects_of(const struct program *p);
bool suspects_have(const struct suspects *s, const struct abi_address *a);
void suspects_remove(struct suspects *s, const struct abi_address *a);

/* Puts the program's into the map; -errno of the kernel. */
int suspects_add(int map_fd, const struct program *p);

/* Removes from the map whom 'stays' does not name. */
void suspects_trim(int map_fd, bool (*stays)(void *arg, const struct abi_address *a), void *arg);

/* The fast path: one address.  -errno of the kernel. */
int suspects_set(int map_fd, const struct abi_address *a, enum trust trust);

bool suspects_any(int map_fd);
