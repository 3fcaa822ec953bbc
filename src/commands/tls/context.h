/* What all connections of a process share: OpenSSL's SSL_CTX, as smtpin-tls(8) has it. */
#ifndef SMTPIN_COMMANDS_TLS_CONTEXT_H
#define SMTPIN_COMMANDS_TLS_CONTEXT_H

#include "base/text.h"
#include "commands/tls/certificates.h"
#include "commands/tls/options.h"

/* Starts OpenSSL, without its configuration files. Called once, before all else of it. */
bool context_start(void);
/* A context with the certificates of set 0, for TLS_CLIENT the client's side. NULL: `wrong` says
 * why. The caller's; the certificates must live as long. */
SSL_CTX *context_new(const struct tls_options *o, const struct certificates *c, struct text *wrong);

#endif
