/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/commands.h"
int run_with_controller(const struct agent_options *o, const struct enforce_options *e)
{
    (void)o;
    (void)e;
    return 1;
}
int enroll(const struct agent_options *o)
{
    (void)o;
    return 1;
}
