/* Parameters of MAIL and RCPT: the esmtp-params of RFC 5321 4.1.2. What EHLO announces is not
 * written here: hello.c. */
#ifndef SMTPIN_SMTP_PARAM_H
#define SMTPIN_SMTP_PARAM_H

#include "smtp/state.h"

/* Reads the parameters in `in`, which is what follows the path: nothing, or a space and more.
 * They are those of RCPT, or of MAIL. SMTP_REPLY_OK, or the reply that refuses them. *extras, empty
 * so far, becomes the list of those that are kept (extra.h), terminated, in the transaction's
 * arena. */
enum smtp_reply_id smtp_parameters(struct smtp_session *s, bool rcpt, struct span in,
                                   struct span *extras);
/* The same for such a list, of which nothing is believed: it is read again, and must be the same.
 */
enum smtp_reply_id smtp_parameters_again(struct smtp_session *s, bool rcpt, struct span extras,
                                         struct span *out);

#endif
