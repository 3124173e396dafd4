/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/clock.h"

enum { ALL = 100 };

static void write_line(const struct meter *m, const char *what, uint64_t done, uint64_t all)
{
    const char *unit = m->unit ? m->unit : "", *hint = m->hint ? m->hint : "";

    if (all)
        (void)fprintf(stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64 "%s (%u %%)%s", what, done, all,
                      unit, (unsigned)((done < all ? done : all) * ALL / all), hint);
    else
        (void)fprintf(stderr, "\r\033[K%s: %" PRIu64 "%s%s", what, done, unit, hint);
}

void meter_say(struct meter *m, const char *what, uint64_t done, uint64_t all)
{
    int64_t now_s = clock_unix_s();

    if (now_s == m->said_s || isatty(STDERR_FILENO) != 1)
        return;
    m->said_s = now_s;
    write_line(m, what, done, all);
}

void meter_end(struct meter *m, const char *what, uint64_t done, uint64_t all)
{
    if (!m->said_s)
        return; /* Nobody looks, or it was quick. */
    write_line(m, what, done, all);
    (void)fputc('\n', stderr);
}

void meter_clear(struct meter *m)
{
    if (m->said_s)
        (void)fputs("\r\033[K", stderr);
}
