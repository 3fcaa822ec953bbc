/* What is said of the name after EHLO or HELO, where a setting wants it looked at. Nobody is asked
 * about it, and no name is looked up. */
#ifndef SMTPIN_ADAPTERS_RULES_HELO_H
#define SMTPIN_ADAPTERS_RULES_HELO_H

#include "adapters/rules_state.h"

/* No opinion, or a refusal, of the greeting that the session has now. */
struct smtp_verdict rules_helo(struct rules *r);

#endif
