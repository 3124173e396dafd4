/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - the tables that main.c puts together */
#pragma once

#include "cli/command.h"

extern const struct command_table account_commands;      /* account.c: who may log in */
extern const struct command_table policy_commands;       /* policy.c: what needs no controller */
extern const struct command_table history_commands;      /* history.c: records of connections */
extern const struct command_table hygiene_commands;      /* hygiene.c: rules unused, rare flows */
extern const struct command_table import_commands;       /* import.c: drafts from packet filters */
extern const struct command_table export_commands;       /* export.c: for switches and nftables */
extern const struct command_table online_commands;       /* online.c: what asks the controller */
extern const struct command_table operations_commands;   /* operations.c: long questions */
extern const struct command_table why_commands;          /* why.c: reasons of a verdict */
extern const struct command_table apply_commands;        /* apply.c: what changes its policy */
extern const struct command_table flows_commands;        /* flows.c: who talked to whom */
extern const struct command_table flows_import_commands; /* flows_import.c: of clouds */
extern const struct command_table format_commands;       /* format.c: policy fmt */
extern const struct command_table language_commands;     /* language.c: policy schema */
extern const struct command_table diff_commands;         /* diff.c: policy diff */
extern const struct command_table draft_commands;        /* draft.c: proposed changes */
extern const struct command_table drill_commands;        /* drill.c: an intruder's walk */
extern const struct command_table coverage_commands;     /* coverage.c: policy coverage */
extern const struct command_table prove_commands;        /* prove.c: policy prove, policy radius */
extern const struct command_table template_commands;     /* template.c: policy template */
extern const struct command_table timeline_commands;     /* timeline.c: what changed when */
extern const struct command_table try_commands;          /* try.c: recorded flows, what if */
extern const struct command_table unprotected_commands;  /* unprotected.c: where nobody enforces */
