/* A key and a certificate that this process makes for itself, for want of others. */
#ifndef SMTPIN_COMMANDS_TLS_SELF_SIGNED_H
#define SMTPIN_COMMANDS_TLS_SELF_SIGNED_H

#include "commands/tls/certificates.h"

enum { SELF_SIGNED_DAYS = 7 };

/* Adds one for the name: P-256, in memory alone. False: it has complained. */
bool self_signed_add(struct certificates *c, const char *name);

#endif
