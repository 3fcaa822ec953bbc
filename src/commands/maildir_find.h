/* Which Maildir is a recipient's, and is it there? It is made where that is asked for. No message
 * is touched. */
#ifndef SMTPIN_COMMANDS_MAILDIR_FIND_H
#define SMTPIN_COMMANDS_MAILDIR_FIND_H

#include "commands/maildir_target.h"

/* The recipient's Maildir into t->maildir. The answer's status is 0; or 67 when it is nobody's: the
 * address can be no mailbox, or its directory is missing (where none is made); or 75 when that
 * can't be told. */
struct maildir_answer maildir_find(const struct maildir_options *o, const char *recipient,
                                   struct maildir_target *t);
/* Makes tmp, new and cur, and what is above them up to the root, which must be there. Does nothing
 * where the Maildir is there. Status 0 or 75. */
struct maildir_answer maildir_make(const struct maildir_options *o, const struct maildir_target *t);

#endif
