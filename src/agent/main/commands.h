/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - the options of suimitsu-agent, and its commands that have files of their own */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/enforce/enforce.h"

enum { AGENT_MAX_NAMES = 16 };

struct agent_options { /* All borrowed from the command line. */
    const char *instance, *cgroup, *state_dir, *run_dir;
    const char *controller, *token_file, *user;
    const char *program_file, *flows_file;
    uint32_t max_entries;
    uint64_t spool_mb;
    bool edge_only, nft;
    const char *guarded[AGENT_MAX_NAMES], *bridges[AGENT_MAX_NAMES], *trunks[AGENT_MAX_NAMES];
    size_t n_guarded, n_bridges, n_trunks;
    struct address dhcp_servers[AGENT_MAX_NAMES];
    size_t n_dhcp_servers;
    bool json, verbose;
};

/* Both halves, as two processes; the network half is started again when it ends.  Exit code. */
int run_with_controller(const struct agent_options *o, const struct enforce_options *e);

/* Makes a key, asks the controller for a certificate, stores both.  Exit code. */
int enroll(const struct agent_options *o);
