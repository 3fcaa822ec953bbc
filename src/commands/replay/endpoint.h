/* The other side of the connection, as a player of transcripts sees it: the real program
 * (program.h), or the core in this process (core.h). */
#ifndef SMTPIN_REPLAY_ENDPOINT_H
#define SMTPIN_REPLAY_ENDPOINT_H

#include "syntax/tls_facts.h"

struct endpoint {
    void *context;
    /* Sends all of it; false when the server is gone, which is no difference by itself. */
    bool (*send)(void *context, struct span bytes);
    /* What the server has sent since, at least one byte, waiting for it; empty: it has closed, or
     * (*timed_out) says nothing for too long. Valid until the next call. */
    struct span (*receive)(void *context, bool *timed_out);
    /* TLS begins, as the client asks for it: with these facts, as far as they are known. What the
     * client sends and receives from here on is inside. *is is what it has become. False: *why. */
    bool (*secure)(void *context, const struct tls_facts *wanted, struct tls_facts *is,
                   struct span *why);
    bool secure_first; /* before the client hears or says anything */
    bool header_first; /* but for what a proxy says of it in its first octets */
    void (*half_close)(void *context);
    void (*disconnect)(void *context);
};

#endif
