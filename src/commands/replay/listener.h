/* What the server says, as lines. Which of them are right is not decided here: replies.h. */
#ifndef SMTPIN_REPLAY_LISTENER_H
#define SMTPIN_REPLAY_LISTENER_H

#include "commands/replay/endpoint.h"

enum { LISTEN_MAX = 1 << 20 }; /* octets that are held at once */

struct listener {
    const struct endpoint *e;
    char *buffer;      /* LISTEN_MAX octets */
    size_t start, end; /* what has come and has not been taken */
    char code[3];      /* of the last line that has been taken */
    bool secure;       /* TLS has begun, or failed to */
    bool closed;       /* nothing more will come: the server has closed the connection, or */
    bool timed_out;    /* it says nothing for too long, or */
    bool flooded;      /* it says more than can be held */
    bool told;         /* a difference has shown that nothing more comes */
};

/* The line at place *at (which begins at l->start) without its CRLF, waiting for it; *at then is
 * the place behind it. False: there is none. The last line of a closed connection may have no end.
 * Valid until listener_take. */
bool listener_line(struct listener *l, size_t *at, struct span *line);
/* Everything before this place has served. */
void listener_take(struct listener *l, size_t at);
/* Why there is no further line, for people. */
struct span listener_why(const struct listener *l);

#endif
