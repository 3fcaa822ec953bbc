/* The outcome of a run for its recipients: how it ended and what it printed become their replies.
 * Nothing is started, read or logged here. */
#ifndef SMTPIN_ADAPTERS_OUTCOME_H
#define SMTPIN_ADAPTERS_OUTCOME_H

#include "config/config.h"
#include "io/child.h"

/* The one reply for a run that ended so, having printed `said`. Its text is in the arena. */
struct smtp_reply outcome_reply(const struct config *config, const struct child_result *result,
                                struct span said, struct span id, struct arena *a);
/* deliver_replies = each: a line for each recipient, in order, no more and no fewer, becomes its
 * result; else nobody knows what belongs to whom, and all are told to come again: false. */
bool outcome_take_lines(struct span said, struct span id, struct smtp_recipient *const *recipient,
                        size_t n, struct arena *a);

#endif
