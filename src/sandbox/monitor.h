/* The monitor answers the worker's requests: it checks each, and has the backend do what a session
 * may ask for. It never reads from the connection, parses nothing that was not parsed before, and
 * believes nothing that it is told. */
#ifndef SMTPIN_SANDBOX_MONITOR_H
#define SMTPIN_SANDBOX_MONITOR_H

#include "backend/backend.h"
#include "sandbox/request.h"

#include <sys/types.h>

struct monitor {
    struct backend *backend;
    int fd;            /* to the worker */
    pid_t worker;      /* its process */
    int stop;          /* readable once this one is asked to end; -1: never, or it has been told */
    uint64_t slack;    /* milliseconds for last words when its time is over */
    uint64_t deadline; /* when the session ends at the latest, but for what `delivering` counts */
    struct text room;  /* for packets: PACKET_MAX */
    struct arena *arena;  /* of the transaction */
    size_t arena_max;     /* octets of it, and of what a delivery may have behind it */
    uint64_t transaction; /* the one that is known */
    bool unfiltered;      /* and should not be: no transaction */
    bool over;            /* it has ended */
    bool begun;           /* its message, of which there is one */
    uint64_t requests[REQUEST_KIND_COUNT]; /* how many of each kind */
    const struct request_about *last;      /* the request that was read; NULL: none yet */
    uint64_t stored, ends;                 /* of this message: octets, line ends among them */
    enum { MONITOR_IDLE, MONITOR_MESSAGE } state;
    bool refused;        /* the message could not be stored */
    uint64_t delivering; /* milliseconds that storing and delivering took */
    uint64_t errors;     /* refusals with 5yz */
    bool closed;         /* the session has ended as it should */
    bool pressed;        /* an answer was not taken at once: the clock is to be looked at */
    char end[REQUEST_WORD_MAX + 1];
};

/* Is this process asked to end? Then the worker is asked too, and has less time. */
void monitor_check_stop(struct monitor *m);
/* Does what one request asks for. NULL, or what is wrong with it: no session asks for such a thing.
 */
const char *monitor_handle(struct monitor *m, struct span packet);

#endif
