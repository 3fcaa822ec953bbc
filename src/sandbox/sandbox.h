/* `sandbox`: the process that reads a client's bytes, the worker, is cut off from everything else,
 * and asks its parent, the monitor, for what a session needs. The monitor never reads from the
 * connection. docs/security.md has the whole picture. */
#ifndef SMTPIN_SANDBOX_SANDBOX_H
#define SMTPIN_SANDBOX_SANDBOX_H

#include "backend/backend.h"
#include "sandbox/worker.h"

enum sandbox_result {
    SANDBOX_NONE,    /* no second process could be had */
    SANDBOX_WORKER,  /* this is the worker */
    SANDBOX_ENDED,   /* this is the monitor: the session is over, and has its record */
    SANDBOX_CRASHED, /* the same, but the worker crashed, or did what no session does */
};

/* What both processes get of the session that is to begin. */
struct sandbox_session {
    int in, out, stop;         /* the worker's, and readable once this process is asked to end */
    struct tls_stream plain;   /* what it goes on with inside TLS; -1: nothing */
    uint64_t deadline;         /* when the session ends at the latest, but for a delivery */
    uint64_t late;             /* milliseconds for late replies beyond that */
    struct text packet, added; /* rooms: PACKET_MAX and REQUEST_ADDED_MAX */
    struct arena *transaction;
    struct smtp_xclient *xclient;
    struct smtp_login *login; /* zeroed: each process has its own by then */
    size_t arena_max;         /* octets of it, and of what a delivery may have behind it */
};

/* Returns twice, as fork(2). False in *available: the session must say that it can't be served. */
enum sandbox_result sandbox_fork(struct backend *b, struct worker *w,
                                 const struct sandbox_session *s, bool *available);
/* Is there anything here that hinders it? NULL, or what. */
const char *sandbox_check(void);

#endif
