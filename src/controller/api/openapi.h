/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.h - the route table as an OpenAPI 3.0 document
 *
 * docs/openapi.json is what this gives (`suimitsud --openapi`); a test fails when they differ. */
#pragma once

#include "controller/api/http.h"

/* The caller owns it. */
json_t *openapi_of(const struct http_route *routes, size_t n);
