/* SPDX-License-Identifier: Apache-2.0 */
/* acl_text.h - access lists in the words of switches
 *
 * IOS and its relatives (IOS XE), and EOS.  Names of lists are made of a hash of what the list
 * says, so that a new list can be loaded beside the old one and the port switched over to it: there
 * is no moment without a list.  No name or sentence of the policy is ever syntax: they stand in
 * remarks, with everything but letters, digits and harmless punctuation replaced, and cut to what
 * the platforms take.  The port's own name has been checked by the inventory's reader. */
#pragma once

#include "base/buf.h"
#include "core/acl.h"

enum acl_format { ACL_FORMAT_IOS, ACL_FORMAT_EOS };

enum acl_text_limits {
    ACL_NAME_SIZE = 24,
    ACL_REMARK_LEN = 100, /* Bytes behind "remark "; IOS refuses more. */
};

struct acl_words {
    enum acl_format format;
    const struct policy *policy; /* Owners and reasons. */
    const struct program *names; /* Numbers of rules to ids. */
};

/* Adds one list; 'ret_name' is how it was called. */
void acl_text(struct buf *b, const struct acl *a, const struct acl_words *w,
              char ret_name[ACL_NAME_SIZE]);

/* Adds what puts the list in force at this port, behind "interface PORT". */
void acl_text_use(struct buf *b, const struct acl *a, const struct acl_words *w, const char *name);

int acl_format_parse(const char *s, enum acl_format *ret_format); /* -EINVAL */
