#include "commands/connect.h"

#include "base/text.h"
#include "io/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connects within the time-out; -1 and errno. */
static int connect_to(const struct sockaddr *address, socklen_t n, uint64_t timeout)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const uint64_t deadline = clock_now() + timeout;
    int error = 0;
    socklen_t size = sizeof error;

    if (fd < 0)
        return -1;
    for (;;) {
        if (connect(fd, address, n) == 0)
            return fd;
        /* A Unix socket with a full backlog: it has no connection under way to wait for. */
        if (errno != EAGAIN || clock_left(deadline) == 0)
            break;
        poll(NULL, 0, 20);
    }
    if (errno == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        if (poll(&p, 1, timeout > 60000 ? 60000 : (int)timeout) == 1 &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
            return fd;
        errno = error == 0 ? ETIMEDOUT : error;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int connect_unix(const char *path, uint64_t timeout)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct text t = TEXT(a.sun_path);

    text_adds(&t, path);
    text_string(&t);
    if (t.cut) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return connect_to((const struct sockaddr *)&a, sizeof a, timeout);
}

static int connect_inet(const char *server, uint64_t timeout)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const char *colon = strrchr(server, ':');
    char host[256];
    struct text t = TEXT(host);
    struct span name;
    int fd = -1;

    errno = EINVAL;
    if (colon == NULL)
        return -1;
    name = (struct span){.p = server, .n = (size_t)(colon - server)};
    if (name.n > 1 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = span_first(span_from(name, 1), name.n - 2);
    text_add(&t, name);
    text_string(&t);
    if (t.cut || getaddrinfo(host, colon + 1, &hints, &list) != 0)
        return -1;
    for (const struct addrinfo *i = list; i != NULL && fd < 0; i = i->ai_next)
        fd = connect_to(i->ai_addr, i->ai_addrlen, timeout);
    freeaddrinfo(list);
    return fd;
}

int connect_server(const char *server, uint64_t timeout)
{
    if (strncmp(server, "unix:", 5) == 0)
        return connect_unix(server + 5, timeout);
    return server[0] == '/' ? connect_unix(server, timeout) : connect_inet(server, timeout);
}
