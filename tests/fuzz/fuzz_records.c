/* SPDX-License-Identifier: Apache-2.0 */
/* The privileged half reads programs from a process that strangers may have taken over: whatever
 * comes is refused, or passes program_check() and is judged without harm. */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "wire/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(program_freep) struct program *p = NULL, *again = NULL;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    struct program_query q = {.protocol = IPPROTO_TCP, .process = "/bin/sh", .user = "ops-1"};
    const char *what;

    if (program_decode(data, size, &p, &what) < 0)
        return 0;
    for (size_t i = 0; i < p->n_addresses && i < 8; i++) {
        q.remote = p->addresses[i].address;
        q.port = p->n_services ? p->services[i % p->n_services].low : 443;
        q.direction = i % 2 ? DIRECTION_IN : DIRECTION_OUT;
        (void)program_judge(p, &q);
    }
    program_encode(p, &bytes);
    if (program_decode(bytes.data, bytes.size, &again, &what) < 0)
        abort(); /* What we write, we read. */
    return 0;
}
