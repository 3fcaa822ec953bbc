/* Authentication (RFC 4954; SASL, RFC 4422), which is another program's work: a Dovecot server's,
 * over its socket, or that of a checkpassword command. This process knows no password, and decides
 * nothing: it hands on what the client says, and forgets it. */
#ifndef SMTPIN_ADAPTERS_AUTH_H
#define SMTPIN_ADAPTERS_AUTH_H

#include "adapters/auth_state.h"

void auth_open(struct auth *a, const struct config *c, const struct peer *peer, struct span id);
/* The mechanisms that can be had now, inside TLS or not (peer->tls), with blanks between; empty:
 * none. False: the server can't be asked; *why is for the log. */
bool auth_mechanisms(struct auth *a, struct span *out, const char **why);
/* Begins a login; one that is going on is cancelled. The mechanism's name may have small letters.
 * `initial` is the initial response (RFC 4954 4), base64; NULL: there is none; with n = 0 it is the
 * empty one ("="). What is in it is wiped nowhere but here: the caller wipes its own. Waits at most
 * auth_timeout. */
void auth_begin(struct auth *a, struct span mechanism, const struct span *initial,
                struct auth_answer *out);
/* The client's response to a challenge, base64; may be empty. Waits at most auth_timeout. Without a
 * challenge before it: AUTH_LATER. */
void auth_go_on(struct auth *a, struct span response, struct auth_answer *out);
/* The client has cancelled the login ("*"), or is gone. */
void auth_cancel(struct auth *a);
/* Whatever was said is wiped. */
void auth_close(struct auth *a);

#endif
