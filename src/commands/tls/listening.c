#include "commands/tls/listening.h"

#include "base/number.h"
#include "commands/tls/report.h"
#include "io/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PASSED = 3, BACKLOG = 1024 };

/* 0: there is no such number. */
static uint64_t number_in(const char *variable)
{
    const char *text = environment_get(variable);
    uint64_t n;

    return text != NULL && number_parse(span_of(text), INT_MAX, &n) == NUMBER_OK ? n : 0;
}

static bool is_packets(int fd)
{
    int type = 0, listens = 0;
    socklen_t n = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens != 0;
}

/* A socket that nobody listens on is what a process has left that was killed. */
static bool is_left_over(const struct sockaddr_un *a)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat s;
    bool left;

    if (fd < 0)
        return false;
    left = lstat(a->sun_path, &s) == 0 && S_ISSOCK(s.st_mode) &&
           connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
    close(fd);
    return left;
}

static int make(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const size_t n = strlen(path);
    mode_t before;
    bool bound;

    if (n >= sizeof a.sun_path)
        errno = ENAMETOOLONG;
    if (fd < 0 || n >= sizeof a.sun_path)
        goto wrong;
    memcpy(a.sun_path, path, n + 1);
    if (is_left_over(&a))
        unlink(path);
    before = umask(0117);
    bound = bind(fd, (const struct sockaddr *)&a, sizeof a) == 0;
    umask(before);
    if (bound && listen(fd, BACKLOG) == 0)
        return fd;
wrong:
    report(LOG_ERR, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int listening_open(const char *path, bool *made)
{
    const uint64_t pid = number_in("LISTEN_PID");
    const uint64_t n = pid != 0 && pid == (uint64_t)getpid() ? number_in("LISTEN_FDS") : 0;
    int fd;

    *made = false;
    if (path == NULL && (n != 1 || !is_packets(PASSED))) {
        report(LOG_ERR, "no SOCKET, and systemd has not passed one (ListenSequentialPacket=)");
        return -1;
    }
    if (path == NULL) {
        fcntl(PASSED, F_SETFD, FD_CLOEXEC);
        fcntl(PASSED, F_SETFL, fcntl(PASSED, F_GETFL) | O_NONBLOCK);
        return PASSED;
    }
    fd = make(path);
    *made = fd >= 0;
    return fd;
}
