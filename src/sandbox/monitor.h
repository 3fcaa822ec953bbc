/* The monitor answers the worker's requests: it checks each, and has the backend do what a session
 * may ask for. It never reads from the connection, parses nothing that was not parsed before, and
 * believes nothing that it is told. */
#ifndef SMTPIN_SANDBOX_MONITOR_H
#define SMTPIN_SANDBOX_MONITOR_H

#include "sandbox/handlers.h"

/* Does what one request asks for. NULL, or what is wrong with it: no session asks for such a thing.
 */
const char *monitor_handle(struct monitor *m, struct span packet);

#endif
