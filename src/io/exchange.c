#include "io/exchange.h"

#include "io/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

bool exchange_wait(int fd, short events, uint64_t deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    do
        n = poll(&p, 1, clock_left(deadline));
    while (n < 0 && errno == EINTR && clock_left(deadline) > 0);
    return n > 0;
}

int exchange_send(int fd, struct span octets, uint64_t deadline)
{
    while (octets.n > 0) {
        const ssize_t n = send(fd, octets.p, octets.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            octets = span_from(octets, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            return errno;
        else if (errno == EAGAIN && !exchange_wait(fd, POLLOUT, deadline))
            return ETIMEDOUT;
    }
    return 0;
}
