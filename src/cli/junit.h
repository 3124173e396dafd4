/* SPDX-License-Identifier: Apache-2.0 */
/* junit.h - what `policy check` found, as a JUnit file
 *
 * One case says whether the policy is valid, then one for each test and each proof. */
#pragma once

#include "cli/load.h"

/* EXIT_OK, or an exit code that was complained about. */
int junit_save(const struct loaded *l, const char *path);
