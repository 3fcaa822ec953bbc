/* Making the process safe before anything else, whatever the super-server left in it. */
#ifndef SMTPIN_OUTSIDE_SETUP_H
#define SMTPIN_OUTSIDE_SETUP_H

#include "config.h"

/* Descriptors 0 to 2 exist, 2 is not the client, nothing else is open; the connection is on *in and
 * *out (0 and 1, or the one that systemd passed: sd_listen_fds(3)); signals, umask. */
void setup_process(int *in, int *out, bool *stderr_is_ours);
/* `user =`: drops root for good. False, and reported, when that can't be done. */
bool setup_user(const struct config *c, const struct config_report *report);
/* What the next connection would trip over besides the configuration's own text: programs,
 * directories, the user. */
bool setup_check(const struct config *c, const struct config_report *report);

#endif
