/* The mark: a message that some recipients have and some have not is sent again, and its file's
 * name tells that a recipient has it already (",D=" and digits of SMTPIN_DIGEST). */
#ifndef SMTPIN_COMMANDS_MAILDIR_MARK_H
#define SMTPIN_COMMANDS_MAILDIR_MARK_H

#include "commands/maildir_target.h"

/* Is this message in the recipient's Maildir already, in new/ or, read, in cur/: from an earlier
 * run, or for another recipient of this one with the same Maildir? Its path is in t->repeat then.
 * It counts once its directory is flushed. */
bool maildir_mark_find(const struct maildir_options *o, struct maildir_target *t);
/* Takes the mark off the recipient's copy, which may have been moved to cur/ meanwhile. */
void maildir_mark_remove(const struct maildir_options *o, struct maildir_target *t);

#endif
