/* SPDX-License-Identifier: Apache-2.0 */
/* collector.h - sends lines to a collector of logs: syslog over UDP, TCP or TLS
 *
 * UDP: one message a datagram (RFC 5426); what the network loses is lost.  TCP: octet counting
 * (RFC 6587 section 3.4.1), since messages could hold any byte.  TLS: the same over TLS (RFC 5425),
 * with the collector's authority and name given, TLS 1.3.
 *
 * While the collector is away up to COLLECTOR_MAX_BYTES wait; beyond it the newest are dropped and
 * counted.  Syslog has no acknowledgements: what was on its way when a connection broke is lost,
 * and counted as sent.  Connections are tried again after 1 to COLLECTOR_RETRY_MAX_S seconds. */
#pragma once

#include <stdint.h>

#include "base/base.h"
#include "sys/loop.h"
#include "sys/tls.h"

enum collector_transport { COLLECTOR_UDP, COLLECTOR_TCP, COLLECTOR_TLS };

enum { COLLECTOR_MAX_BYTES = 1 << 20, COLLECTOR_RETRY_MAX_S = 60 };

struct collector;

struct collector_options {
    enum collector_transport transport;
    const char *address; /* Numeric. */
    uint16_t port;
    const char *ca_pem;    /* TLS: whom to trust. */
    const char *peer_name; /* TLS: the collector's name in its certificate. */
};

/* -EINVAL: no numeric address, or no good authority; '*ret_what' (static) says which. */
int collector_new(struct loop *l, const struct collector_options *options, struct collector **ret_c,
                  const char **ret_what);
void collector_free(struct collector *c);
DEFINE_CLEANUP(struct collector, collector_free)

void collector_send(struct collector *c, const char *message, size_t size);

struct collector_counts {
    uint64_t sent, dropped, connects;
};
struct collector_counts collector_counts(const struct collector *c);
