/* Who may send to whom: a chain of rules, asked in order until one has an opinion. */
#ifndef SMTPIN_OUTSIDE_RULES_H
#define SMTPIN_OUTSIDE_RULES_H

#include "config.h"
#include "outside/peer.h"

struct rules_question {
    const struct config *config;
    const struct peer *peer;
    const struct smtp_mailbox *recipient;
};

/* Rule number i of the chain: its name, and its verdict on the question in *out. NULL past the
 * last rule. */
const char *rules_ask(size_t i, const struct rules_question *q, struct smtp_verdict *out);
/* The chain's verdict; there always is one. Its reply.rule names the rule. */
struct smtp_verdict rules_decide(const struct rules_question *q);
/* Is `domain` in the list of `domains`? ".example.org" stands for every domain below it. */
bool rules_domain_listed(struct span list, struct span domain);

#endif
