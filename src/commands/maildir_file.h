/* A message's file in a Maildir: written in tmp/, flushed, given its name in new/, taken back.
 * Which Maildir, and whether there is room, is not asked here. */
#ifndef SMTPIN_COMMANDS_MAILDIR_FILE_H
#define SMTPIN_COMMANDS_MAILDIR_FILE_H

#include "commands/maildir_target.h"

/* The message, which is all of `from`, into tmp/ of the Maildir, flushed: as a file without a name
 * (O_TMPFILE, t->fd) where that can be given one later, else as t->in_tmp. Status 0, or 75 and
 * nothing that maildir_undo does not take back. */
struct maildir_answer maildir_write(const struct maildir_options *o, struct maildir_target *t,
                                    int from);
/* Gives what maildir_write has written its name in new/, t->name, and flushes that directory; no
 * other file's place is ever taken. Status 0: the message is safe. 75: as for maildir_write. */
struct maildir_answer maildir_publish(const struct maildir_options *o, struct maildir_target *t,
                                      int from);
/* Takes the message back, wherever it is by now. */
void maildir_undo(struct maildir_target *t);
/* Removes from tmp/ what runs that were killed have left there: files with a name like ours that
 * nobody has written to for 36 hours (the time that maildir(5) gives). */
void maildir_sweep(const struct maildir_target *t);

#endif
