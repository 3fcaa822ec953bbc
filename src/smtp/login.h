/* AUTH (RFC 4954), as far as the syntax and the order of things go. What a response says is
 * nobody's business here. */
#ifndef SMTPIN_SMTP_LOGIN_H
#define SMTPIN_SMTP_LOGIN_H

#include "smtp/state.h"

/* May the client log in now, as far as TLS goes, and has it not yet? */
bool smtp_offers_login(const struct smtp_session *s);
/* The argument of AUTH: a mechanism, and perhaps an initial response. */
enum smtp_want smtp_begin_login(struct smtp_session *s, struct span argument);
/* A line of a login that goes on. */
enum smtp_want smtp_take_response(struct smtp_session *s, struct span line);
enum smtp_want smtp_cancel_login(struct smtp_session *s, enum smtp_reply_id why);
/* The login has succeeded. False: such a name no user of ours has. */
bool smtp_log_in(struct smtp_session *s, struct span user);

#endif
