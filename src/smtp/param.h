/* Parameters of MAIL and RCPT: the esmtp-params of RFC 5321 4.1.2. What EHLO announces is not
 * written here: hello.c. */
#ifndef SMTPIN_SMTP_PARAM_H
#define SMTPIN_SMTP_PARAM_H

#include "smtp/state.h"

/* Reads the parameters in `in`, which is what follows the path: nothing, or a space and more.
 * `verb` is "MAIL" or "RCPT". SMTP_REPLY_OK, or the reply that refuses them. */
enum smtp_reply_id smtp_parameters(struct smtp_session *s, const char *verb, struct span in);

#endif
