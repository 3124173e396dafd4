/* SPDX-License-Identifier: Apache-2.0 */
/* Both directions of the agent protocol: whatever decodes must encode, and decode again alike; a
 * delta is applied to a small program.  The first byte chooses the side. */
#include <stdlib.h>

#include "base/base.h"
#include "wire/agent.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(enum agent_side side, const struct agent_message *m)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(agent_message_freep) struct agent_message *twin = NULL;
    const char *what;

    if (agent_encode(m, &out) < 0)
        abort();
    if (agent_decode(side, out.data + FRAME_HEADER_SIZE, out.size - FRAME_HEADER_SIZE, &twin,
                     &what) < 0)
        abort();
    if (twin->kind != m->kind)
        abort();
}

static void apply(const struct delta *d)
{
    CLEANUP(program_freep) struct program *base = program_new();
    CLEANUP(program_freep) struct program *to = NULL;
    const char *what;

    base->revision = d->base;
    if (delta_apply(base, d, &to, &what) == 0 && program_check(to, &what) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(agent_message_freep) struct agent_message *m = NULL;
    enum agent_side side;
    const char *what;
    size_t length;

    if (size < 1 + FRAME_HEADER_SIZE)
        return 0;
    side = (enum agent_side)(data[0] % 3);
    (void)frame_peek(data + 1, size - 1, agent_frame_max(side), &length); /* Must not crash. */
    if (agent_decode(side, data + 1, size - 1, &m, &what) < 0)
        return 0;
    again(side, m);
    if (m->kind == AGENT_DELTA)
        apply(m->delta.delta);
    return 0;
}
