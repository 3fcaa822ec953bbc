/* Who is at the other end: from the settings, the super-server's environment, or the socket. */
#ifndef SMTPIN_OUTSIDE_PEER_H
#define SMTPIN_OUTSIDE_PEER_H

#include "base/span.h"
#include "config.h"

struct peer {
    struct span address; /* an IP address; empty: a pipe, a file, a local socket */
    struct span port;    /* empty: not known */
    struct span name;    /* as the super-server looked it up; empty: not known */
    bool gone;           /* a connection whose client has left already */
    char room[160];
};

/* The port that the client has connected to, as far as it can be seen; else 0. */
unsigned peer_own_port(int fd);
/* `fd` is the connection. With `environment`, a super-server that has accepted it may have said who
 * it is: that goes before what the socket says. Spans point into p, c or the environment. */
void peer_find(struct peer *p, int fd, bool environment, const struct config *c);

#endif
