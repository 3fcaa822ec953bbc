/* How long a connection's client is waited for, and how much it may be told, and say, at once: what
 * serve.h and those behind it share. */
#ifndef SMTPIN_SERVE_WIRE_H
#define SMTPIN_SERVE_WIRE_H

#include "config/config.h"
#include "smtp/session.h"

enum {
    SERVE_STOP_LATER = -2,   /* setup_stop, once somebody is waited for */
    SERVE_LATE = 30 * 1000,  /* milliseconds for replies when a session's time is over */
    SERVE_LINGER = 2 * 1000, /* milliseconds for a client to see our last reply */
    SERVE_READ_MAX = 64 * 1024,
    SERVE_AHEAD_MAX = 512 * 1024, /* more of it, while the client does not take its replies */
    SERVE_SEND_MAX = 2 * SMTP_REPLY_MAX + SMTP_AUTH_LINE_MAX, /* a challenge may be so long */
};

/* Milliseconds that replies may take altogether when the session's time is over. */
uint64_t serve_late_time(const struct config *c);

#endif
