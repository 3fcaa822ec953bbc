/* A connection to a server that the administrator has named. Connecting says nothing to it. A
 * host's name is looked up by getaddrinfo(3), whose time is not bounded here. */
#ifndef SMTPIN_IO_CONNECT_H
#define SMTPIN_IO_CONNECT_H

#include <stdint.h>

/* `server` is a path, unix:path, host:port or [address]:port; timeout in milliseconds, for all the
 * host's addresses. A connected descriptor (close-on-exec, not blocking), or -1 and why. */
int connect_server(const char *server, uint64_t timeout, const char **wrong);

#endif
