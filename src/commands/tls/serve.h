/* A process that serves many sessions, each in a child: smtpin-tls --serve. */
#ifndef SMTPIN_COMMANDS_TLS_SERVE_H
#define SMTPIN_COMMANDS_TLS_SERVE_H

#include "commands/tls/options.h"

/* Until SIGTERM or SIGINT; children go on. The exit status of the process. */
int serve(const struct tls_options *o);

#endif
