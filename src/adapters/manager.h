/* The service manager and the journal: what the first passes to this process, and what both are
 * told. There are two ways with the same results: libsystemd, loaded while it is needed, and by
 * hand, where it is not there or would double a session's price (docs/performance.md). Nobody is
 * waited for longer than a moment. */
#ifndef SMTPIN_ADAPTERS_MANAGER_H
#define SMTPIN_ADAPTERS_MANAGER_H

#include "adapters/log_output.h"

#include <stdint.h>

enum {
    MANAGER_SOCKETS_START = 3, /* the first descriptor that is passed */
    MANAGER_SOCKETS_MAX = 16,
};

struct manager_sockets {
    int n; /* from MANAGER_SOCKETS_START on; MANAGER_SOCKETS_MAX + 1: more than that */
    struct span name[MANAGER_SOCKETS_MAX]; /* of the first n; empty: none; never freed */
};

struct manager {
    /* What the calls between them need is loaded once. */
    void *(*hold)(void);
    void (*release)(void *held);
    /* Those that were passed to this very process (LISTEN_PID), which are close-on-exec then. One
     * that is not open counts too. */
    void (*sockets)(struct manager_sockets *out);
    bool (*listens)(int fd);
    /* Lines of NAME=value, terminated: a text for the service manager (sd_notify(3)). */
    void (*notify)(const char *lines);
    /* A record for the journal: lines of NAME=value, each with its end, no value with one. */
    enum log_output_result (*journal)(struct log_output *o, struct span lines);
};

extern const struct manager manager_by_hand;
#if defined(SMTPIN_STATIC)
#define manager_by_library manager_by_hand
#else
/* Where it can't be loaded, it does the same by hand. */
extern const struct manager manager_by_library;
#endif

#define MANAGER_JOURNAL "/run/systemd/journal/socket"

/* The way for this process: the library's, where the service manager has started it itself. */
const struct manager *manager_of_process(void);
/* Has it started this very process? Then its variables are about it, and not about another one. */
bool manager_started_this(void);
/* Milliseconds between two signs of life that the service manager waits for; 0: it waits for none
 * (sd_watchdog_enabled(3)). */
uint64_t manager_watchdog(void);
/* Is there a service manager to be told of anything (NOTIFY_SOCKET)? */
bool manager_hears(void);

#endif
