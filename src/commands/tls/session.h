/* One session as smtpin sees it: syntax/tls_talk.h, this program's side. */
#ifndef SMTPIN_COMMANDS_TLS_SESSION_H
#define SMTPIN_COMMANDS_TLS_SESSION_H

#include "commands/tls/service.h"

/* Serves the session whose packets are on `control`, to its end. False: it came to nothing, which
 * is reported where it is not the client's fault alone. `control` is closed. */
bool session_serve(int control, const struct tls_service *s);

/* Says "unavailable" with that reason, and closes. */
void session_refuse(int control, const char *reason);

#endif
