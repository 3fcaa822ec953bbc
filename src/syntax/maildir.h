/* Which part of an address can be the name of a directory: smtpin-maildir and the rules must agree
 * on it. No directory is looked at. */
#ifndef SMTPIN_SYNTAX_MAILDIR_H
#define SMTPIN_SYNTAX_MAILDIR_H

#include "base/span.h"

/* May this part of an address be a directory's name? Not empty, at most 255 octets, no slash, no
 * control character, no dot at the front. */
bool maildir_is_name(struct span s);

#endif
