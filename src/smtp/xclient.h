/* Postfix's XCLIENT: a proxy that we trust says who its client is. It is known to such a proxy
 * alone. */
#ifndef SMTPIN_SMTP_XCLIENT_H
#define SMTPIN_SMTP_XCLIENT_H

#include "smtp/state.h"

/* The command. */
enum smtp_want smtp_xclient(struct smtp_session *s, struct span argument);
/* The command is refused, and its memory is given back. */
enum smtp_want smtp_refuse_xclient(struct smtp_session *s, enum smtp_reply_id why);
/* Its client is the session's: nothing of what has been said counts any longer. A login that an
 * XCLIENT before this one has told of stays, where this one tells of no login and no address: who
 * comes from another address is another client. */
void smtp_take_xclient(struct smtp_session *s);
/* The line of EHLO. */
void smtp_announce_xclient(struct text *out);

#endif
