/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - tells a collector of logs and a webhook what happens, as the settings say */
#pragma once

#include <errno.h>

#include "base/buf.h"
#include "controller/main/app.h"
#include "controller/main/config.h"

struct notify;

/* Logs what is wrong with the settings, and returns it; without any of them it does nothing.
 * Needs app.events. */
int notify_open(struct app *app, struct loop *l, const struct config *c, struct notify **ret_n);
void notify_free(struct notify *n);
DEFINE_CLEANUP(struct notify, notify_free)

/* Flow records have come. */
void notify_flows(struct notify *n);
