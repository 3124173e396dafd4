/* SPDX-License-Identifier: Apache-2.0 */
/* import.h - inherited packet filters into a draft policy, a ledger and findings
 *
 *     text -> iptables.h, nft.h, ios.h -> ruleset.h -> resolve.h -> draft.h
 *                                                   -> finding.h
 *
 * Pure: text in, text out.  The draft is read back by the policy's own reader before anybody sees
 * it, so that what is handed out is a valid policy. */
#pragma once

#include "base/buf.h"
#include "import/draft.h"
#include "text/policy.h"

enum import_format { IMPORT_AUTO, IMPORT_IPTABLES, IMPORT_NFT, IMPORT_IOS };

struct import_options {
    enum import_format format;
    const char *self_name;      /* NULL: "self". */
    const char *self_addresses; /* "10.0.0.4,fd00::4": the box whose rules these are; NULL. */
    const char *interfaces;     /* See ruleset_link(). */
    const char *chain;          /* NULL: whatever decides. */
};

struct import {
    struct ruleset *rules;
    struct draft draft;
    size_t n_rules, n_effective; /* Ledger entries that change a verdict. */
};
void import_done(struct import *im);

/* Findings about the text that make an import impossible go to 'd', which outlives 'ret'.
 * -EBADMSG: 'd' has at least one error, and there is no draft. */
int import_read(const struct source sources[], size_t n, const struct import_options *options,
                struct diagnostics *d, struct import *ret);

/* ledger.txt and findings.txt, and both as one JSON object. */
void import_write_ledger(const struct import *im, struct buf *b);
void import_write_findings(const struct import *im, struct buf *b);
/* "ledger": [...], "findings": [...], counts; without the braces around. */
void import_write_json(const struct import *im, struct buf *b);

/* -EINVAL. */
int import_format_parse(const char *s, enum import_format *ret);
