/* Who is at the other end: from the settings, the super-server's environment, or the socket. No
 * name is looked up. */
#ifndef SMTPIN_ADAPTERS_PEER_H
#define SMTPIN_ADAPTERS_PEER_H

#include "base/span.h"
#include "config/config.h"
#include "syntax/tls_facts.h"

#include <sys/socket.h>

struct peer {
    struct span address; /* an IP address; empty: a pipe, a file, a local socket */
    struct span port;    /* empty: not known */
    struct span name;    /* as the super-server looked it up; empty: not known */
    struct span path;    /* of a client on a local socket, where systemd tells it; else empty */
    bool relays;         /* RELAYCLIENT is set: tcprules lets it send anywhere */
    struct span relay_suffix; /* its value, which goes to the end of each recipient */
    struct span cookie;       /* SO_COOKIE, where systemd tells it; else empty */
    struct span server_address, server_port; /* peer_find_server; empty: not known */
    const struct tls_facts *tls;       /* of the session, once it is inside TLS; NULL: it is not */
    bool proxied;                      /* a proxy has said who the client is (proxied.h) */
    struct span proxy;                 /* its address; empty: it has none */
    const struct tls_facts *proxy_tls; /* what it says of the client's TLS; NULL: nothing */
    char room[160], server_room[64];
};

/* The port that the client has connected to, as far as it can be seen; else 0. */
unsigned peer_own_port(int fd);
/* The end of the connection that is ours: for policy servers. */
void peer_find_server(struct peer *p, int fd);
/* `from` is the other end of the connection (NULL or AF_UNSPEC: it has none). With `environment`, a
 * super-server that has accepted it may have said who it is: that goes before. Spans point into p,
 * c or the environment. */
void peer_find(struct peer *p, const struct sockaddr_storage *from, bool environment,
               const struct config *c);

#endif
