/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - CLOCK_REALTIME */
#include <time.h>

#include "sys/clock.h"

uint64_t clock_unix_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now); /* Cannot fail for this clock. */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t clock_unix_s(void)
{
    return (int64_t)(clock_unix_ms() / 1000);
}
