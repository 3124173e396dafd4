/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h - what is true of each field of a rule, for one connection
 *
 * A condition is decided at its place: process and user by the source's host agent, served-by by
 * the destination's, protocol functions by an edge at either end.  Where nobody there can see it,
 * it is blind; where the question does not say it, it is untold.  What grants is closed to both,
 * what forbids takes both.  The verdict asks whole rules here, why.h field by field: there is no
 * second definition. */
#pragma once

#include "core/verdict.h"

enum truth {
    TRUTH_NO,
    TRUTH_YES,
    TRUTH_UNTOLD, /* The query does not say. */
    TRUTH_BLIND,  /* No enforcer there can see it. */
};

enum field {
    FIELD_FROM,
    FIELD_TO,
    FIELD_SERVICE,
    FIELD_PROCESS,
    FIELD_USER,
    FIELD_SERVED_BY,
};
enum { N_FIELDS = FIELD_SERVED_BY + 1 };

struct case_of { /* One connection, looked at. */
    const struct world *w;
    const struct end *from, *to;
    const struct verdict_facts *facts;
};

enum truth field_truth(const struct case_of *c, const struct match *m, enum field field);

/* What grants something is open only where every field is known to hold. */
bool field_grants(enum truth t, const struct rule *r);

/* What forbids is left out only where some field is known not to hold. */
bool field_never_selects(const struct case_of *c, const struct rule *r);

/* A group of machines is never reached by saying nothing about the service. */
bool field_reaches_multicast(const struct case_of *c, const struct match *m);

/* A quarantine rule is about what one suspect may reach, or about who may reach it. */
bool field_direction_fits(const struct case_of *c, const struct match *m);

/* All of it, with expiry and exception. */
bool field_rule_matches(const struct case_of *c, const struct rule *r);

/* True when the service has this port, whatever its functions. */
bool service_has_port(const struct service *s, uint8_t protocol, uint16_t port);
