/* The side of the wall that answers: it never sees a client's byte that was not parsed, believes
 * nothing that it is told, and does what a session may ask for. */
#ifndef SMTPIN_WALL_ANSWER_H
#define SMTPIN_WALL_ANSWER_H

#include "desk.h"
#include "wall/request.h"

struct answer {
    struct desk *desk;
    int fd;             /* the side that asks */
    struct text room;   /* for packets: PACKET_MAX */
    const char *shared; /* octets of messages on their way */
    size_t cap;
    struct arena *arena;     /* of the transaction */
    uint64_t transaction;    /* the one that is known */
    bool unfiltered;         /* and should not be: no transaction */
    bool over;               /* it has ended */
    uint64_t requests, most; /* how many came, how many may */
    uint64_t stored, ends;   /* of this message: octets, line ends among them */
    enum { ANSWER_IDLE, ANSWER_MESSAGE } state;
    bool refused;        /* the message could not be stored */
    uint64_t delivering; /* milliseconds that deliveries took */
    uint64_t errors;     /* refusals with 5yz */
    bool closed;         /* the session has ended as it should */
    char end[REQUEST_WORD_MAX + 1];
};

/* NULL, or what is wrong with the request: no session says such a thing. */
const char *answer_request(struct answer *a, struct span packet);

#endif
