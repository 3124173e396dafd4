/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h - what collectors of logs are told, as RFC 5424 messages with JSON or CEF in them
 *
 * Everything in an event may come from a stranger: a process, a user, a host name, the reason that
 * somebody typed.  A newline in it would be another message, a '|' or '=' another field of CEF:
 * each value is cut, control characters and bytes that are no text become \xNN, and then what the
 * format gives a meaning is escaped.  JSON is ASCII only. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

enum line_format { LINE_JSON, LINE_CEF };

enum { LINE_VALUE_MAX = 500, LINE_FACILITY = 13 /* RFC 5424 table 1: log audit. */ };

enum line_kind { LINE_DENIAL, LINE_NOTICE, LINE_POLICY, LINE_TRUST, LINE_LOGIN, LINE_AUDIT };

struct line {
    enum line_kind kind;
    int64_t time_ms;
    const json_t *data; /* A flow record, a notice, or an entry of the audit. */
};

/* Of which kind an audit entry is. */
enum line_kind line_kind_of_action(const char *action);
const char *line_kind_name(enum line_kind kind);

/* Severity as in RFC 5424 table 2: 0 emergency to 7 debug. */
int line_severity(const struct line *l);

/* The message's content alone. */
void line_content(struct buf *b, const struct line *l, enum line_format format);

/* "<110>1 2026-11-22T10:00:00.000Z HOST suimitsud PID KIND - CONTENT", without an end of line. */
void line_syslog(struct buf *b, const struct line *l, enum line_format format, const char *host,
                 int pid);
