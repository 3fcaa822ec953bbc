/* The whole life of a connection: waits for the client, does what the session wants next, answers.
 * It opens, runs and logs nothing: services.h. */
#ifndef SMTPIN_SERVE_H
#define SMTPIN_SERVE_H

#include "adapters/auth.h"
#include "adapters/log.h"
#include "adapters/proxied.h"
#include "adapters/rules_state.h"
#include "adapters/tls.h"
#include "config/config.h"
#include "io/title.h"
#include "io/wire.h"
#include "sandbox/request.h"
#include "serve_wire.h"

#include <stdalign.h>
#include <stddef.h>

enum {
    SERVE_LOGINS_FAILED = 71, /* exit status below a listening process: how its client behaved */
    SERVE_ABUSED = 72,
    SERVE_CRASHED = 70, /* exit status of a monitor: the worker crashed, and the log has it */
    SERVE_STATE_MAX = 2 * 1024 + 512, /* octets of serve.c's own */
    SERVE_PAGE = 4096,
    SERVE_SPOOL_MAX = 256 * 1024, /* a large write costs a file system less than its parts */
    /* Recipients: some 2,000 with the longest of addresses, 10,000 usual ones. */
    SERVE_ARENA_MAX = 2 * 1024 * 1024,
    /* A word for each of those recipients, and more. */
    SERVE_DELIVERY_MAX = 4 * 1024 * 1024,
};

/* Memory of a process that serves, in one mapping; touched only as far as it is used, so what is
 * used first lies together, and not on a stack of its own pages. */
struct serve_memory {
    struct config config;
    max_align_t state[SERVE_STATE_MAX / sizeof(max_align_t)];
    char added[REQUEST_ADDED_MAX]; /* of packets between worker and monitor */
    char send[SERVE_SEND_MAX];
    alignas(SERVE_PAGE) char read[WIRE_BUFFER(SERVE_READ_MAX, SERVE_AHEAD_MAX)];
    char packet[PACKET_MAX];
    char spool[SERVE_SPOOL_MAX +
               PACKET_MAX]; /* the second part: for a packet that is received there */
    char trace[4096];
    struct rules_sources sources; /* zeroed */
    struct tls tls;               /* the same, as the next four */
    struct auth auth;
    struct smtp_login login;
    struct smtp_xclient xclient;
    struct proxied proxied;
    /* The configuration's to begin with; then the transaction's; what lies behind that is the
     * delivery's, while there is one. */
    alignas(SERVE_PAGE) char arena[CONFIG_ARENA_MAX + SERVE_ARENA_MAX + SERVE_DELIVERY_MAX];
};

struct serve_connection {
    int in, out;
    int stop; /* readable once this process is asked to end; -1: never; or SERVE_STOP_LATER */
    struct peer *peer;
    struct title *title; /* the process's, where this session may write it; else NULL */
    int seat;            /* to the listening process (adapters/seat.h); -1: none */
    bool listened;       /* a listening process hears how the client behaved */
    bool available;      /* false: 421, for a configuration that can't be trusted */
};

/* Speaks SMTP until the session is over. Returns the exit status for a listening process; for all
 * others the session has ended well. Descriptors stay open. `taken` is an arena
 * of at most CONFIG_ARENA_MAX at the start of memory->arena: the session's own begins behind it. */
int serve(const struct config *c, const struct serve_connection *connection, struct log *log,
          struct serve_memory *memory, const struct arena *taken);

#endif
