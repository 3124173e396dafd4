/* SPDX-License-Identifier: Apache-2.0 */
/* exporters.h - flows of network gear: who is believed, and the process that reads their datagrams
 *
 * What
 * ====
 *     sockets --> worker: collect/exports.h --socketpair--> controller --> flows/observe
 *        ^           ^ starts it again
 *        '-- made --keeper
 *
 * Datagrams are strangers' bytes from unauthenticated addresses.  They are parsed by a worker that
 * is another process without privilege: the unprivileged user, a list of system calls that holds
 * neither open nor connect, no secret in its memory (it is made before any is read), a lower
 * priority than the controller.  What it says are fixed-size messages (messages.h), and the
 * controller checks every field.  When it ends, the keeper, which reads nothing, starts another;
 * templates are then learned anew.
 *
 * Who is believed: datagrams from addresses that were configured, by name.  Others are dropped
 * unread and counted by source.  An address is no proof (UDP can be spoofed), so each exporter has
 * a bound of its own; a flood costs the evidence of the one in whose name it comes.
 *
 * What is lost anywhere on the way (sequence numbers, the kernel's queue, bounds, a controller that
 * is busy) is counted, and noted as incomplete evidence of the exporter's stream.
 *
 * Rules of use: exporters_start() before secrets are read and threads are made; the rest on the
 * loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base.h"
#include "collect/exports.h"
#include "sys/loop.h"

enum {
    EXPORTERS_MAX = 256,
    EXPORTERS_SOCKETS = 8,
    EXPORTERS_NAME_SIZE = 64,
    EXPORTERS_RATE = 2000, /* Records a second of one exporter, if nothing else is configured. */
};

struct exporters_config {
    struct {
        char address[64];
        uint16_t port;
        enum exports_kind kind;
    } sockets[EXPORTERS_SOCKETS];
    struct {
        char name[EXPORTERS_NAME_SIZE];
        struct address address;
    } exporters[EXPORTERS_MAX];
    size_t n_sockets, n_exporters;
    uint32_t max_rate; /* 0: no bound. */
};

/* "ipfix://0.0.0.0:4739", "core-sw1=10.0.0.2".  NULL: taken; else what was expected. */
const char *exporters_config_socket(struct exporters_config *c, const char *value);
const char *exporters_config_exporter(struct exporters_config *c, const char *value);

struct exporters;

struct exporters_handlers {
    /* Checked ones.  False: they cannot be kept now, and are counted as refused. */
    bool (*seen)(void *user, const char *name, const struct sighting *s, size_t n);
    /* So many of this exporter's (or "": of nobody in particular) are missing. */
    void (*lost)(void *user, const char *name, uint64_t n);
    void *user;
};

/* Opens the sockets and starts the worker as 'uid' and 'gid' (when we are root).  '*ret_what'
 * (static) says which.  -EADDRINUSE, -EACCES, ... as bind(2). */
int exporters_start(const struct exporters_config *c, uid_t uid, gid_t gid,
                    struct exporters **ret_e, const char **ret_what);

/* From now on what it says is listened to. */
void exporters_attach(struct exporters *e, struct loop *l, const struct exporters_handlers *h);

void exporters_free(struct exporters *e); /* Ends the worker. */
DEFINE_CLEANUP(struct exporters, exporters_free)

/* Each exporter, then those who were not believed. */
json_t *exporters_json(const struct exporters *e);

struct exporters_sums {
    uint64_t datagrams, records, lost, refused, malformed, untemplated, strangers, kernel_lost;
    uint64_t n, n_heard; /* Configured, and heard of in the last five minutes. */
};
struct exporters_sums exporters_sums(const struct exporters *e);
