#include "commands/tls/carry.h"

#include "io/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM = 64 * 1024,
    RECORD = 16 * 1024,  /* the most that SSL_read gives at once */
    LAST_WORDS = 30000,  /* milliseconds that a client has to take what is left */
    FAREWELL = 2000,     /* milliseconds that it has to close */
    FAILED_MOMENT = 500, /* the same, of one that has not got that far */
};

/* One direction. What is in the buffer stands from `start` to `end`. */
struct way {
    char buffer[ROOM];
    size_t start, end;
    bool ended;  /* no more comes in */
    bool closed; /* nothing more can be put out */
    bool ready;  /* there may be something to read without waiting */
};

struct carrying {
    SSL *ssl;
    int in, out, from, to;
    struct way up;    /* from the client */
    struct way down;  /* to the client */
    bool ssl_writes;  /* SSL_read or SSL_write waits until the client takes octets */
    bool write_reads; /* SSL_write waits for octets of the client */
    bool broken;      /* the connection is gone */
    bool leaving;     /* smtpin has said its last, though not all of it may have been read yet */
};

static bool empty(const struct way *w)
{
    return w->start == w->end;
}

/* What an SSL call could not do. */
static void take_error(struct carrying *c, int result, struct way *reading)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        if (reading != NULL)
            reading->ready = false;
        else
            c->write_reads = true;
        break;
    case SSL_ERROR_WANT_WRITE:
        c->ssl_writes = true;
        if (reading != NULL)
            reading->ready = false;
        break;
    case SSL_ERROR_ZERO_RETURN:
        if (reading != NULL)
            reading->ended = true;
        else
            c->broken = true;
        break;
    default:
        c->broken = true;
    }
}

/* All that is there: a record that OpenSSL holds already does not make the descriptor readable. */
static bool read_client(struct carrying *c)
{
    struct way *w = &c->up;
    const size_t before = w->end;
    const bool had_ended = w->ended;

    while (w->ready && !w->ended && !c->broken && ROOM - w->end >= RECORD) {
        size_t got;
        int result;

        ERR_clear_error();
        result = SSL_read_ex(c->ssl, w->buffer + w->end, ROOM - w->end, &got);
        if (result != 1) {
            take_error(c, result, w);
            break;
        }
        w->end += got;
        /* A read more that finds nothing costs what poll does: worth it only in a stream of data.
         */
        if (!SSL_has_pending(c->ssl)) {
            w->ready = w->end - before >= RECORD;
            break;
        }
    }
    return w->end > before || w->ended != had_ended;
}

static bool write_stream(struct carrying *c)
{
    struct way *w = &c->up;
    bool some = false;

    while (!empty(w) && !w->closed) {
        const ssize_t sent = write(c->to, w->buffer + w->start, w->end - w->start);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            w->closed = true;
            break;
        }
        some = true;
        w->start += (size_t)sent;
    }
    if (empty(w) || w->closed)
        w->start = w->end = 0;
    if (w->ended && empty(w) && !w->closed) {
        w->closed = true;
        if (shutdown(c->to, SHUT_WR) < 0 && c->to != c->from) {
            close(c->to);
            c->to = -1;
        }
    }
    return some;
}

static bool read_stream(struct carrying *c)
{
    struct way *w = &c->down;
    ssize_t got;

    if (!w->ready || w->ended || !empty(w))
        return false;
    do
        got = read(c->from, w->buffer, ROOM);
    while (got < 0 && errno == EINTR);
    w->ready = got >= RECORD;
    if (got < 0 && errno == EAGAIN)
        return false;
    w->start = 0;
    w->end = got < 0 ? 0 : (size_t)got;
    w->ended = got <= 0;
    return true;
}

static bool write_client(struct carrying *c)
{
    struct way *w = &c->down;
    bool some = false;

    while (!empty(w) && !c->broken) {
        size_t sent;
        int result;

        ERR_clear_error();
        result = SSL_write_ex(c->ssl, w->buffer + w->start, w->end - w->start, &sent);
        if (result != 1) {
            take_error(c, result, NULL);
            break;
        }
        some = true;
        w->start += sent;
    }
    return some;
}

/* Waits for what could not be done without. False: the time is over, or it can't be waited. */
static bool wait_for_more(struct carrying *c, int milliseconds)
{
    struct way *up = &c->up, *down = &c->down;
    const bool reads = (!up->ended && ROOM - up->end >= RECORD) || c->write_reads;
    const bool writes = c->ssl_writes || (!empty(down) && !c->write_reads);
    const bool gives = !empty(up) && !up->closed;
    const bool takes = !down->ended && empty(down);
    /* A client that reads nothing keeps us from reading on: the end is seen all the same. */
    const bool watches = !down->ended && !takes && !c->leaving;
    /* One that nothing is wanted of is left out: its end would be reported again and again. */
    struct pollfd p[4] = {
        {.fd = reads ? c->in : -1, .events = POLLIN},
        {.fd = writes ? c->out : -1, .events = POLLOUT},
        {.fd = takes || watches ? c->from : -1, .events = takes ? POLLIN : POLLRDHUP},
        {.fd = gives ? c->to : -1, .events = POLLOUT},
    };
    int ready;

    do
        ready = poll(p, 4, milliseconds);
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return false;
    if (p[0].revents != 0) {
        up->ready = true;
        c->write_reads = false;
    }
    if (p[1].revents != 0) {
        c->ssl_writes = false;
        up->ready = true;
    }
    if (p[2].revents != 0 && watches)
        c->leaving = true;
    else if (p[2].revents != 0)
        down->ready = true;
    return true;
}

/* Has smtpin gone altogether, and has the client sent nothing that nobody has read? Then a close
 * resets nothing. */
static bool nothing_is_left(const struct carrying *c)
{
    struct pollfd p[2] = {{.fd = c->from}, {.fd = c->to}};
    int unread = 0;

    return poll(p, 2, 0) == 2 && empty(&c->up) && !SSL_has_pending(c->ssl) &&
           ioctl(c->in, FIONREAD, &unread) == 0 && unread == 0;
}

/* Reads and throws away until the client closes: to close a connection with octets that were not
 * read resets it, and the client may lose what was sent last (RFC 1122 4.2.2.13). */
static void throw_away(int in, int out, uint64_t deadline)
{
    char buffer[4096];
    ssize_t got = 1;

    shutdown(out, SHUT_WR);
    while (got != 0 && clock_left(deadline) > 0) {
        struct pollfd p = {.fd = in, .events = POLLIN};

        if (poll(&p, 1, clock_left(deadline)) <= 0)
            continue;
        got = read(in, buffer, sizeof buffer);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            return;
    }
}

/* smtpin has ended, and all that it said is with the client's kernel. */
static void say_goodbye(struct carrying *c, uint64_t deadline)
{
    int result;

    ERR_clear_error();
    while ((result = SSL_shutdown(c->ssl)) < 0) {
        struct pollfd p = {.fd = c->out, .events = POLLOUT};

        if (SSL_get_error(c->ssl, result) != SSL_ERROR_WANT_WRITE)
            return; /* the client has gone */
        if (poll(&p, 1, clock_left(deadline)) <= 0)
            break;
    }
    if (!c->up.ended && !nothing_is_left(c))
        throw_away(c->in, c->out, clock_now() + FAREWELL);
}

/* A server that has said all is done. A client may still hear something, once it has said that it
 * sends no more (RFC 8446 6.1: close_notify is about one direction). */
static bool is_done(struct carrying *c)
{
    int result;

    if (!c->down.ended || !empty(&c->down))
        return false;
    if (SSL_is_server(c->ssl) || c->up.closed)
        return true;
    if ((SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return false;
    ERR_clear_error();
    result = SSL_shutdown(c->ssl);
    if (result < 0)
        take_error(c, result, NULL);
    return false;
}

void carry(SSL *ssl, int in, int out, int from, int to)
{
    struct carrying *c = calloc(1, sizeof *c);
    uint64_t deadline = 0; /* once smtpin has ended */

    if (c == NULL)
        return;
    c->ssl = ssl;
    c->in = in;
    c->out = out;
    c->from = from;
    c->to = to;
    c->up.ready = true; /* the last flight of the handshake may have brought more */
    while (!c->broken && !is_done(c)) {
        bool some = read_client(c);

        some = write_stream(c) || some;
        some = read_stream(c) || some;
        some = write_client(c) || some;
        if ((c->down.ended || c->leaving) && deadline == 0)
            deadline = clock_now() + LAST_WORDS;
        if (!some && !c->broken && !wait_for_more(c, deadline == 0 ? -1 : clock_left(deadline)))
            break;
    }
    if (!c->broken && empty(&c->down))
        say_goodbye(c, deadline);
    free(c);
}

void carry_no_further(int in, int out)
{
    throw_away(in, out, clock_now() + FAILED_MOMENT);
}
