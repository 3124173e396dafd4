/* SPDX-License-Identifier: Apache-2.0 */
/* sentence.h - a rule as one sentence, for the person who has to answer for it
 *
 *     orders on web may reach db by postgres, because the shop reads and writes orders — shop-team,
 *     until 2027-06-30 */
#pragma once

#include "base/buf.h"
#include "core/model.h"

void sentence_of_rule(struct buf *b, const struct policy *p, const struct rule *r);
