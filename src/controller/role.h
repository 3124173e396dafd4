/* SPDX-License-Identifier: Apache-2.0 */
/* role.h - what a client of the API may do: look (viewer), or change too (admin) */
#pragma once

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_ADMIN };

static inline const char *role_name(enum role role)
{
    return role == ROLE_ADMIN ? "admin" : role == ROLE_VIEWER ? "viewer" : "none";
}
