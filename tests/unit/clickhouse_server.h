/* SPDX-License-Identifier: Apache-2.0 */
/* clickhouse_server.h - Debian's clickhouse-server with a configuration of its own, for tests */
#pragma once

#include <stdbool.h>

/* Starts it on a free port of 127.0.0.1 with its files in 'folder'; false: it is not installed.
 * Again after clickhouse_kill(): the same port and files. */
bool clickhouse_begin(const char *folder);
void clickhouse_kill(void); /* -9, and waits. */
int clickhouse_port(void);
