/* What a handshake has shown: the facts of syntax/tls_talk.h. */
#ifndef SMTPIN_COMMANDS_TLS_FACTS_H
#define SMTPIN_COMMANDS_TLS_FACTS_H

#include "base/text.h"
#include "commands/tls/handshake.h"

/* Adds NAME=VALUE and a NUL; the value is cut to TLS_VALUE_MAX, and a control character or one
 * outside ASCII in it becomes '?'. */
void facts_add(struct text *out, const char *name, struct span value);
/* Adds all that is known of a connection after its handshake. */
void facts_of(struct text *out, SSL *ssl, const struct handshake *h);

#endif
