/* Stands in for the delivery command of a real smtpin: a process of this program, which smtpin
 * starts as its `deliver_through`. What it is to do, and what it has been given, lies in a
 * directory. */
#ifndef SMTPIN_REPLAY_STAND_IN_H
#define SMTPIN_REPLAY_STAND_IN_H

#include "commands/replay/server.h"

/* Writes down in the directory how each run is to end. False and errno. */
bool stand_in_open(const struct transcript *t, const struct replay_options *o,
                   const char *directory);
/* "deliver_through=...", for smtpin: the words before those of whatever command it is. In the
 * arena; NULL: there is no room. */
const char *stand_in_setting(const struct transcript *t, const struct replay_options *o,
                             const char *directory, struct arena *a);
/* Compares each run with what the transcript tells of it. */
void stand_in_compare(const struct transcript *t, const char *directory, struct arena *a,
                      struct differences *d);

/* The process itself: `smtpin-replay --as-command DIRECTORY RUN(0/1) WORDS...`. Writes what it was
 * given below the directory, and ends as the transcript says, or runs the words. Returns its exit
 * status. */
int stand_in_main(int argc, char **argv);

#endif
