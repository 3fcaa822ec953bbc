/* The real smtpin as the server, on a socket pair. Its delivery command is stood in for by
 * smtpin-replay itself (stand_in.h), unless --deliver. */
#ifndef SMTPIN_REPLAY_PROGRAM_H
#define SMTPIN_REPLAY_PROGRAM_H

#include "commands/replay/server.h"

/* Plays the transcript, in that directory (place.h), and adds what differs. */
void replay_program(const struct transcript *t, const struct replay_options *o,
                    const char *directory, struct arena *a, struct differences *d);

#endif
