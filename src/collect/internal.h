/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of collect/ share; nobody else includes it */
#pragma once

#include "base/reader.h"
#include "collect/exports.h"
#include "collect/pairs.h"

struct domain { /* Observation domain, source id, engine, sub-agent. */
    uint32_t id, last_sequence, sampling, uptime_ms;
    uint32_t n_last; /* Of what is numbered, in the message before. */
    uint8_t version;
    bool has_sequence, by_datagram; /* by_datagram: though it should be by record. */
    uint64_t used_ms;
};

struct template_field {
    uint32_t enterprise;
    uint16_t id, size; /* TEMPLATE_VARIES: the record says. */
};
enum { TEMPLATE_VARIES = 65535 };

struct template
{
    uint32_t domain;
    uint16_t id, n_fields;
    uint8_t version; /* 9 or 10. */
    bool is_options;
    size_t min_size; /* Of a record. */
    uint64_t told_ms;
    struct template_field fields[];
};

struct exports {
    struct exports_state state;
    struct pairs *pairs;
    struct domain domains[EXPORTS_MAX_DOMAINS];
    size_t n_domains;
    struct template *templates[EXPORTS_MAX_TEMPLATES];
    uint32_t max_rate;
    uint64_t tokens, filled_ms; /* Thousandths of records. */
};

/* ---- exports.c ---- */

struct domain *exports_domain(struct exports *e, uint8_t version, uint32_t id, uint64_t now_ms);

/* Compares a message's number with the one before; 'n' of what is numbered are in it ('known'
 * false: nobody knows).  A number counts what came before the message; two exporters are known to
 * do otherwise, and are recognised by how their numbers step: softflowd 1.1 counts the records of
 * an IPFIX message itself, too, and Open vSwitch 3.1 counts datagrams in NetFlow v5. */
void exports_sequence(struct exports *e, struct domain *d, uint32_t sequence, uint32_t n,
                      bool known);

/* One direction of a connection: bounded, its times and amounts checked, and held. */
void exports_hear(struct exports *e, struct heard *h, uint32_t sampling, uint64_t now_ms);

/* ---- one file each; as exports_take() ---- */

int netflow5_take(struct exports *e, struct reader *r, uint64_t now_ms);
int ipfix_take(struct exports *e, struct reader *r, uint8_t version, uint64_t now_ms);
int sflow_take(struct exports *e, struct reader *r, uint64_t now_ms);

/* ---- template.c ---- */

struct template *template_find(struct exports *e, const struct domain *d, uint16_t id,
                               uint64_t now_ms);
/* Reads what stands behind a template's id.  False: the set cannot be read on. */
bool template_read(struct exports *e, const struct domain *d, struct reader *set, bool is_options,
                   uint64_t now_ms);
void template_forget(struct exports *e, const struct domain *d, uint16_t id); /* 0: all. */
void templates_free(struct exports *e);

/* ---- packet.c ---- */

enum packet_layer { PACKET_ETHERNET, PACKET_IPV4, PACKET_IPV6 };

/* Addresses, ports, protocol and flags of the packet whose first bytes these are.  False: it is no
 * IP packet, or too little of it is there. */
bool packet_read(struct reader *r, enum packet_layer layer, struct heard *h);

struct address packet_v4(const void *bytes);

/* ICMPv6's type in ICMPv4's numbers; 255: it has none. */
uint16_t packet_icmp6_type(uint8_t type);
