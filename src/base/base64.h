/* Base64 (RFC 4648 4), read strictly: no octet that is not of its alphabet, no line end, all of the
 * padding, and no bit set in what is left over. Its time depends on the octets. */
#ifndef SMTPIN_BASE_BASE64_H
#define SMTPIN_BASE_BASE64_H

#include "base/text.h"

/* Octets that n octets become, and the most that n octets of base64 stand for. */
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)
#define BASE64_DECODED(n) ((n) / 4 * 3)

bool base64_is(struct span s);
/* Appends what s stands for. False: s is no base64, or there is no room for it; nothing has been
 * appended. */
bool base64_decode(struct span s, struct text *out);
/* Appends s in base64; out->cut: there is no room for all of it. */
void base64_encode(struct span s, struct text *out);

#endif
