/* The rules that look into tables. Each returns its opinion; a reply of its own is in q->reply, in
 * the transaction's arena. Of whom they are asked is rules.c's. */
#ifndef SMTPIN_ADAPTERS_RULES_TABLES_H
#define SMTPIN_ADAPTERS_RULES_TABLES_H

#include "adapters/rules_state.h"

/* Is `domain`, in ASCII, in the list of `domains`? ".example.org" stands for every domain below it;
 * sources of tables are passed over. */
bool rules_domain_listed(struct span list, struct span domain);

enum smtp_opinion rules_domain(struct rules_question *q);
/* Whose is the recipient's domain? Asked once a question. */
bool rules_is_ours(struct rules_question *q);
enum smtp_opinion rules_sender_login(struct rules_question *q);
enum smtp_opinion rules_senders(struct rules_question *q);
enum smtp_opinion rules_aliases(struct rules_question *q);
enum smtp_opinion rules_recipients(struct rules_question *q);

#endif
