/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: probe try   [-t MS] TARGET...|-        - reads targets from stdin, one a line\n"
    "       probe serve [-q] tcp,PORT udp,PORT raw,PROTOCOL...\n"
    "                                              a line on stdin: prints the totals\n"
    "       probe hold  [-i MS] [-n COPIES] TARGET...   until stdin ends\n"
    "       probe flood [-c COUNT] [-e] TARGET     -e: until stdin ends, but at least COUNT\n"
    "targets: tcp,ADDRESS,PORT udp,ADDRESS,PORT icmp,ADDRESS raw,ADDRESS,PROTOCOL\n"
    "         frame,INTERFACE,MAC,SOURCE,ADDRESS,PORT\n"
    "options after a target: ,mapped ,echo ,raw ,from=PORT ,via=ADDRESS/PORT\n"
    "         ,how=connect|sendto|sendmmsg|other\n"
    "Results are JSON lines.\n";

static size_t read_targets(char **words, int n_words, struct target *ret)
{
    size_t n = 0;
    char line[512];

    if (n_words != 1 || strcmp(words[0], "-") != 0) {
        for (int i = 0; i < n_words && n < MAX_TARGETS; i++)
            target_parse(words[i], &ret[n++]);
        return n;
    }
    while (n < MAX_TARGETS && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (*line)
            target_parse(strdup(line), &ret[n++]);
    }
    return n;
}

int main(int argc, char **argv)
{
    static struct target targets[MAX_TARGETS];
    long limit_ms = 1000, interval_ms = 50, copies = 1, count = 1;
    bool quiet = false, until_eof = false;
    const char *command = argc > 1 ? argv[1] : "";
    size_t n;
    int option;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    optind = 2;
    while (argc > 1 && (option = getopt(argc, argv, "t:i:n:c:qe")) != -1) {
        if (option == '?') {
            fputs(usage, stderr);
            return 2;
        }
        quiet |= option == 'q';
        until_eof |= option == 'e';
        if (optarg)
            *(option == 't'   ? &limit_ms
              : option == 'i' ? &interval_ms
              : option == 'n' ? &copies
                              : &count) = strtol(optarg, NULL, 10);
    }
    if (strcmp(command, "serve") == 0)
        return run_serve(argv + optind, (size_t)(argc - optind), quiet);
    n = argc > 2 ? read_targets(argv + optind, argc - optind, targets) : 0;
    if (n > 0 && strcmp(command, "try") == 0)
        return run_try(targets, n, (int)limit_ms);
    if (n > 0 && copies > 0 && strcmp(command, "hold") == 0)
        return run_hold(targets, n, (int)interval_ms, (unsigned)copies);
    if (n == 1 && strcmp(command, "flood") == 0)
        return run_flood(&targets[0], (uint64_t)count, until_eof);
    fputs(usage, stderr);
    return 2;
}
