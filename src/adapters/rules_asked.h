/* The rules that ask a command or a policy server. Each returns its opinion; a reply of its own is
 * in q->reply, in the transaction's arena. Of whom they are asked is rules.c's. */
#ifndef SMTPIN_ADAPTERS_RULES_ASKED_H
#define SMTPIN_ADAPTERS_RULES_ASKED_H

#include "adapters/rules_state.h"

/* Once a session; once a transaction; for each recipient. */
enum smtp_opinion rules_check_client(struct rules_question *q);
enum smtp_opinion rules_check_sender(struct rules_question *q);
enum smtp_opinion rules_check_recipient(struct rules_question *q);
enum smtp_opinion rules_policy(struct rules_question *q);

/* What is decided at the session's other steps: by the policy servers. */
struct smtp_verdict rules_decide_step(struct rules *r, enum smtp_subject about);
/* The same, once the message is there. Its header may have been added to: rules_prepended. */
struct smtp_verdict rules_decide_message(struct rules *r, uint64_t size);

/* What a policy server has ordered for this transaction: header fields, each with its line end
 * (LF), to stand above Received:; to hold it; to drop it. */
struct span rules_prepended(const struct rules *r);
bool rules_hold(const struct rules *r);
bool rules_discard(const struct rules *r);

#endif
