/* SPDX-License-Identifier: Apache-2.0 */
/* pins.h - the folder below a BPF file system that holds what an enforcer has pinned */
#pragma once

#include "base/buf.h"

/* Unpins everything there and removes the folder; 'why' receives a sentence.  'end_hooks' is called
 * in between, when there is something to detach: hooks that are no pins end first. */
int pins_remove(const char *path, void (*end_hooks)(void), struct buf *why);
