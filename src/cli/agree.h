/* SPDX-License-Identifier: Apache-2.0 */
/* agree.h - what a change would mean, and whether somebody at the terminal wants it */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { AGREE_LINES = 20 }; /* Of what a change means, before the question. */

/* At most 'max' changes; what they do to the reach of groups (text/meaning.h) is told in any case.
 */
void print_meaning(FILE *f, const char *text, size_t max);

/* Asks.  Only "y" and "yes" are yes; so is the end of the input not. */
bool is_agreed(FILE *f);
