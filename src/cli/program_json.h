/* SPDX-License-Identifier: Apache-2.0 */
/* program_json.h - a verdict program for people who want to see what the kernel gets */
#pragma once

#include "base/buf.h"
#include "core/program.h"

void program_json(struct buf *b, const struct program *p);
