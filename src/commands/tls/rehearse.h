/* Handshakes of --serve with itself, before the first client's: what OpenSSL looks up, allocates
 * and keeps at the first of its kind, it has then, and so have the children. */
#ifndef SMTPIN_COMMANDS_TLS_REHEARSE_H
#define SMTPIN_COMMANDS_TLS_REHEARSE_H

#include "commands/tls/certificates.h"

#include <openssl/ssl.h>

/* One of each version that the context has; NULL: none. Whether it succeeds does not matter. */
void rehearse(SSL_CTX *ctx, const struct certificates *c);

#endif
