/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h - files as the controller's API takes them */
#pragma once

#include <jansson.h>

/* Adds {name, text} of a file, or of all of a folder, to 'list'.  An exit code; what is wrong has
 * been told. */
int upload_files(json_t *list, const char *path);
