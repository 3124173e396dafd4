/* SPDX-License-Identifier: Apache-2.0 */
/* drill.c - an intruder's walk, by real connections: in the lab, or from this machine
 *
 * In the lab the walk is the lab's own program (lab/lab drill), which knows the hosts' namespaces
 * and puts everything back.  Whoever brought the world up left in its state where that program
 * lies. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/drill_really.h"
#include "sys/file.h"

#define LABS "/var/lib/suimitsu-lab"

enum { MAX_STATE = 1 << 20 };

/* The state that root left of a running world; NULL: none of this name. */
static json_t *lab_state(const char *folder)
{
    CLEANUP(buf_done) struct buf path = BUF_INIT, text = BUF_INIT;
    struct stat about;

    buf_printf(&path, "%s/%s/state.json", LABS, folder);
    if (stat(buf_str(&path), &about) < 0 || about.st_uid != 0 || about.st_mode & 022 ||
        file_read(buf_str(&path), MAX_STATE, &text) < 0)
        return NULL;
    return json_loadb(buf_str(&text), text.size, 0, NULL);
}

static bool has_host(const json_t *state, const char *name)
{
    const json_t *host;
    size_t i;

    json_array_foreach(json_object_get(state, "hosts"), i, host)
    {
        if (strcmp(json_string_value(host), name) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct invocation *in, const json_t *state)
{
    const char *world = invocation_value(in, "world"), *prefix = invocation_value(in, "prefix");

    return has_host(state, invocation_value(in, "from")) &&
           (!world || strcmp(world, text_of(state, "world")) == 0) &&
           strcmp(prefix ? prefix : "sm-", text_of(state, "prefix")) == 0;
}

/* The running world with such a host; an exit code, which has been explained. */
static int find_world(const struct invocation *in, json_t **ret_state)
{
    const char *from = invocation_value(in, "from");
    DIR *folder = opendir(LABS);
    const struct dirent *entry;
    json_t *found = NULL;
    size_t n = 0;

    while (folder && (entry = readdir(folder))) { /* NOLINT(concurrency-mt-unsafe) */
        CLEANUP(json_decrefp)
        json_t *state = entry->d_name[0] != '.' ? lab_state(entry->d_name) : NULL;

        if (!state || !is_wanted(in, state))
            continue;
        n++;
        json_decref(found);
        found = json_incref(state);
    }
    if (folder)
        (void)closedir(folder);
    if (n == 1) {
        *ret_state = found;
        return EXIT_OK;
    }
    json_decref(found);
    if (n)
        return complain(EXIT_USAGE, "%zu running worlds have a host %s; choose with --world", n,
                        from);
    return complain(EXIT_NOT_FOUND,
                    "no world of the lab that is up here has a host %s (`lab/lab status` shows "
                    "them); outside of the lab, name the hosts that may be tried: "
                    "--really HOST...",
                    from);
}

static int drill_in_lab(const struct invocation *in)
{
    CLEANUP(json_decrefp) json_t *state = NULL;
    const char *as = invocation_value(in, "as"), *tool;
    struct stat about;
    int r;

    if (in->output == OUTPUT_YAML)
        return complain(EXIT_USAGE, "a drill in the lab prints text or json");
    if (geteuid() != 0)
        return complain(EXIT_NOT_ALLOWED, "a drill in the lab enters its hosts: run it as root");
    r = find_world(in, &state);
    if (r != EXIT_OK)
        return r;
    tool = text_of(state, "tool");
    if (stat(tool, &about) < 0 || about.st_mode & 022)
        return complain(EXIT_NOT_FOUND,
                        "world %s: its lab at \"%s\" is gone, or others than its owner may write "
                        "it; bring the world up anew",
                        text_of(state, "world"), tool);
    (void)execl(tool, tool, "drill", text_of(state, "world"), "--prefix", text_of(state, "prefix"),
                "--from", invocation_value(in, "from"), "--as", as ? as : "root",
                in->output == OUTPUT_JSON ? "--json" : NULL, NULL);
    return complain(EXIT_NOT_FOUND, "%s: %s", tool, strerror(errno));
}

static int run_drill(const struct invocation *in)
{
    static const char *const lab_only[] = {"as", "world", "prefix"}, *const real_only[] = {
                                                                         "service", "rate", "note"};
    bool really = invocation_value(in, "really") != NULL;
    const char *as = invocation_value(in, "as");

    if (!invocation_value(in, "from"))
        return complain(EXIT_USAGE, "drill needs --from NAME, where the intruder begins");
    for (size_t i = 0; really && i < ARRAY_SIZE(lab_only); i++)
        if (invocation_value(in, lab_only[i]))
            return complain(EXIT_USAGE, "--%s is for the lab, and does not go with --really",
                            lab_only[i]);
    for (size_t i = 0; !really && i < ARRAY_SIZE(real_only); i++)
        if (invocation_value(in, real_only[i]))
            return complain(EXIT_USAGE, "--%s goes with --really", real_only[i]);
    if (really && !in->n_args)
        return complain(EXIT_USAGE, "--really needs the hosts that may be tried, and tries no "
                                    "others");
    if (!really && in->n_args)
        return complain(EXIT_USAGE,
                        "%s: hosts are named for --really; in the lab all of them are tried",
                        in->args[0]);
    if (as && strcmp(as, "root") != 0 && strcmp(as, "user") != 0)
        return complain(EXIT_USAGE, "--as %s: expected root or user", as);
    return really ? drill_really(in) : drill_in_lab(in);
}

static const struct option_spec options[] = {
    CLIENT_OPTIONS,
    {"from", 0, "NAME", "the endpoint that the intruder owns"},
    {"as", 0, "root|user", "in the lab: root (default) ends the agents of what he owns"},
    {"world", 0, "NAME", "in the lab: which, when two running worlds have such a host"},
    {"prefix", 0, "TEXT", "in the lab: of its namespaces, if not sm-"},
    {"really", 0, NULL, "from this machine, to the named hosts"},
    {"service", 0, "NAME", "with --really: only this service, or tcp/PORT"},
    {"rate", 0, "N", "with --really: connections a second (default 20, at most 100)"},
    {"note", 0, NULL, "with --really: write what was measured to the timeline, as the lab does"},
};

static const struct command commands[] = {
    {.name = "drill",
     .arguments = "--from NAME [--really HOST...]",
     .summary = "what an intruder reaches by real connections, beside what the policy says",
     .help =
         "In the lab (docs/lab.md), an intruder walks a running world from one host, hop by hop:\n"
         "what answers, he takes over.  Prints who was reached from where, after how long, the\n"
         "first denial that the controller heard of, and how that compares with the policy's\n"
         "blast radius.\n\n"
         "With --really, connections are tried from this machine, which must be the endpoint\n"
         "--from, to the named endpoints and nobody else: the first port of each named service,\n"
         "and one that no service names.  At most 16 hosts, 32 ports and 2048 connections,\n"
         "slowly; nothing is sent over them, no host is taken over, and it stays at one hop.\n"
         "Each outcome is compared with the verdict for this program and user.\n\n"
         "Exit code 0: as the policy says; 1: not; 4: no such host; 5: not from here.",
     COMMAND_OPTIONS(options),
     .max_args = SIZE_MAX,
     .run = run_drill},
};

const struct command_table drill_commands = {commands, ARRAY_SIZE(commands)};
