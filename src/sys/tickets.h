/* SPDX-License-Identifier: Apache-2.0 */
/* tickets.h - a session is taken up again without a signature, and judged as if it were new
 *
 * What
 * ====
 * A full handshake costs either end a signature and the check of a chain: some 2 ms.  When the
 * network comes back, ten thousand agents do, and a controller that signs for each of them is busy
 * for twenty seconds.  A ticket (RFC 8446 section 4.6.1) is what a server gave a client that had
 * shown its certificate; with it the next handshake is a Diffie-Hellman exchange alone.  The
 * exchange is always made (psk_dhe_ke), so that a stolen ticket opens no recorded traffic, and
 * there is no early data (0-RTT), which could be replayed.
 *
 * A ticket saves work, never judgement
 * ====================================
 * The attack is the former friend: an endpoint that was retired, enrolled again or given another
 * certificate, and that comes back with a ticket from better days.  Hence the certificate is kept
 * with the session, and at each resumption the server checks it again, as it would a new one: the
 * chain, the usage, its validity now, and, by 'counts', whether its owner still accepts it.  What
 * fails is not refused: the ticket is ignored, the full handshake follows, and the client is judged
 * there as ever, with the same words.  So a ticket that is not known (another daemon's, an older
 * run's) costs a signature and nothing else.  The client, too, checks the server's certificate
 * again, and its name, before it offers a ticket.
 *
 * Where sessions are
 * ==================
 * A ticket is a random number; the session is in the server's memory and nowhere else.  So there is
 * no key with which tickets could be forged, and after a restart no ticket is good.  (Sealed
 * tickets, which hold the session themselves, were tried: OpenSSL 3.0 reads the certificate anew at
 * each use and each making, .4 ms each, and nothing was won.)  A session is kept for TICKET_LIFE_S,
 * never beyond its certificate; a resumed one that is given another ticket gives up the former; of
 * more than TICKETS_MAX the oldest is forgotten. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum { TICKET_LIFE_S = 24 * 3600, TICKETS_MAX = 40000 };

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

/* What follows is used by sys/tls.h. */
struct tickets;

typedef bool tickets_counts_fn(void *user, const char *name, const char *serial);

/* 'counts' NULL: of a client, which keeps the newest that it is given.  Else of a server. */
struct tickets *tickets_new(struct ssl_ctx_st *context, tickets_counts_fn *counts, void *user);
void tickets_free(struct tickets *t); /* After the context. */

/* Of a client: the new session asks to be that of the ticket, if there is one that holds. */
void tickets_offer(struct tickets *t, struct ssl_st *session);

/* Of a server: how many sessions it has for those who come back. */
size_t tickets_n(const struct tickets *t);

/* Exchanges the kept ticket with another one, or with none. */
void tickets_swap(struct tickets *t, struct ssl_session_st **ticket);

void tickets_set_clock(struct tickets *t, int64_t (*now_s)(void));
