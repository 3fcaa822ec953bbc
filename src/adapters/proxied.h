/* A proxy tells who its client is: by a PROXY header (syntax/proxy.h) or XCLIENT. From then on that
 * one is the session's peer. Who may tell it is asked of the connection's own other end. */
#ifndef SMTPIN_ADAPTERS_PROXIED_H
#define SMTPIN_ADAPTERS_PROXIED_H

#include "adapters/peer.h"
#include "syntax/proxy.h"

#include <netinet/in.h>

/* Who the client is. Empty spans: not known. */
struct proxied_client {
    struct span address, port, name; /* the address as network_address writes it */
    struct span server_address, server_port;
};

/* Room for what a peer that was told of points to; zeroed. One for each session. */
struct proxied {
    struct tls_facts facts;
    char proxy_room[64], facts_room[PROXY_FACTS_MAX];
    char room[SMTP_DOMAIN_MAX + 128];
};

/* Is its PROXY header believed: is the peer in trusted_proxies? */
bool proxied_is_trusted(const struct config *c, const struct peer *p);
/* May it say XCLIENT? */
bool proxied_may_xclient(const struct config *c, const struct peer *p);
/* Has each of them its form? */
bool proxied_is_client(const struct proxied_client *client);
/* As a PROXY header says it. */
void proxied_by_header(struct proxied_client *out, const struct proxy_header *h);
/* The peer as it was, and what XCLIENT says of it: port and name belong to an address. False: it
 * says something of a wrong form. *names is room for addresses. */
struct proxied_names {
    char address[INET6_ADDRSTRLEN], server_address[INET6_ADDRSTRLEN];
};
bool proxied_by_xclient(struct proxied_client *out, const struct smtp_xclient *x,
                        const struct peer *p, struct proxied_names *names);
/* The peer is this client from now on. Its own environment (RELAYCLIENT, names) spoke of the
 * proxy, and counts no longer. The spans of *client are copied, and may be the peer's own. */
void proxied_take(struct peer *p, struct proxied *room, const struct proxied_client *client);
/* What a PROXY header says of the client's TLS, at most PROXY_FACTS_MAX octets as tls_facts_read
 * takes them. They are those of the session where proxy_tls is set; else they are for the log. */
void proxied_take_facts(struct peer *p, struct proxied *room, struct span facts,
                        const struct config *c);

#endif
