/* What a session looks like from outside while it lives: a line for systemctl status, where systemd
 * started this process for it; the process's title, where a listening smtpin did. */
#ifndef SMTPIN_BACKEND_STATUS_H
#define SMTPIN_BACKEND_STATUS_H

#include "backend/record.h"
#include "io/title.h"

struct status {
    const struct record *record;
    struct title *title;           /* NULL: not this process's to change */
    bool of_monitor;               /* the worker reads the client, and has a title itself */
    const struct manager *manager; /* NULL: nobody is told */
    uint64_t next;                 /* clock_now from when on the manager hears of news */
};

/* A session that goes by in less than a second costs the manager nothing. A title is shown where a
 * session waits. */
enum { STATUS_INTERVAL = 1000 };

void status_open(struct status *s, const struct record *r, struct title *title);
/* Where something is waited for: the title, and, once a while, the manager. `doing`: NULL, or what
 * the session is about that is no phase of the protocol. */
void status_refresh(struct status *s, const char *doing);
/* The same, and the manager at once: for what may last. */
void status_send(struct status *s, const char *doing);

#endif
