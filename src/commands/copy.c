#include "commands/copy.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP};

enum { ENDING = sizeof ending / sizeof *ending };

static bool write_whole(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno != EINTR)
            return false;
        bytes += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

bool copy_all(int from, int to, uint64_t *size)
{
    char chunk[65536];

    for (*size = 0;;) {
        const ssize_t n = pread(from, chunk, sizeof chunk, (off_t)*size);

        if (copy_must_end()) {
            errno = EINTR;
            return false;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        if (!write_whole(to, chunk, (size_t)n))
            return false;
        *size += (uint64_t)n;
    }
}

int copy_input(void)
{
    char chunk[65536];
    ssize_t n;
    int fd;

    if (lseek(0, 0, SEEK_SET) == 0)
        return 0;
    if (errno == EBADF) /* not a message of no octets in a new descriptor 0 */
        return -1;
    fd = memfd_create("message", MFD_CLOEXEC);
    while (fd >= 0 && (n = read(0, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || !write_whole(fd, chunk, (size_t)n))
            return -1;
    }
    return fd;
}

void copy_hold_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ENDING; i++) {
        struct sigaction usual;

        /* A blocked signal stays pending even when it is ignored. */
        if (sigaction(ending[i], NULL, &usual) == 0 && usual.sa_handler != SIG_IGN)
            sigaddset(&set, ending[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool copy_must_end(void)
{
    sigset_t pending;
    bool any = false;

    if (sigpending(&pending) < 0)
        return false;
    for (size_t i = 0; i < ENDING; i++)
        any = any || sigismember(&pending, ending[i]) == 1;
    return any;
}
