/* SPDX-License-Identifier: Apache-2.0 */
/* base.h - what every file may use: cleanup, ownership, allocation
 *
 * Knows nothing of policy or networks, and includes nothing of ours.
 *
 * Allocation never fails: out of memory aborts, the supervisor restarts us, and the kernel goes on
 * enforcing meanwhile.  What outsiders can make grow has a limit of its own, which is an error. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Runs fn(&variable) when the variable leaves its scope, on every path out. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines <fn>p() for CLEANUP(), where fn frees a pointer and accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##p(type **p)                                                             \
    {                                                                                              \
        fn(*p);                                                                                    \
    }

/* Gives a pointer away: yields it and leaves NULL behind, so that CLEANUP() finds nothing. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

/* Gives a file descriptor away and leaves -1 behind. */
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void free_voidp(void *p)
{
    free(*(void **)p);
}

/* Zeroed memory for n things of 'size' bytes. */
static inline void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        abort();
    return p;
}

/* As realloc() of n things of 'size' bytes; what is new is not zeroed. */
static inline void *xreallocarray(void *old, size_t n, size_t size)
{
    size_t bytes;
    void *p;

    if (__builtin_mul_overflow(n ? n : 1, size ? size : 1, &bytes))
        abort();
    p = realloc(old, bytes);
    if (!p)
        abort();
    return p;
}

/* A copy of 's', owned by the caller; NULL stays NULL. */
static inline char *xstrdup(const char *s)
{
    size_t size;
    char *p;

    if (!s)
        return NULL;
    size = strlen(s) + 1;
    p = xcalloc(size, 1);
    memcpy(p, s, size);
    return p;
}

/* Makes room for one more element of the array *a, which holds n and has room for *room. */
static inline void *grow_(void *a, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return a;
    *room = *room ? *room * 2 : 16;
    return xreallocarray(a, *room, size);
}
#define GROW(a, n, room) ((a) = grow_((a), (n), &(room), sizeof *(a)))
