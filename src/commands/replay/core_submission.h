/* What smtpin does to the header of a submitted message, where the core is played with alone
 * (core.h). */
#ifndef SMTPIN_REPLAY_CORE_SUBMISSION_H
#define SMTPIN_REPLAY_CORE_SUBMISSION_H

#include "adapters/head.h"

/* The message, whose first *head octets are ours, as adapters/submission.h leaves it. The reply
 * where it is refused; else NULL. */
const struct smtp_reply *core_submission(const struct head_facts *f, struct text *message,
                                         size_t *head, struct arena *a);

#endif
