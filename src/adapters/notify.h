/* What the service manager is told (sd_notify(3)): readiness, and a line of status. No answer is
 * waited for. */
#ifndef SMTPIN_ADAPTERS_NOTIFY_H
#define SMTPIN_ADAPTERS_NOTIFY_H

#include "base/text.h"

#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un to;
    socklen_t length;
};

/* Looks at NOTIFY_SOCKET; where there is none, nothing is ever sent. */
void notify_open(struct notify *n);
/* One datagram of "NAME=value" lines. A manager that can't take it now is not waited for. */
void notify_send(const struct notify *n, struct span lines);

#endif
