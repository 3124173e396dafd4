/* SPDX-License-Identifier: Apache-2.0 */
/* One write(2) a line, so that lines of two processes never mix; see log.h. */
#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { LINE_MAX_SIZE = 2000 }; /* Bytes of message shown; more is cut. */

static const char *program_name = "suimitsu";
static enum log_level max_level = LOG_LEVEL_INFO;
static bool to_journal;

void log_setup(const char *program, enum log_level max)
{
    program_name = program;
    max_level = max;
    to_journal = getenv("JOURNAL_STREAM") != NULL;
}

static void put_prefix(struct buf *line, enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const char syslog_levels[] = {'3', '4', '6', '7'};
    char when[32] = "";
    struct timespec now;
    struct tm tm;

    if (to_journal) {
        buf_printf(line, "<%c>", syslog_levels[level]);
        return;
    }
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &tm))
        (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(line, "%s %s %s: ", when, program_name, names[level]);
}

void log_line(enum log_level level, const char *format, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    va_list args;

    if (level > max_level)
        return;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    put_prefix(&line, level);
    buf_escape(&line, buf_str(&text), text.size, LINE_MAX_SIZE);
    buf_putc(&line, '\n');
    if (write(STDERR_FILENO, line.data, line.size) < 0)
        return; /* Nowhere left to complain. */
}
