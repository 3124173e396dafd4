/* SPDX-License-Identifier: Apache-2.0 */
/* ca.h - the certificate authority of one Suimitsu installation
 *
 * Made on first start in the state folder: ca.key (P-256, mode 0600) and ca.crt.  It signs the
 * controller's certificate, which is made anew at each start, and those of agents, which live for
 * days and are renewed over the agents' own connection at two thirds of their life.  Agents'
 * requests are read for their public key only: name, usage and life are the controller's to give.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "sys/tls.h"

struct ca;

enum {
    CA_LIFE_DAYS = 3650,
    CA_SERVER_LIFE_DAYS = 397,
    CA_AGENT_LIFE_S = 7 * 86400,
    CA_MAX_NAMES = 16,
};

/* Loads or makes the authority in 'folder'.  '*ret_what' (static) names what failed.
 * -EUCLEAN: one of the two files is missing or damaged; a human must restore it. */
int ca_open(const char *folder, struct ca **ret_ca, const char **ret_what);
void ca_free(struct ca *ca);
DEFINE_CLEANUP(struct ca, ca_free)

const char *ca_pem(const struct ca *ca);         /* The authority's certificate.  Borrowed. */
const char *ca_fingerprint(const struct ca *ca); /* SHA-256 of it, hexadecimal.  Borrowed. */

/* A key and a certificate chain (with the authority at its end, for newcomers) for the controller.
 * 'names' are DNS names or numeric addresses; TLS_CONTROLLER_NAME is always added. */
int ca_issue_server(struct ca *ca, const char *const names[], size_t n_names, struct buf *ret_key,
                    struct buf *ret_chain);

/* A certificate for the agent of 'endpoint' over the public key in 'csr_pem', which must be signed
 * by that key.  -EINVAL: no sound request, or a weak key. */
int ca_issue_agent(struct ca *ca, const char *csr_pem, const char *endpoint, int64_t life_s,
                   struct buf *ret_chain, char ret_serial[TLS_SERIAL_SIZE]);
