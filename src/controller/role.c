/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/role.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

enum { EVERYBODY = RIGHT_READ | RIGHT_SELF | RIGHT_METRICS };

static const struct {
    const char *name;
    unsigned rights;
} roles[ROLE_COUNT] = {
    [ROLE_NONE] = {"none", 0},
    [ROLE_VIEWER] = {"viewer", EVERYBODY},
    [ROLE_AUDITOR] = {"auditor", EVERYBODY | RIGHT_AUDIT},
    [ROLE_OPERATOR] = {"operator", EVERYBODY | RIGHT_TRUST},
    [ROLE_EDITOR] = {"editor", EVERYBODY | RIGHT_TRY | RIGHT_DRAFT},
    [ROLE_APPROVER] = {"approver", EVERYBODY | RIGHT_TRY | RIGHT_APPLY},
    [ROLE_ADMIN] = {"admin", EVERYBODY | RIGHT_AUDIT | RIGHT_TRUST | RIGHT_TRY | RIGHT_DRAFT |
                                 RIGHT_APPLY | RIGHT_ADMIN},
    [ROLE_SCRAPER] = {"scraper", RIGHT_METRICS},
};

unsigned role_rights(enum role role)
{
    return roles[role].rights;
}

const char *role_name(enum role role)
{
    return roles[role].name;
}

int role_parse(const char *name, enum role *ret_role)
{
    for (size_t i = ROLE_NONE + 1; i < ROLE_COUNT; i++)
        if (strcmp(roles[i].name, name) == 0) {
            *ret_role = (enum role)i;
            return 0;
        }
    return -EINVAL;
}

bool role_takes_scope(enum role role)
{
    return role == ROLE_VIEWER || role == ROLE_OPERATOR;
}

int scope_parse(const char *text, struct scope *ret_s)
{
    size_t len = strcspn(text, "=");
    struct scope s = {.label = ""};

    if (len == 0 || len >= sizeof(s.label) || text[len] != '=' || !text[len + 1] ||
        strlen(text + len + 1) >= sizeof(s.value))
        return -EINVAL;
    memcpy(s.label, text, len);
    memcpy(s.value, text + len + 1, strlen(text + len + 1));
    *ret_s = s;
    return 0;
}
