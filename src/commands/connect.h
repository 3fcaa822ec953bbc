/* Connecting to a server that is named on a command line. Nothing is said to it. */
#ifndef SMTPIN_COMMANDS_CONNECT_H
#define SMTPIN_COMMANDS_CONNECT_H

#include <stdint.h>

/* `server` is a path, unix:path, host:port or [address]:port; timeout in milliseconds. A connected
 * descriptor (close-on-exec, not blocking), or -1 and errno. */
int connect_server(const char *server, uint64_t timeout);

#endif
