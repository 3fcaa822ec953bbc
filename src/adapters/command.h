/* What a command is told, of a message (a delivery command) or before there is one (a check
 * command): its arguments, with their macros expanded, and its environment. One table gives both
 * their values; their names are in syntax/macro.h. No command is started here. */
#ifndef SMTPIN_ADAPTERS_COMMAND_H
#define SMTPIN_ADAPTERS_COMMAND_H

#include "adapters/command_facts.h"
#include "config/config.h"

/* What becomes of a run's output, for the command: "one": its exit status and first line are the
 * one answer for its recipients; "each": it prints a reply line for each recipient, and the client
 * hears each; "merged": the same, but the client hears one reply for all of them. */
struct span command_replies(const struct config *c, const struct smtp_session *session);

/* The words with their macros expanded, as a NULL-terminated argv in the arena; a word that names
 * a recipient's fact is repeated for each recipient. Without a recipient it stays, once, and the
 * fact is empty: other words keep their places, and an option its argument. What a macro stands for
 * is never looked at again: no shell, no splitting, no second expansion. NULL when the arena is
 * full. */
char **command_argv(const struct command_run *run, const struct words *words, struct arena *a);
/* The whole environment of the command, built from nothing; the recipient's variables are there
 * when the run has one recipient, SMTPIN_CHECK when it is a check. */
char **command_environment(const struct command_run *run, struct arena *a);

#define COMMAND_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
