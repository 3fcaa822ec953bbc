/* Stands before the C library (LD_PRELOAD) and makes calls fail as other file systems do:
 * SHIM_NAMELESS=E: open with O_TMPFILE fails; SHIM_LINKAT=E, SHIM_LINK=E: these fail, and with
 * SHIM_DONE=1 only after they have been done; SHIM_RENAME=E: renameat2 fails, which also takes
 * SHIM_DONE; SHIM_CLOCK=1: every name is the same; SHIM_SLEEP=N: fsync takes N ms. E is an errno.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int number_of(const char *name)
{
    const char *value = getenv(name);

    return value == NULL ? 0 : atoi(value);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    mode_t mode;

    va_start(more, flags);
    mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if ((flags & O_TMPFILE) == O_TMPFILE && number_of("SHIM_NAMELESS") != 0) {
        errno = number_of("SHIM_NAMELESS");
        return -1;
    }
    return openat64(AT_FDCWD, path, flags, mode);
}

/* The outcome of a call that `name` makes fail, done or not. */
static int fail(const char *name, int done)
{
    if (number_of(name) == 0)
        return done;
    errno = number_of(name);
    return -1;
}

static int is_done(const char *name)
{
    return number_of(name) == 0 || number_of("SHIM_DONE") != 0;
}

int link(const char *from, const char *to)
{
    return fail("SHIM_LINK", is_done("SHIM_LINK")
                                 ? (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0)
                                 : 0);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
    return fail("SHIM_LINKAT",
                is_done("SHIM_LINKAT") ? (int)syscall(SYS_linkat, a, from, b, to, flags) : 0);
}

long syscall(long number, ...)
{
    long (*next)(long, ...) = NULL;
    long a[6];
    va_list more;

    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    if (number != SYS_renameat2)
        return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return fail("SHIM_RENAME",
                is_done("SHIM_RENAME") ? (int)next(number, a[0], a[1], a[2], a[3], a[4], a[5]) : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const int result = (int)syscall(SYS_clock_gettime, clock, now);

    if (number_of("SHIM_CLOCK") != 0)
        *now = (struct timespec){.tv_sec = 1000};
    return result;
}

pid_t getpid(void)
{
    return number_of("SHIM_CLOCK") != 0 ? 7 : (pid_t)syscall(SYS_getpid);
}

int fsync(int fd)
{
    usleep((useconds_t)number_of("SHIM_SLEEP") * 1000);
    return (int)syscall(SYS_fsync, fd);
}
