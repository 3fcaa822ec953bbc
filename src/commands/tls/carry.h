/* Octets between a TLS connection and a stream of plain text. */
#ifndef SMTPIN_COMMANDS_TLS_CARRY_H
#define SMTPIN_COMMANDS_TLS_CARRY_H

#include <openssl/ssl.h>

/* Carries both ways until one of them has ended, and ends the connection in order: what is left is
 * sent, then close_notify. in, out: the connection, not blocking. `from` (readable) and `to`
 * (writable) are the stream's, not blocking, perhaps the same; `to` is closed or shut down when the
 * client has ended. Nothing of it is written in plain text to the connection. SIGPIPE is ignored.
 */
void carry(SSL *ssl, int in, int out, int from, int to);
/* Ends a connection whose handshake has failed: the alert must reach the client, although that may
 * have sent more than was read. */
void carry_no_further(int in, int out);

#endif
