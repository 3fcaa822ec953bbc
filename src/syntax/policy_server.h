/* How a policy server is named in the configuration, as in Postfix: "unix:/path", "inet:host:port".
 * Nothing is looked up. */
#ifndef SMTPIN_SYNTAX_POLICY_SERVER_H
#define SMTPIN_SYNTAX_POLICY_SERVER_H

#include "base/span.h"

enum { POLICY_SERVER_MAX = 320 }; /* octets */

/* NULL, or why it is no name of a server. */
const char *policy_is_server(struct span name);

#endif
