/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - policies to begin with, from src/cli/templates/ (tools/embed_templates.py) */
#pragma once

#include <stddef.h>

struct template
{
    const char *name;
    const char *summary; /* One sentence without its point. */
    const char *policy, *inventory;
};

extern const struct template templates[];
extern const size_t n_templates;
