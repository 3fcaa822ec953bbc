#include "io/clock.h"
#include "sandbox/handlers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

enum {
    PATIENCE = 10 * 1000, /* milliseconds for the worker to take all of an answer */
    /* Milliseconds from which on the worker looks at its clock before it goes on (serve.c does so
     * after WIRE_MOMENT). */
    LONG_WAIT = 1000,
};

void monitor_check_stop(struct monitor *m)
{
    struct pollfd p = {.fd = m->stop, .events = POLLIN};
    const struct config *c = m->backend->config;
    uint64_t drained;

    if (m->stop < 0 || poll(&p, 1, 0) != 1)
        return;
    m->stop = -1;
    kill(m->worker, SIGTERM);
    drained = clock_now() + c->drain_timeout + m->slack;
    if (drained < m->deadline + m->delivering)
        m->deadline = drained - m->delivering;
}

void monitor_count_time(struct monitor *m, uint64_t took)
{
    if (took < LONG_WAIT)
        return;
    if ((uint64_t)clock_left(m->deadline + m->delivering) <= m->slack) {
        m->delivering += took;
        m->overtime = true;
    }
    /* Before the worker goes on to what waits behind this. */
    monitor_check_stop(m);
}

/* One packet of an answer; *deadline, for all of them, is set once one has to wait. */
const char *monitor_send_answer(struct monitor *m, uint64_t *deadline)
{
    struct pollfd p = {.fd = m->fd, .events = POLLOUT};

    while (send(m->fd, m->room.p, m->room.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return NULL; /* it is gone: the next look at it says so */
        m->pressed = true;
        if (*deadline == 0)
            *deadline = clock_now() + PATIENCE;
        if (clock_left(*deadline) == 0)
            return "takes no answer";
        poll(&p, 1, clock_left(*deadline));
    }
    return NULL;
}
