/* MAIL and RCPT: from whom the message is, and for whom. */
#ifndef SMTPIN_SMTP_ENVELOPE_H
#define SMTPIN_SMTP_ENVELOPE_H

#include "smtp/state.h"

/* The argument begins behind "FROM:" and "TO:". */
enum smtp_want smtp_mail(struct smtp_session *s, struct span argument);
enum smtp_want smtp_rcpt(struct smtp_session *s, struct span argument);
/* The reply to MAIL, once the sender has been decided on. */
enum smtp_want smtp_begin_transaction(struct smtp_session *s);

#endif
