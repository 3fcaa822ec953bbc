/* The connection to a Dovecot server: its greeting, with the mechanisms that it has, and lines.
 * What is asked of it is not known here. Functions that return a string return NULL, or what is
 * wrong. */
#ifndef SMTPIN_ADAPTERS_AUTH_CONNECTION_H
#define SMTPIN_ADAPTERS_AUTH_CONNECTION_H

#include "adapters/auth_state.h"

/* The one reason that a caller knows: compare the pointer. */
extern const char auth_closed[];

/* Is there anything to bind a login to (RFC 5056) in the client's TLS session? */
bool auth_can_bind(const struct auth *a);
/* Makes sure of a connection whose greeting has been read, for what there is to bind to now. *kept:
 * it was there before. */
const char *auth_connect(struct auth *a, uint64_t deadline, bool *kept);
/* Wipes what was said on it, too. */
void auth_disconnect(struct auth *a);
/* The name may have small letters. NULL: there is none of that name. */
const struct auth_mechanism *auth_find_mechanism(const struct auth *a, struct span name);
/* Whole lines, each with its line end. */
const char *auth_send(struct auth *a, struct span lines, uint64_t deadline);
/* A line, without its end; it stays where it is until the next one is asked for. */
const char *auth_next_line(struct auth *a, uint64_t deadline, struct span *line);
/* Wipes what has been read of a->room; what has not goes to its beginning. */
void auth_drop_read(struct auth *a);

#endif
