/* The protocol core in this process as the server: no program, no descriptor, no clock. */
#ifndef SMTPIN_REPLAY_CORE_H
#define SMTPIN_REPLAY_CORE_H

#include "commands/replay/server.h"

/* Plays the transcript and adds what differs. */
void replay_core(const struct transcript *t, const struct replay_options *o, struct arena *a,
                 struct differences *d);

#endif
