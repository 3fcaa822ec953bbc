/* Stands in for policy servers: a process that answers as the transcript says, and writes down what
 * it is asked (place.h), for stand_in_compare. */
#ifndef SMTPIN_REPLAY_STAND_IN_POLICY_H
#define SMTPIN_REPLAY_STAND_IN_POLICY_H

#include "commands/replay/transcript.h"

#include <sys/types.h>

/* Starts it, with so many sockets: each is a server for smtpin. -1 and errno. With `everybody`,
 * other users may ask it. stand_in_server_stop ends it. */
pid_t stand_in_policy_start(const struct transcript *t, const char *directory, size_t servers,
                            bool everybody, struct arena *a);
/* "policy=..." with its sockets, in the arena; NULL: there is no room. */
const char *stand_in_policy_setting(const char *directory, size_t servers, struct arena *a);

#endif
