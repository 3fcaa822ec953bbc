#include "io/descriptors.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 1 << 20 }; /* where there is no limit to go by */

void descriptors_close(unsigned from, unsigned to)
{
    struct rlimit l;

    if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
        return;
    /* One above the limit, opened before that was lowered, is not seen. */
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_max > MOST)
        l.rlim_max = MOST;
    if (to >= l.rlim_max)
        to = (unsigned)l.rlim_max - 1;
    for (unsigned fd = from; fd <= to && fd >= from; fd++)
        close((int)fd);
}
