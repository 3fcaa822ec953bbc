/* xtext (RFC 3461 4): any octets as printable ones. */
#ifndef SMTPIN_SMTP_XTEXT_H
#define SMTPIN_SMTP_XTEXT_H

#include "base/text.h"

/* Appends what `value` stands for. False: it is no xtext, it stands for a control octet, or there
 * is no room. */
bool smtp_read_xtext(struct span value, struct text *out);

#endif
