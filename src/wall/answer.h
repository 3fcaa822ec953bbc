/* The side of the wall that answers: it never reads from the connection, parses nothing that was
 * not parsed before, believes nothing that it is told, and does what a session may ask for. */
#ifndef SMTPIN_WALL_ANSWER_H
#define SMTPIN_WALL_ANSWER_H

#include "desk.h"
#include "wall/request.h"

#include <sys/types.h>

struct answer {
    struct desk *desk;
    int fd;            /* the side that asks */
    pid_t child;       /* its process */
    int stop;          /* readable once this one is asked to end; -1: never, or it has been told */
    uint64_t slack;    /* milliseconds for last words when its time is over */
    uint64_t deadline; /* when the session ends at the latest, but for what `delivering` counts */
    struct text room;  /* for packets: PACKET_MAX */
    struct arena *arena;     /* of the transaction */
    uint64_t transaction;    /* the one that is known */
    bool unfiltered;         /* and should not be: no transaction */
    bool over;               /* it has ended */
    bool begun;              /* its message, of which there is one */
    uint64_t requests, most; /* how many came, how many may */
    uint64_t stored, ends;   /* of this message: octets, line ends among them */
    enum { ANSWER_IDLE, ANSWER_MESSAGE } state;
    bool refused;        /* the message could not be stored */
    uint64_t delivering; /* milliseconds that storing and delivering took */
    uint64_t errors;     /* refusals with 5yz */
    bool closed;         /* the session has ended as it should */
    bool pressed;        /* an answer was not taken at once: the clock is to be looked at */
    char end[REQUEST_WORD_MAX + 1];
};

/* Is this process asked to end? Then the other one hears of it, and has less time. */
void answer_look_at_stop(struct answer *a);
/* NULL, or what is wrong with the request: no session says such a thing. */
const char *answer_request(struct answer *a, struct span packet);

#endif
