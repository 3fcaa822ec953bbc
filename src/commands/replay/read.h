/* Reads a transcript: the file, its settings, its steps. */
#ifndef SMTPIN_REPLAY_READ_H
#define SMTPIN_REPLAY_READ_H

#include "commands/replay/transcript.h"

/* Reads a file into the arena. With `trust`, its settings may name programs, users and files; that
 * their values are right is not looked at here (settings.h). False: *line and *what say what is
 * wrong. */
bool transcript_read(struct transcript *t, const char *file, bool trust, struct arena *a,
                     unsigned *line, const char **what);

#endif
