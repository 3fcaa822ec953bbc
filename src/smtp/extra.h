/* Parameters that smtpin itself does nothing about: they are checked, kept as they came, and told
 * to the delivery command, which honours them. Each is known only where the administrator says that
 * it does: DSN (RFC 3461), MT-PRIORITY (RFC 6710), DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865).
 * They stand in one list, with blanks between: "RET=HDRS ENVID=abc". */
#ifndef SMTPIN_SMTP_EXTRA_H
#define SMTPIN_SMTP_EXTRA_H

#include "smtp/state.h"

enum {
    SMTP_ENVID_MAX = 100, /* RFC 3461 4.4 */
    SMTP_ORCPT_MAX = 500, /* RFC 3461 4.2 */
    /* Octets of a list: room for that of a recipient with the longest ORCPT=. A longer one gets
     * 501. */
    SMTP_EXTRAS_MAX = SMTP_ORCPT_MAX + 60,
};

/* Of MAIL and RCPT, as param.c wants them: SMTP_REPLY_OK, or the reply that refuses the value. */
enum smtp_reply_id smtp_extra_ret(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_envid(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_notify(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_orcpt(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_priority(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_by(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_hold_for(struct smtp_session *s, struct span value);
enum smtp_reply_id smtp_extra_hold_until(struct smtp_session *s, struct span value);
/* May those of the list stand together? Not if it is longer than SMTP_EXTRAS_MAX. */
bool smtp_extra_fits(struct span extras);

/* The value of a keyword in a list; .p is NULL: it is not there. */
struct span smtp_extra(struct span extras, struct span keyword);
/* Says what EHLO announces of them, each with "\r\n250-" before it. */
void smtp_extra_announce(const struct smtp_session *s);

#endif
