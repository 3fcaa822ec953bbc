/* Logins by a Dovecot server: a client of its authentication protocol, version 1, on its socket
 * `auth-client`. It has whatever mechanisms the server has, and knows none of them. There is one
 * connection in a session. */
#ifndef SMTPIN_ADAPTERS_AUTH_DOVECOT_H
#define SMTPIN_ADAPTERS_AUTH_DOVECOT_H

#include "adapters/auth_state.h"

/* As auth.h has them; responses are base64, and at most AUTH_RESPONSE_MAX octets. */

/* NULL, or why the server can't be asked. */
const char *auth_dovecot_mechanisms(struct auth *a);
void auth_dovecot_begin(struct auth *a, struct span mechanism, const struct span *initial,
                        struct auth_answer *out);
void auth_dovecot_go_on(struct auth *a, struct span response, struct auth_answer *out);
void auth_dovecot_cancel(struct auth *a);
void auth_dovecot_close(struct auth *a);

#endif
