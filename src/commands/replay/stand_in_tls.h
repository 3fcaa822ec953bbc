/* TLS where smtpin is a process of its own: it has a certificate of its own making in the place of
 * the real one, and the client's side of the handshake is smtpin-tls, too. */
#ifndef SMTPIN_REPLAY_STAND_IN_TLS_H
#define SMTPIN_REPLAY_STAND_IN_TLS_H

#include "adapters/tls.h"
#include "commands/replay/server.h"

struct stand_in_tls {
    bool on;              /* smtpin does TLS */
    bool implicit;        /* from the first octet on */
    bool certificate;     /* it has the stand-in's */
    struct config config; /* what the client's side needs of it */
};

/* The settings that are needed, for the first *n of a list, which grows: none where TLS is off, and
 * none that the transcript or the command line sets. False: errno. */
bool stand_in_tls_open(struct stand_in_tls *s, const struct transcript *t,
                       const struct replay_options *o, const struct config *c, const char **setting,
                       size_t *n, struct arena *a);
/* The client's handshake on that connection, of which the caller's descriptor is to be closed then,
 * whatever has come of it. What goes on inside is tls->ours; *tls is for tls_close. False:
 * tls->reason. */
bool stand_in_tls_shake_hands(const struct stand_in_tls *s, struct tls *tls,
                              const struct tls_facts *wanted, int connection, struct arena *a);

#endif
