/* SPDX-License-Identifier: Apache-2.0 */
/* edge_view.h - a verdict program as an enforcer outside the endpoint may use it
 *
 * An edge sees packets, never who sent them.  What program, user and serving program there are is
 * for a host enforcer to check, and the stricter end decides; so an edge takes of each service the
 * most permissive verdict over all programs and users that the endpoint's program tells apart:
 * allow before default before deny.  Where no host enforcer can check such a condition, the
 * compiler has closed it already (core/compile.h), and the view keeps that.
 *
 * The view has base entries and those for protocol functions, no programs or users; everything else
 * is as before, so program_judge() on the view is the definition of what an edge must say. */
#pragma once

#include "core/program.h"

/* 'p' has passed program_check(), and so will the result. */
struct program *edge_view(const struct program *p);
