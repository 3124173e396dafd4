/* SPDX-License-Identifier: Apache-2.0 */
/* turns.h - who may be sent a program now: all that is under way has a bound
 *
 * Programs of a large policy are megabytes, and after a start all agents want theirs at once: what
 * is sent and not answered lies in our memory, or in that of those who read it.  So only as much is
 * under way as the bound says; the others stand in line, first come first served.  Whoever does not
 * answer within the patience stops counting, so that some who are slow, or pretend to be, keep
 * nobody else waiting for longer.
 *
 * Pure: no clock, no I/O.  A 'struct turn' lies in what it belongs to, zeroes at first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct turn {
    struct turn *next, **at; /* In line; 'at' NULL: not. */
    size_t size;             /* Counted as under way; 0: nothing. */
    uint64_t since_ms;
};

struct turns {
    size_t max;       /* Bytes; one program more may be under way when it is reached. */
    size_t under_way; /* Bytes. */
    size_t n_waiting;
    struct turn *first, **end; /* 'end' NULL: nobody ever stood in line. */
};

/* True: it may be sent something now.  False: it stands in line from now on, or did. */
bool turns_ask(struct turns *t, struct turn *x);

/* It was sent this, at this time. */
void turns_sent(struct turns *t, struct turn *x, size_t size, uint64_t now_ms);

/* It has answered, or is gone; it leaves the line, too. */
void turns_done(struct turns *t, struct turn *x);

/* It has not answered for 'patience_ms': what it was sent counts no more.  Else nothing. */
void turns_lose_patience(struct turns *t, struct turn *x, uint64_t now_ms, uint64_t patience_ms);

/* Whose turn it is, out of the line; NULL: nobody waits, or there is no room. */
struct turn *turns_next(struct turns *t);
