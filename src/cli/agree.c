/* SPDX-License-Identifier: Apache-2.0 */
/* The question before a change; see agree.h. */
#include "cli/agree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/client.h"

void print_meaning(FILE *f, const char *text, size_t max)
{
    const char *reach = strstr(text, "\n> ");
    CLEANUP(buf_done) struct buf changes = BUF_INIT;
    size_t left;

    buf_add(&changes, text, reach ? (size_t)(reach + 1 - text) : strlen(text));
    left = print_lines(f, buf_str(&changes), max);
    if (left)
        (void)fprintf(f, "… and %zu more; --dry-run shows all\n", left);
    if (reach)
        (void)print_lines(f, reach + 1, SIZE_MAX);
}

bool is_agreed(FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    bool yes;

    (void)fprintf(f, "Apply? [y/N] ");
    (void)fflush(f);
    yes = getline(&line, &room, stdin) > 0;
    if (yes)
        line[strcspn(line, "\r\n")] = 0;
    yes = yes && (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0);
    free(line);
    return yes;
}
