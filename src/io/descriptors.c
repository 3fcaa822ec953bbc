#include "io/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MOST = 1 << 16
}; /* one by one; one above the limit, opened before that was lowered, stays */

void descriptors_close(unsigned from, unsigned to)
{
    struct rlimit l;

    if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
        return;
    /* One above the limit, opened before that was lowered, is not seen. */
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > MOST)
        l.rlim_cur = MOST;
    for (unsigned fd = from; fd <= to && fd < l.rlim_cur; fd++)
        close((int)fd);
}

bool descriptors_fill_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
    return fd >= 0;
}
