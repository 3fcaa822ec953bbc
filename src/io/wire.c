#include "io/wire.h"

#include "io/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The super-server may have left the descriptor blocking or not: poll first, and take EAGAIN for
 * what it is. Time-outs are poll's, so pipes, files and terminals have them too. */
static enum wire_result wait_for_any(struct pollfd *p, nfds_t n, uint64_t deadline)
{
    for (;;) {
        const int ready = poll(p, n, clock_left(deadline));

        if (ready > 0)
            return WIRE_OK;
        if (ready == 0 && clock_left(deadline) == 0)
            return WIRE_TIMEOUT;
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return WIRE_ERROR;
    }
}

/* `stop` (-1: none) goes before the other. */
static enum wire_result wait_for(int fd, short events, int stop, uint64_t deadline)
{
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = stop, .events = POLLIN}};
    const enum wire_result waited = wait_for_any(p, stop < 0 ? 1 : 2, deadline);

    return waited == WIRE_OK && p[1].revents != 0 ? WIRE_STOP : waited;
}

/* A connection usually takes a reply at once, so it is not asked before. -1 and EAGAIN: it did not;
 * what is no socket is asked, since its write may block. */
static ssize_t write_at_once(struct wire *w, struct span left)
{
    ssize_t n = -1;

    if (!w->no_socket) {
        n = send(w->out, left.p, left.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        w->no_socket = n < 0 && errno == ENOTSOCK;
    }
    if (w->no_socket)
        errno = EAGAIN;
    return n;
}

/* WIRE_TIMEOUT: nothing is there. */
static enum wire_result read_once(struct wire *w, size_t most)
{
    const ssize_t n = read(w->in, w->buffer + w->end, most);

    if (n > 0) {
        w->end += (size_t)n;
        return WIRE_OK;
    }
    if (n == 0)
        return WIRE_EOF;
    /* A terminal whose other side has gone says EIO; a connection, ECONNRESET. */
    return errno == EINTR || errno == EAGAIN ? WIRE_TIMEOUT : WIRE_ERROR;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many octets may be read while a reply waits. */
static size_t room_ahead(const struct wire *w)
{
    const size_t most = w->cap + w->ahead, unread = w->end - w->start;

    if (w->ahead == 0 || w->ended != WIRE_OK || unread >= most)
        return 0;
    return smaller(most - unread, WIRE_BUFFER(w->cap, w->ahead) - w->end);
}

/* Waits until a reply can be written, and reads what comes meanwhile: the client may wait for that
 * before it takes the reply. What is in the buffer stays where it is, since a step of the session
 * may still look at it. */
static enum wire_result wait_to_write(struct wire *w, int stop, uint64_t deadline)
{
    while (room_ahead(w) > 0 && clock_left(deadline) > 0) {
        struct pollfd p[3] = {{.fd = w->out, .events = POLLOUT},
                              {.fd = w->in, .events = POLLIN},
                              {.fd = stop, .events = POLLIN}};
        const enum wire_result waited = wait_for_any(p, 3, deadline);
        enum wire_result got;

        if (waited == WIRE_OK && p[2].revents != 0)
            return WIRE_STOP;
        if (waited != WIRE_OK || p[0].revents != 0)
            return waited;
        got = read_once(w, room_ahead(w));
        if (got == WIRE_EOF || got == WIRE_ERROR)
            w->ended = got;
    }
    return wait_for(w->out, POLLOUT, stop, deadline);
}

static ssize_t write_some(struct wire *w, struct span left, enum wire_result *waited, int stop,
                          uint64_t deadline)
{
    ssize_t n = write_at_once(w, left);

    *waited = WIRE_OK;
    if (n < 0 && errno == EAGAIN) {
        *waited = wait_to_write(w, stop, deadline);
        errno = EAGAIN;
        /* So much a pipe that is ready takes at once (pipe(7)): more of it might block. */
        if (*waited == WIRE_OK && w->no_socket)
            n = write(w->out, left.p, smaller(left.n, PIPE_BUF));
    }
    return n;
}

static enum wire_result write_all(struct wire *w, uint64_t deadline)
{
    struct span left = text_span(&w->send);
    int stop = w->stop;

    while (left.n > 0) {
        enum wire_result waited;
        const ssize_t n = write_some(w, left, &waited, stop, deadline);

        if (waited == WIRE_STOP) {
            /* A client that does not read its replies does not keep us for its whole time. */
            stop = -1;
            if (clock_left(deadline) > (int)w->drain)
                deadline = clock_now() + w->drain;
        } else if (waited != WIRE_OK) {
            return waited;
        } else if (n >= 0) {
            left = span_from(left, (size_t)n);
        } else if (errno != EINTR && errno != EAGAIN) {
            return WIRE_ERROR;
        }
    }
    return WIRE_OK;
}

bool wire_stopped(const struct wire *w)
{
    struct pollfd p = {.fd = w->stop, .events = POLLIN};

    return w->stop >= 0 && poll(&p, 1, 0) == 1;
}

enum wire_result wire_flush(struct wire *w, uint64_t deadline)
{
    /* A reply that went out in part can't be taken back or said again: after a failure there is
     * silence. */
    const enum wire_result result = w->broken ? WIRE_ERROR : write_all(w, deadline);

    w->broken = result != WIRE_OK;
    w->send.n = 0;
    return result;
}

static enum wire_result read_some(struct wire *w, size_t most, uint64_t deadline)
{
    enum wire_result result = w->ended;

    if (result != WIRE_OK)
        return result;
    do {
        result = wait_for(w->in, POLLIN, w->stop, deadline);
        if (result != WIRE_OK)
            return result;
        result = read_once(w, most);
    } while (result == WIRE_TIMEOUT);
    return result;
}

void wire_move(struct wire *w)
{
    memmove(w->buffer, w->buffer + w->start, w->end - w->start);
    w->end -= w->start;
    explicit_bzero(w->buffer + w->end, w->start);
    w->start = 0;
}

/* How many octets may be read. What is unread is less than cap. */
static size_t make_room(struct wire *w)
{
    if (w->start == w->end)
        w->start = w->end = 0;
    if (w->end >= w->cap)
        wire_move(w);
    return w->end < w->cap ? w->cap - w->end : 0;
}

void wire_open(struct wire *w)
{
    const struct timeval moment = {.tv_usec = WIRE_MOMENT * 1000};

    w->prompt = setsockopt(w->in, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment) == 0;
}

enum wire_result wire_try_flush(struct wire *w)
{
    ssize_t n;

    if (w->broken)
        return WIRE_ERROR;
    if (w->send.n == 0)
        return WIRE_OK;
    n = write_at_once(w, text_span(&w->send));
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        w->broken = true;
        w->send.n = 0;
        return WIRE_ERROR;
    }
    if (n > 0)
        w->send.n -= (size_t)n;
    if (n > 0 && w->send.n > 0)
        memmove(w->send.p, w->send.p + n, w->send.n);
    return w->send.n > 0 ? WIRE_TIMEOUT : WIRE_OK;
}

enum wire_result wire_fill_briefly(struct wire *w)
{
    enum wire_result result;

    if (!w->prompt || w->ended != WIRE_OK)
        return WIRE_TIMEOUT;
    result = read_once(w, make_room(w));
    /* This client takes its time: from here on, it is waited for as others are. */
    w->prompt = result != WIRE_TIMEOUT;
    return result;
}

size_t wire_peek(struct wire *w)
{
    const ssize_t n = w->prompt ? recv(w->in, w->buffer + w->end, w->cap - w->end, MSG_PEEK) : -1;

    return n > 0 ? (size_t)n : 0;
}

enum wire_result wire_take(struct wire *w, size_t most, uint64_t deadline)
{
    if (w->prompt) {
        const enum wire_result result = read_once(w, most);

        if (result != WIRE_TIMEOUT)
            return result;
    }
    return read_some(w, most, deadline);
}

enum wire_result wire_fill(struct wire *w, uint64_t deadline)
{
    const size_t before = w->end;
    const enum wire_result flushed = wire_flush(w, deadline);

    if (flushed != WIRE_OK || w->end > before)
        return flushed;
    /* A client that always has bytes ready would never make poll wait. */
    if (clock_left(deadline) == 0)
        return WIRE_TIMEOUT;
    return read_some(w, make_room(w), deadline);
}

enum wire_result wire_pause(struct wire *w, uint64_t deadline)
{
    const enum wire_result result = wait_for(w->in, POLLRDHUP, w->stop, deadline);

    return result == WIRE_OK ? WIRE_EOF : result;
}

void wire_linger(struct wire *w, uint64_t deadline, size_t most)
{
    size_t before = 0;

    if (shutdown(w->out, SHUT_WR) < 0)
        return; /* not a socket, or gone: nothing would be reset */
    w->start = w->end = 0;
    w->stop = -1; /* nothing is left to cut short */
    while (before < most && clock_left(deadline) > 0 && read_some(w, w->cap, deadline) == WIRE_OK) {
        before += w->end;
        w->end = 0;
    }
}
