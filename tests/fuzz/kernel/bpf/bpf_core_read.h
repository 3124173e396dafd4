/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of libbpf's header where programs of the kernel are fuzzed: see bpf_helpers.h. */
#pragma once

#define bpf_core_type_id_local(type) 0
