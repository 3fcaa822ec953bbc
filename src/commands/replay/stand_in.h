/* Stands in for a command of a real smtpin, its delivery command or a check command: a process of
 * this program, which smtpin starts in its place. What it is to do, and what it has been given,
 * lies in a directory (place.h). */
#ifndef SMTPIN_REPLAY_STAND_IN_H
#define SMTPIN_REPLAY_STAND_IN_H

#include "commands/replay/server.h"
#include "syntax/words.h"

/* Writes down in the directory how each run is to end. False and errno. */
bool stand_in_open(const struct transcript *t, const struct replay_options *o, enum told_kind kind,
                   const char *directory);
/* "KEY=...", for smtpin: the stand-in's words, and behind them those of the command. In the arena;
 * NULL: there is no room. */
const char *stand_in_setting(const struct transcript *t, const struct replay_options *o,
                             enum told_kind kind, const char *directory, const char *key,
                             const struct words *command, struct arena *a);
/* Compares each run, or question, that lies there with what the transcript tells of it. */
void stand_in_compare(const struct transcript *t, enum told_kind kind, const char *directory,
                      struct arena *a, struct differences *d);

/* The process itself: `smtpin-replay --as-command DIRECTORY delivery|check|command WORDS...`.
 * Writes what it was given below the directory, and ends as the transcript says, or ("command")
 * runs the words of the delivery command. Returns its exit status. */
int stand_in_main(int argc, char **argv);

#endif
