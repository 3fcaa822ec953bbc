/* Who may send to whom: a chain of rules, asked in order. The first part says whether mail may go
 * there at all; the first rule of it that has an opinion ends it. Each rule behind it may refuse or
 * defer. Recipients are not added here, and nothing is said to the client. */
#ifndef SMTPIN_ADAPTERS_RULES_H
#define SMTPIN_ADAPTERS_RULES_H

#include "adapters/rules_asked.h"
#include "adapters/rules_tables.h"

/* Asks what is asked of a recipient. A U-label's domain is looked up as its A-labels (RFC 5890), so
 * not for the worker of a sandbox: syntax/idn.h. *q must not be copied afterwards. */
void rules_ask_about(struct rules_question *q, struct rules *r,
                     const struct smtp_mailbox *recipient);

/* Who decides in the sandbox: the worker asks the chain itself, as long as that takes nothing but
 * the configuration and the address, and the monitor asks it again before it adds the recipient.
 * A decision that takes more (a library for a domain outside ASCII, a table, a command, a policy
 * server) is the monitor's alone. A rule that needs more says so here and in config.asks, and
 * nowhere else. */
bool rules_take_more(const struct rules *r, const struct smtp_mailbox *recipient);

/* Rule number i of the chain: its name, and its opinion on the question in *out (SMTP_NO_OPINION
 * too where it need not be asked). NULL past the last rule. */
const char *rules_ask(size_t i, struct rules_question *q, struct smtp_verdict *out);
/* Is it asked at all, of such a question? */
bool rules_applies(size_t i, const struct rules_question *q);
/* The chain's verdict; there always is one, but where only_listed. Its reply.rule names the rule.
 */
struct smtp_verdict rules_decide(struct rules_question *q);
/* The verdict on what SMTP_NEXT_DECISION is about: a recipient, a user (VRFY); the session's other
 * steps (recipient NULL), on which the policy servers decide. Where an alias stands for an accepted
 * recipient, it has its list. */
struct smtp_verdict rules_decide_for(struct rules *r, enum smtp_subject about,
                                     struct smtp_recipient *recipient);

#endif
