/* SPDX-License-Identifier: Apache-2.0 */
/* sentence.h - a rule as one sentence, for the person who has to answer for it
 *
 *     orders on web may reach db by postgres, because the shop reads and writes orders — shop-team,
 *     until 2027-06-30
 *
 *     web の orders は postgres で db に接続できる。理由: …（担当 shop-team、2027-06-30 まで）
 *
 * Every field of the rule is in the sentence; programs go by the last part of their paths, services
 * by their names and protocol functions. */
#pragma once

#include "base/buf.h"
#include "core/model.h"

enum language { LANGUAGE_EN, LANGUAGE_JA };

/* From "en", "ja", or a locale's name such as "ja_JP.UTF-8".  -EINVAL: another language. */
int language_parse(const char *s, enum language *ret_language);

void sentence_of_rule(struct buf *b, const struct policy *p, const struct rule *r); /* English. */
void sentence_of_rule_ja(struct buf *b, const struct policy *p, const struct rule *r);

/* "1-4, 23": a service's protocol functions, for both. */
void sentence_add_functions(struct buf *b, const struct service *s);
