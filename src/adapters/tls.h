/* A session's TLS, which is another program's work: smtpin-tls's, as a service that runs already or
 * started for this session, or that of the super-server's own UCSPI-TLS program. This process holds
 * no key, and reads or writes nothing that is encrypted: it hands the connection away, and goes on
 * with one end of a stream for the plain text. What each says: syntax/tls_talk.h. */
#ifndef SMTPIN_ADAPTERS_TLS_H
#define SMTPIN_ADAPTERS_TLS_H

#include "config/config.h"
#include "io/child.h"
#include "syntax/tls_facts.h"
#include "syntax/tls_talk.h"

/* Our end of the plain text. */
struct tls_stream {
    int in, out; /* the same one, where it is a socket; -1: there is none */
    bool prompt; /* as struct wire has it */
};

/* Zeroed; tls_open sets it. Touched only where `tls` is on. */
struct tls {
    const struct config *config;
    bool given;     /* TLS is there before the session begins: whoever started us does it */
    bool by_caller; /* UCSPI-TLS */
    bool ready, secure;
    int control; /* -1: none */
    int theirs;  /* the other end of the stream, until smtpin-tls has it; -1 */
    int lent;    /* the connection to write to, which smtpin-tls has been given; -1 */
    struct tls_stream ours;
    bool started; /* `helper` is, or was, a process of ours */
    struct child_process helper;
    struct tls_facts facts;    /* once it is secure */
    struct span reason;        /* why it is not; empty: nobody has said */
    struct span offered, sni;  /* what is known of a client then */
    char room[TLS_PACKET_MAX]; /* for what these point to */
};

/* Before the client is read: makes what both ends need. `ours` is for whoever reads the client. */
void tls_open(struct tls *t, const struct config *c);
/* Makes sure that TLS can begin on that connection: there is somebody to do it, with a certificate.
 * `a`: for the words of a command, for the time of the call. False: t->reason. */
bool tls_prepare(struct tls *t, int in, int out, struct arena *a);
/* The client's side, in the place of tls_open and tls_prepare: `argv` makes smtpin-tls a client,
 * and is NULL where there was no memory for it. */
bool tls_prepare_client(struct tls *t, const struct config *c, char **argv, int connection);
/* The last plain text has been sent: the connection is smtpin-tls's from here on. Waits for the
 * handshake, at most tls_timeout, or until `stop` (-1: none) is readable. False: t->reason, and the
 * connection can't be used any more. */
bool tls_shake_hands(struct tls *t, int stop);
/* Both ends of the stream must be closed. Waits, for a while, until smtpin-tls has sent what it had
 * from us, where this process has started it. */
void tls_close(struct tls *t);

/* The words that make smtpin-tls do what the configuration says, the first `n` being there already;
 * NULL-terminated. NULL: the arena is full. */
char **tls_words(const struct config *c, const char *const *first, size_t n, struct arena *a);

#endif
