/* Who may send to whom: a chain of rules, asked in order until one has an opinion. An opinion is
 * all that comes of it: no recipient is added, and nothing is said or logged. */
#ifndef SMTPIN_ADAPTERS_RULES_H
#define SMTPIN_ADAPTERS_RULES_H

#include "adapters/peer.h"
#include "config/config.h"

struct rules_question {
    const struct config *config;
    const struct peer *peer;
    const struct smtp_mailbox *recipient;
    struct span domain; /* the recipient's, in ASCII where it can be had; rules_open */
    bool no_idn;        /* it could not: there is no libidn2 */
    char room[SMTP_DOMAIN_MAX + 1];
};

/* Asks what is asked of a recipient. A U-label's domain is looked up as its A-labels (RFC 5890), so
 * not for the worker of a sandbox: syntax/idn.h. *q must not be copied afterwards. */
void rules_open(struct rules_question *q, const struct config *c, const struct peer *peer,
                const struct smtp_mailbox *recipient);

/* Who decides in the sandbox: the worker asks the chain itself, as long as that takes nothing but
 * the configuration and the address, and the monitor asks it again before it adds the recipient.
 * A decision that takes more is the monitor's alone: now that is a library, for a domain outside
 * ASCII. A rule that opens a file or asks a neighbour says so here, and nowhere else. */
bool rules_take_more(const struct smtp_mailbox *recipient);

/* Rule number i of the chain: its name, and its verdict on the question in *out. NULL past the
 * last rule. */
const char *rules_ask(size_t i, const struct rules_question *q, struct smtp_verdict *out);
/* The chain's verdict; there always is one. Its reply.rule names the rule. */
struct smtp_verdict rules_decide(const struct rules_question *q);
/* Is `domain`, in ASCII, in the list of `domains`? ".example.org" stands for every domain below it.
 */
bool rules_domain_listed(struct span list, struct span domain);

#endif
