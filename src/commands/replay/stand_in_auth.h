/* Stands in for whoever checks logins: a process that speaks as Dovecot's auth service does, and
 * answers as the transcript says. It looks at no response, and writes none down. */
#ifndef SMTPIN_REPLAY_STAND_IN_AUTH_H
#define SMTPIN_REPLAY_STAND_IN_AUTH_H

#include "commands/replay/transcript.h"

#include <sys/types.h>

/* Starts it. -1 and errno. With `everybody`, other users may ask it. stand_in_server_stop ends it.
 */
pid_t stand_in_auth_start(const struct transcript *t, const char *directory, bool everybody,
                          struct arena *a);
/* "auth=..." with its socket, in the arena; NULL: there is no room. */
const char *stand_in_auth_setting(const char *directory, struct arena *a);

#endif
