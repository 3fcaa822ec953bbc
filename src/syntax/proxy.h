/* The header of the PROXY protocol (HAProxy's proxy-protocol.txt), versions 1 and 2: what a proxy
 * says of its client before that one's first octet. Octets in, a header out: nothing is read here,
 * and whether the proxy is to be believed is not decided here. */
#ifndef SMTPIN_SYNTAX_PROXY_H
#define SMTPIN_SYNTAX_PROXY_H

#include "base/span.h"

enum {
    PROXY_HEADER_MAX = 64 * 1024, /* octets: a longer one is refused */
    PROXY_FACTS_MAX = 1024,
};

enum proxy_result {
    PROXY_MORE,   /* so far it is the beginning of a header */
    PROXY_WRONG,  /* it is none: see `wrong` */
    PROXY_HEADER, /* it is there */
};

/* Spans are in the header's own rooms, so it must not be copied; empty: not known. */
struct proxy_header {
    size_t octets;     /* of the header: what is behind them is the client's */
    size_t needs;      /* PROXY_MORE: it has at least so many octets in all */
    const char *wrong; /* PROXY_WRONG: a word for the log: "proxy_checksum" */
    unsigned version;
    /* Canonical, as network_address writes it. Without one: LOCAL, UNKNOWN, or a client on a local
     * socket. */
    struct span address, port, server_address, server_port;
    /* Of the client's TLS session with the proxy, as tls_facts_read takes them: NAME=VALUE, each
     * with a NUL behind it. Empty: the client speaks without TLS. */
    struct span facts;
    char room[128], facts_room[PROXY_FACTS_MAX];
};

/* `octets`: the first ones of the connection, and perhaps others behind the header. */
enum proxy_result proxy_read(struct span octets, struct proxy_header *out);

#endif
