#include "io/clock.h"

#include <limits.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A session looks at the clock a few times: for that, the call costs less than the two pages that
 * the vDSO would be read from. */
static uint64_t micros(clockid_t clock)
{
    struct timespec t = {0};

#ifdef __LP64__
    syscall(SYS_clock_gettime, clock, &t);
#else
    clock_gettime(clock, &t);
#endif
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_micros(void)
{
    return micros(CLOCK_MONOTONIC);
}

uint64_t clock_wall_micros(void)
{
    return micros(CLOCK_REALTIME);
}

uint64_t clock_now(void)
{
    return clock_micros() / 1000;
}

int clock_left(uint64_t deadline)
{
    const uint64_t now = clock_now();

    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}
