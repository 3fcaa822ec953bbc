#include "io/connect.h"

#include "base/text.h"
#include "io/clock.h"
#include "io/exchange.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG_WAIT = 20 /* ms between two attempts at a full one */ };

static int wait_until_connected(int fd, uint64_t deadline)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (!exchange_wait(fd, POLLOUT, deadline))
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/* Connects by the deadline; -1 and *error. */
static int connect_to(const struct sockaddr *address, socklen_t n, uint64_t deadline, int *error)
{
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *error = errno;
    if (fd < 0)
        return -1;
    for (;;) {
        if (connect(fd, address, n) == 0)
            return fd;
        *error = errno;
        /* A Unix socket with a full backlog: it has no connection under way to wait for. */
        if (*error != EAGAIN)
            break;
        *error = ETIMEDOUT;
        if (clock_left(deadline) == 0)
            break;
        poll(NULL, 0, BACKLOG_WAIT);
    }
    if (*error == EINPROGRESS)
        *error = wait_until_connected(fd, deadline);
    if (*error == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_unix(const char *path, uint64_t deadline, const char **wrong)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct text t = TEXT(a.sun_path);
    int fd, error;

    text_adds(&t, path);
    text_string(&t);
    if (t.cut) {
        *wrong = strerror(ENAMETOOLONG);
        return -1;
    }
    fd = connect_to((const struct sockaddr *)&a, sizeof a, deadline, &error);
    if (fd < 0)
        *wrong = strerror(error);
    return fd;
}

/* Each of its addresses in turn; what is left of the time is shared among those that are left. */
static int connect_one_of(const struct addrinfo *list, uint64_t deadline, const char **wrong)
{
    uint64_t n = 0;
    int fd = -1, error = 0;

    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next)
        n++;
    for (const struct addrinfo *i = list; i != NULL && fd < 0; i = i->ai_next, n--)
        fd = connect_to(i->ai_addr, i->ai_addrlen, clock_now() + (uint64_t)clock_left(deadline) / n,
                        &error);
    if (fd < 0)
        *wrong = strerror(error);
    return fd;
}

/* getaddrinfo(3) has no errno of its own. */
static const char *why_not_found(int result)
{
    switch (result) {
    case EAI_SYSTEM:
        return strerror(errno);
    case EAI_NONAME:
    case EAI_SERVICE:
        return "its host or its port is not known";
    default:
        return gai_strerror(result);
    }
}

static int connect_inet(const char *server, uint64_t deadline, const char **wrong)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    size_t colon = strlen(server);
    char host[256];
    struct text t = TEXT(host);
    struct span name;
    int fd = -1, result;

    while (colon > 0 && server[colon] != ':')
        colon--;
    *wrong = "has no port";
    if (server[colon] != ':')
        return -1;
    name = (struct span){.p = server, .n = colon};
    if (name.n > 1 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = span_first(span_from(name, 1), name.n - 2);
    text_add(&t, name);
    text_string(&t);
    *wrong = "has a name that is too long";
    if (t.cut)
        return -1;
    result = getaddrinfo(host, server + colon + 1, &hints, &list);
    if (result == 0) {
        fd = connect_one_of(list, deadline, wrong);
        freeaddrinfo(list);
    } else {
        *wrong = why_not_found(result);
    }
    return fd;
}

int connect_server(const char *server, uint64_t timeout, const char **wrong)
{
    const uint64_t deadline = clock_now() + timeout;

    if (span_starts_nocase(span_of(server), SPAN("unix:")))
        return connect_unix(server + 5, deadline, wrong);
    return server[0] == '/' ? connect_unix(server, deadline, wrong)
                            : connect_inet(server, deadline, wrong);
}
