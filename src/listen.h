/* The whole life of a listening process: it accepts connections and forks a process for each, which
 * is then the same single-session program. It reads no byte of a client's. */
#ifndef SMTPIN_LISTEN_H
#define SMTPIN_LISTEN_H

#include "adapters/log.h"
#include "adapters/setup.h"
#include "config/load.h"

/* What a child of the listening process has to serve. */
struct listen_accepted {
    int fd;
    struct sockaddr_storage from;
    int stop; /* readable once the child is asked to end */
    int seat; /* where it asks for a place for its proxy's client; -1: nowhere */
    const struct config *config;
    bool available; /* false: the configuration can't be trusted */
};

struct listen_given {
    const struct setup *setup;
    struct config_source source; /* .socket is each listener's own */
    bool available;              /* false: wrong usage */
    struct log *log;
};

enum listen_result {
    LISTEN_ACCEPTED, /* in each child: its connection is in *out */
    LISTEN_ENDED,    /* after SIGTERM and the last session, or listen_idle without any */
    LISTEN_FAILED,   /* no memory or no descriptors to begin with: in the log */
};

/* SIGTERM asks all sessions to end, SIGHUP reads the configuration anew. */
enum listen_result listen_run(const struct listen_given *given, struct listen_accepted *out);

#endif
