/* The real smtpin as the server, on a socket pair. Its delivery command is stood in for by
 * smtpin-replay itself, unless --deliver. */
#ifndef SMTPIN_REPLAY_PROGRAM_H
#define SMTPIN_REPLAY_PROGRAM_H

#include "commands/replay/server.h"

/* Plays the transcript and adds what differs. */
void replay_program(const struct transcript *t, const struct replay_options *o, struct arena *a,
                    struct differences *d);

/* Stands in for the command: `smtpin-replay --as-command DIRECTORY RUN(0/1) WORDS...`. Writes what
 * it was given below the directory, answers as the transcript says, or runs the words. */
int replay_as_command(int argc, char **argv);

#endif
