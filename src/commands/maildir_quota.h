/* Is there room in a Maildir? Its maildirsize says so where it has one (Maildir++,
 * https://www.courier-mta.org/imap/README.maildirquota.html), else the quota of the run. */
#ifndef SMTPIN_COMMANDS_MAILDIR_QUOTA_H
#define SMTPIN_COMMANDS_MAILDIR_QUOTA_H

#include "commands/maildir_target.h"

/* Is there room for a message of `size` octets more? Then it is taken. *t->usage is read when it is
 * first asked for in this run. */
bool maildir_quota_take(const struct maildir_options *o, struct maildir_target *t, uint64_t size);
/* The message is in new/: a line is added to maildirsize, where there is one. */
void maildir_quota_stored(struct maildir_target *t);
/* It has been, or is to be, taken back: its room is given back, and so is its line. */
void maildir_quota_undo(struct maildir_target *t);

#endif
