/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line to standard error: subject, what failed, what we do now, why
 *
 * err: a human must act.  warn: we coped.  info: state changed.  debug: free.  Lines begin with the
 * sd-daemon(3) level "<N>" when standard error is a journal stream (JOURNAL_STREAM is set), and
 * with the time and level's name elsewhere.  Used by programs and sys/, never by base, core, wire.
 * What a packet can trigger is rate-limited by its caller, who counts what was not said. */
#pragma once

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* 'program' is borrowed for good.  Lines above 'max' are dropped. */
void log_setup(const char *program, enum log_level max);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
