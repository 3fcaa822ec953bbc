/* Octets on their way out of this process: to descriptor 2, or to a socket of the journal's or
 * syslog's. Nobody who reads them too slowly, or not at all, is waited for longer than a moment.
 * Knows no record, and never decides where one goes: log.c does. */
#ifndef SMTPIN_ADAPTERS_LOG_OUTPUT_H
#define SMTPIN_ADAPTERS_LOG_OUTPUT_H

#include "base/span.h"

#include <sys/un.h>

/* How descriptor 2 is written to without waiting; each is for what the one before can't do. */
enum log_output_way {
    LOG_OUTPUT_NOWAIT, /* pwritev2(2), from Linux 6.4 on, for pipes, sockets and some files */
    LOG_OUTPUT_SOCKET, /* send(2) */
    LOG_OUTPUT_ALARM,  /* a write that an alarm interrupts */
};

struct log_output {
    enum log_output_way way;
    bool stream; /* the socket takes no datagrams */
    bool torn;   /* the last line on descriptor 2 has no end */
    bool stuck;  /* the last record was dropped (log.c says so): the next one is not waited for */
    int socket;  /* to the journal or syslog, once a record was sent; -1: none yet */
};

enum log_output_result {
    LOG_OUTPUT_SENT,
    LOG_OUTPUT_STUCK,  /* nobody has read it in time */
    LOG_OUTPUT_NOBODY, /* it could not be sent at all: errno */
};

/* To descriptor 2, in one piece, so that lines of many processes do not mix; what is no pipe may
 * still take it in several. False: not all of it went through. */
bool log_output_line(struct log_output *o, struct span left);
/* A datagram, to whoever has the socket of that name now. */
enum log_output_result log_output_datagram(struct log_output *o, const struct sockaddr_un *to,
                                           struct span s);
/* Where the socket of that name is a stream. The connection is kept while it takes what is sent. */
enum log_output_result log_output_stream(struct log_output *o, const struct sockaddr_un *to,
                                         struct span s);
/* What is sent next opens a socket anew. */
void log_output_close(struct log_output *o);

#endif
