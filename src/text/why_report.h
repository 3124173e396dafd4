/* SPDX-License-Identifier: Apache-2.0 */
/* why_report.h - the reasons of a verdict for people and for programs
 *
 *     deny (default)
 *     web1 to db1 by tcp/5432 as program /usr/bin/psql
 *
 *       web1: endpoint in web; host; enforce; white
 *       db1: endpoint in db; host; enforce; white
 *
 *       lifeline    it is not one of its connections
 *       ...
 *     > default     nothing is allowed unless an allow names it: deny
 *
 *     nearest allow "shop-db": the shop reads and writes orders — shop-team
 *       met       from       web1 is in web                    host at web1, host at db1
 *       not met   process    the program is /usr/bin/psql, ... host at web1
 *       -> start it by /opt/shop/bin/orders
 *       then: allow (allow, rule shop-db)
 *
 * Texts of the question stand in it as they came: a terminal's owner escapes them. */
#pragma once

#include "base/buf.h"
#include "core/why.h"

void why_report_text(struct buf *b, const struct why *y);

/* All fields of answer_write(), and known, asked, from, to, layers, decider, others, nearest,
 * below, changes, allow_like; docs/why.md has them all. */
void why_report_json(struct buf *b, const struct why *y);
