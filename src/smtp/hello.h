/* EHLO, HELO and LHLO: who the client says that it is, and what it is offered. */
#ifndef SMTPIN_SMTP_HELLO_H
#define SMTPIN_SMTP_HELLO_H

#include "smtp/state.h"

/* The argument is the client's name. */
enum smtp_want smtp_ehlo(struct smtp_session *s, struct span argument);
enum smtp_want smtp_helo(struct smtp_session *s, struct span argument);
/* The reply, once the greeting has been decided on. */
enum smtp_want smtp_say_hello(struct smtp_session *s);
/* partial = single: has a transaction one recipient only? */
bool smtp_one_at_a_time(const struct smtp_session *s);

#endif
