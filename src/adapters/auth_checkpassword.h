/* Logins by a checkpassword command (cr.yp.to/checkpwd/interface.html): it reads a user's name and
 * a password from its descriptor 3, and its exit status says whether they belong together. A smtpin
 * process is the SASL server then, of two mechanisms: PLAIN (RFC 4616) and LOGIN, which no RFC has.
 *
 * A checkpassword program executes its last words where the password is right. They are /bin/true,
 * which smtpin adds; if the command has such words of its own, /bin/true is an argument more. Its
 * exit status 0 is a login, 1 and 100 are none, and everything else is nobody's word. */
#ifndef SMTPIN_ADAPTERS_AUTH_CHECKPASSWORD_H
#define SMTPIN_ADAPTERS_AUTH_CHECKPASSWORD_H

#include "adapters/auth_state.h"

enum { CHECKPASSWORD_MAX = 512 }; /* octets on descriptor 3: the interface's own limit */

/* As auth.h has them. Both responses are base64. What is kept of one is in a->room. */
void auth_checkpassword_mechanisms(struct auth *a);
void auth_checkpassword_begin(struct auth *a, struct span mechanism, const struct span *initial,
                              struct auth_answer *out);
void auth_checkpassword_go_on(struct auth *a, struct span response, struct auth_answer *out);

#endif
