/* The handshake of one connection. */
#ifndef SMTPIN_COMMANDS_TLS_HANDSHAKE_H
#define SMTPIN_COMMANDS_TLS_HANDSHAKE_H

#include "base/text.h"
#include "commands/tls/certificates.h"

#include <stdint.h>

enum { HANDSHAKE_REASON_MAX = 200, HANDSHAKE_NAME_MAX = 256 };

struct handshake {
    /* Set by the caller. */
    const struct certificates *certificates; /* of a server: NULL for a client */
    int in, out;                             /* the connection: not blocking */
    int control;                             /* its end is the handshake's; -1: none */
    uint64_t deadline;                       /* on the clock of clock_now */

    char sni[HANDSHAKE_NAME_MAX];      /* the name that the client asks for; empty: none */
    char offered[64];                  /* the versions that the client offers: "TLSv1.3 TLSv1.2" */
    char reason[HANDSHAKE_REASON_MAX]; /* why it failed */
};

/* Sees to it that handshakes with this context are looked at here. */
void handshake_prepare(SSL_CTX *ctx);
/* A TLS connection on the descriptors of `h`, which must live as long; name: what a client asks
 * for, or NULL. NULL: no memory. Nothing is read or written yet. */
SSL *handshake_new(SSL_CTX *ctx, struct handshake *h, const char *name);
/* Handshakes. False: h->reason says why, in printable ASCII; an alert has been sent, where one was
 * due. */
bool handshake_run(SSL *ssl, struct handshake *h);

#endif
