/* The verbs: one table, a row and a function each. A command is found there, held against its row
 * (argument, phase, protocol) and run; what a session does without a command is session.h's. */
#ifndef SMTPIN_SMTP_VERBS_H
#define SMTPIN_SMTP_VERBS_H

#include "smtp/state.h"

/* Runs a command. `line` is without its CRLF; it need live only for the call. */
enum smtp_want smtp_dispatch(struct smtp_session *s, struct span line);
/* What the command goes on with whose SMTP_NEXT_DECISION (s->about: a greeting, a sender, DATA) was
 * no refusal. */
enum smtp_want smtp_go_on(struct smtp_session *s);
/* Is it a verb, of SMTP or LMTP, whose command holds no secret? Then it may be written down. */
bool smtp_verb_may_be_recorded(struct span name);

#endif
