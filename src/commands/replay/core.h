/* The protocol core in this process as the server: no program, no connection, no clock. Who is
 * asked whether mail may come (check commands, policy servers) is asked as by the program. */
#ifndef SMTPIN_REPLAY_CORE_H
#define SMTPIN_REPLAY_CORE_H

#include "commands/replay/server.h"

/* Plays the transcript, in that directory (place.h), and adds what differs. */
void replay_core(const struct transcript *t, const struct replay_options *o, const char *directory,
                 struct arena *a, struct differences *d);

#endif
